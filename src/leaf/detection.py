"""Stage 1: what distracts the student. Attribution, cuts by each detector, verification."""

import dataclasses
from collections.abc import Mapping, Sequence

from leaf.attribute import join
from leaf.prune import distinct, focus, prune, rank, transplants
from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    Outcome,
    Problem,
    Score,
    Sensitivity,
    Verdict,
)
from leaf.store import digest
from leaf.verify import judge, pruned_problems, screen
from leaf.workshop import Graded, Workshop, plain


@dataclasses.dataclass(kw_only=True)
class Cuts:
    """What one detector led to."""

    counterfactuals: list[Counterfactual]
    verdicts: list[Verdict] | None = None
    """One for each of `tried`, in that order; None before verification."""

    @property
    def tried(self) -> list[Counterfactual]:
        """Those that are questions to answer."""
        return [item for item in self.counterfactuals if not item.skipped]

    @property
    def kept(self) -> list[Counterfactual]:
        """Those that verification kept."""
        ids = {verdict.counterfactual_id for verdict in self.verdicts or () if verdict.kept}
        return [item for item in self.counterfactuals if item.id in ids]


class Detection:
    """Stage 1 of one recipe, on the problems that the student failed and the teacher solved."""

    def __init__(
        self, workshop: Workshop, problems: Sequence[Problem], student: Graded, teacher: Graded
    ) -> None:
        self.workshop = workshop
        self.problems = {problem.id: problem for problem in problems}
        self.solved = [
            problem for problem, score in zip(problems, student[1], strict=True) if score.right
        ]
        """Problems that the student answers right."""
        self.chosen = [
            problem
            for problem, ours, theirs in zip(problems, student[1], teacher[1], strict=True)
            if ours.outcome is Outcome.WRONG and theirs.right
        ]
        """Problems that enter detection."""
        self._surprisals: dict[str, Sensitivity] = {}

    @property
    def detectors(self) -> list[str]:
        """The recipe's detector, then its controls."""
        section = self.workshop.recipe.attribute
        return list(dict.fromkeys([section.detector, *section.controls]))

    def attribute(self, references: Mapping[str, str]) -> list[Attribution]:
        """Score the chosen questions under both models (Eq. 2)."""
        pairs = [(problem, references.get(problem.id, "")) for problem in self.chosen]
        student = self.workshop.sensitivities("student", "gradient", pairs)
        teacher = self.workshop.sensitivities("teacher", "gradient", pairs)
        if "perplexity" in self.detectors:
            found = self.workshop.sensitivities("student", "perplexity", pairs)
            self._surprisals = {item.problem_id: item for item in found}
        return join(self.chosen, [reference for _, reference in pairs], teacher, student)

    def cut(self, attributions: Sequence[Attribution]) -> dict[str, Cuts]:
        """Cut candidate spans out of the questions, as each detector ranks them (Eq. 3 to 5)."""
        return {
            detector: Cuts(counterfactuals=self._cut(detector, attributions))
            for detector in self.detectors
        }

    def verify(self, cuts: Mapping[str, Cuts]) -> None:
        """Let both models answer what was cut (condition ii), then transplant what was verified."""
        for detector, found in cuts.items():
            found.verdicts = self._verdicts(found.tried, detector, "pruned")
        section = self.workshop.recipe.prune
        if "transplant" in section.strategy:
            main = cuts[self.detectors[0]]
            made = transplants(self.problems, main.kept, self.solved, section)
            verdicts = self._verdicts(made, self.detectors[0], "transplanted")
            verdicts = screen(made, verdicts, self.workshop.recipe.verify.effect)
            main.counterfactuals = [*main.counterfactuals, *made]
            main.verdicts = [*(main.verdicts or ()), *verdicts]

    def _cut(self, detector: str, attributions: Sequence[Attribution]) -> list[Counterfactual]:
        recipe = self.workshop.recipe
        surprisals = self._surprisals if detector == "perplexity" else {}

        def work(
            part: Sequence[tuple[Attribution, Sensitivity | None]],
        ) -> list[Counterfactual]:
            return [
                counterfactual
                for item, surprisal in part
                for counterfactual in self._cut_one(detector, item, surprisal)
            ]

        settings = {
            **recipe.prune.model_dump(exclude={"transplants", "seed"}),
            "detector": detector,
            "seed": recipe.attribute.seed if detector == "random" else None,
            "questions": digest(plain(self.chosen)),
        }
        items = [(item, surprisals.get(item.problem_id)) for item in attributions]
        return self.workshop.counterfactuals(items, work, settings, f"pruning by {detector}")

    def _cut_one(
        self, detector: str, attribution: Attribution, surprisal: Sensitivity | None
    ) -> list[Counterfactual]:
        recipe = self.workshop.recipe
        problem = self.problems[attribution.problem_id]
        section = recipe.prune
        if detector == "oracle":
            # What the data name is one piece, whatever the tokenizer makes of its spaces.
            section = section.model_copy(update={"bridge_whitespace": True, "units": ["token"]})
        scores = focus(attribution)
        if isinstance(scores, str):
            return prune(problem, scores, section)
        found: list[Counterfactual] = []
        for unit in section.units:
            ranked, count = rank(
                detector,
                scores,
                problem,
                unit=unit,
                prune=section,
                attribute=recipe.attribute,
                surprisal=surprisal,
            )
            found += prune(problem, ranked, section, unit=unit, count=count)
        return distinct(found)

    def _verdicts(self, tried: Sequence[Counterfactual], detector: str, what: str) -> list[Verdict]:
        """Let both models answer changed prompts, and judge them."""
        changed = pruned_problems(self.problems, tried)
        how = f"{what} prompts" + (f" ({detector})" if len(self.detectors) > 1 else "")
        student = _by_id(self.workshop.answers_of("student", changed, f"student on {how}"))
        asked = changed
        if self.workshop.recipe.verify.teacher == "if_student_right" and what == "pruned":
            asked = [problem for problem in changed if student[problem.id][1].right]
        teacher = _by_id(self.workshop.answers_of("teacher", asked, f"teacher on {how}"))
        which = self.workshop.recipe.verify.transplants
        return [judge(item, student[item.id], teacher.get(item.id), which) for item in tried]


def _by_id(graded: Graded) -> dict[str, tuple[Answer, Score]]:
    return {answer.problem_id: (answer, score) for answer, score in zip(*graded, strict=True)}
