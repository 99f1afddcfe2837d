"""From a ledger's entry to what page and terminal show of it; the report describes the problem."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from leaf.recipe import Recipe
from leaf.records import Answer, Counterfactual, NormalisedScores, Problem, Score, Verdict
from leaf.report.changes import changes
from leaf.report.examples import one_problem
from leaf.report.plain import plain
from leaf.store.ledger import Entry, Said, Variant


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Spans that were not tried, for one reason."""

    reason: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """What another detector's cuts of the same prompt came to."""

    detector: str
    kept: int
    """Changed prompts that passed verification."""
    tried: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """What is shown of one prompt."""

    recipe: dict[str, Any]
    """Plain values, as in report.json."""
    entered: bool
    """False where the student had solved it, so that it only took transplants."""
    skipped: str | None
    """Why it has no scores, else None."""
    problem: dict[str, Any]
    """As in report.json under `distraction`, with everything that was tried."""
    refused: tuple[Refused, ...]
    controls: tuple[Control, ...]
    source: str
    """Where this comes from, for the foot of the page."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values: what the page is rendered from."""
        values: dict[str, Any] = plain(self)
        return values


def explanation(entry: Entry, recipe: Recipe, source: str) -> Explanation:
    """Describe one entry of a ledger by the recipe's own detector, its controls in short."""
    own = recipe.attribute.detector
    mine = [item for item in entry.variants if item.detector == own]
    tried = [item for item in mine if item.student]
    refused = Counter(item.reason for item in mine if not item.student and item.spans)
    problem = Problem(
        id=entry.problem_id,
        prompt=entry.prompt,
        before=entry.before,
        question=entry.question,
        answer=entry.answer,
        solution=entry.reference,
    )
    controls = dict.fromkeys(item.detector for item in entry.variants if item.detector != own)
    return Explanation(
        recipe=recipe.model_dump(by_alias=True),
        entered=entry.entered,
        skipped=entry.skipped or _unranked(entry),
        problem=plain(
            one_problem(
                problem,
                [_graded(entry.problem_id, said) for said in (entry.student, entry.teacher)],
                _focus(entry),
                changes([_counterfactual(entry, item) for item in tried], _verdicts(entry, tried)),
            )
        ),
        refused=tuple(Refused(reason=why, count=count) for why, count in refused.items()),
        controls=tuple(_control(entry, detector) for detector in controls),
        source=source,
    )


def _unranked(entry: Entry) -> str | None:
    if not entry.units or entry.units[0].gap is not None:
        return None
    return next((item.reason for item in entry.variants if not item.student), "no ranking")


def _control(entry: Entry, detector: str) -> Control:
    tried = entry.tried(detector)
    kept = sum(item.kept for item in tried)
    return Control(detector=detector, kept=kept, tried=len(tried))


def _focus(entry: Entry) -> NormalisedScores | None:
    if not entry.units or entry.units[0].gap is None:
        return None
    return NormalisedScores(
        problem_id=entry.problem_id,
        starts=tuple(unit.start for unit in entry.units),
        ends=tuple(unit.end for unit in entry.units),
        teacher=tuple(unit.teacher or 0.0 for unit in entry.units),
        student=tuple(unit.student or 0.0 for unit in entry.units),
        gap=tuple(unit.gap or 0.0 for unit in entry.units),
    )


def _graded(problem_id: str, said: Said) -> tuple[Answer, Score]:
    answer = Answer(
        problem_id=problem_id,
        text=said.text,
        prompt_tokens=0,
        response_tokens=0,
        truncated=False,
    )
    score = Score(problem_id=problem_id, outcome=said.outcome, extracted=None, reason=None)
    return answer, score


def _counterfactual(entry: Entry, item: Variant) -> Counterfactual:
    return Counterfactual(
        id=item.id,
        problem_id=entry.problem_id,
        strategy=item.strategy,
        spans=item.spans,
        question=item.question,
        inserted=item.inserted,
        donor=item.donor,
    )


def _verdicts(entry: Entry, tried: list[Variant]) -> list[Verdict]:
    return [
        Verdict(
            counterfactual_id=item.id,
            problem_id=entry.problem_id,
            student=item.student.outcome,
            teacher=item.teacher.outcome if item.teacher else None,
            student_text=item.student.text,
            teacher_text=item.teacher.text if item.teacher else None,
            kept=item.kept,
            reason=item.reason,
        )
        for item in tried
        if item.student
    ]
