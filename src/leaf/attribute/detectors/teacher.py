"""What the teacher ignores, whatever the student does."""

from leaf.attribute.detector import Detector, Evidence
from leaf.attribute.ranking import normalise_scores, ranked
from leaf.recipe.detectors import detector
from leaf.records import Attribution, RankedUnits


@detector
class Teacher(Detector):
    """The teacher's sensitivity (Eq. 2) alone: low where it does not look."""

    name = "teacher"
    goes_by = "gradient"

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank by the teacher's min-maxed sensitivity (Eq. 3), lowest first."""
        assert isinstance(evidence.measured, Attribution)  # noqa: S101 - it needs both models
        scores = normalise_scores(evidence.measured)
        return scores if isinstance(scores, str) else ranked(scores, scores.teacher)
