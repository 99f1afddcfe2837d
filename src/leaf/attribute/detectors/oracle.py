"""What the data themselves call a distraction."""

from leaf.attribute.detector import Detector, Evidence
from leaf.recipe.detectors import detector
from leaf.records import RankedUnits


@detector
class Oracle(Detector):
    """The distractors that the data name, and nothing else: what the best detector could do."""

    name = "oracle"
    needs = "nothing"
    exact = True

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank tokens that share text with a known distractor first."""
        problem = evidence.problem
        if not problem.distractors:
            return "the data name no distractor"
        inside = [
            any(
                # Text, not the space alone that a distractor ends with and a token begins with.
                problem.question[max(start, known.start) : min(end, known.end)].strip()
                for known in problem.distractors
            )
            for start, end in evidence.tokens
        ]
        return RankedUnits(
            problem_id=problem.id,
            starts=tuple(start for start, _ in evidence.tokens),
            ends=tuple(end for _, end in evidence.tokens),
            rank_score=tuple(0.0 if known else 1.0 for known in inside),
            count=sum(inside),
        )
