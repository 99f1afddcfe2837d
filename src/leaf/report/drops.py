"""What left the pipeline, by reason, with examples: the text and what the models answered."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from leaf.records import Drop, Outcome
from leaf.report.counts import Change, changes
from leaf.report.excerpts import Piece, excerpt
from leaf.store.ledger import Entry
from leaf.store.results import Graded, Results

EXAMPLES = 3
"""Examples of each reason."""

BEGINNING = 240
"""Characters of a question or an answer in an example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One of those that left."""

    id: str
    """What was dropped: a problem, a changed question, or the place of a record in its file."""
    problem: str | None
    """The problem that it is, or is of; None where it is no training problem."""
    pieces: list[Piece]
    """The beginning of the question, or a change in short; empty without a problem."""
    student: str | None
    """The beginning of what the student answered to it; None where it was not asked."""
    teacher: str | None
    """The same of the teacher."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DropCount:
    """How often something left a stage for one reason."""

    stage: str
    transplants: bool
    """Whether these are transplants; other changed questions and whole problems are not."""
    injections: bool
    """Whether these are injections."""
    reason: str
    count: int
    examples: list[Example]
    """At most `EXAMPLES`, the first to leave; one a problem or change."""


def passed_over(
    student: Graded | None,
    teacher: Graded | None,
    entered: Collection[str] | None = None,
    *,
    alone: bool = False,
) -> list[Drop]:
    """Return the problems that do not enter detection, each with the one reason why.

    `entered` are those that do; None: those that the student got wrong and the teacher right, or
    `alone`, without a teacher, all that it got wrong.
    """
    if student is None or (teacher is None and not alone):
        return []
    right = {score.problem_id for score in teacher[1] if score.right} if teacher else None
    drops = []
    for score in student[1]:
        if score.problem_id in (entered or ()):
            continue
        if score.right:
            reason = "the student is right"
        elif score.outcome is Outcome.UNGRADABLE:
            reason = "the student’s answer could not be graded"
        elif right is not None and score.problem_id not in right:
            reason = "the student is wrong, and the teacher is not right either"
        else:
            continue
        drops.append(Drop(stage="answers", problem_id=score.problem_id, reason=reason))
    return drops


def drop_counts(
    drops: Sequence[Drop], results: Results, entries: Sequence[Entry], detector: str
) -> list[DropCount]:
    """Count drops by stage and reason, stages in order of appearance, the most frequent first.

    Drops are named by problem, or by a changed question that `detector` led to.
    """
    changed = {
        item.id: (entry, item)
        for kind in ("removal", "transplant", "injection")
        for entry, item in changes(entries, detector, kind)
    }
    ids: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for drop in drops:
        kind = changed[drop.problem_id][1].kind if drop.problem_id in changed else ""
        ids[drop.stage, drop.reason, kind].append(drop.problem_id)
    order = list(dict.fromkeys(stage for stage, _, _ in ids))
    ranked = sorted(ids.items(), key=lambda item: (order.index(item[0][0]), -len(item[1])))
    whole = _whole(results)
    return [
        DropCount(
            stage=stage,
            transplants=kind == "transplant",
            injections=kind == "injection",
            reason=reason,
            count=len(names),
            examples=[
                # A benchmark may have problems of the same names: those are not at hand here.
                (stage != "evaluate" and (_change(changed.get(name)) or whole.get(name)))
                or Example(id=name, problem=None, pieces=[], student=None, teacher=None)
                for name in list(dict.fromkeys(names))[:EXAMPLES]
            ],
        )
        for (stage, reason, kind), names in ranked
    ]


def _change(found: Change | None) -> Example | None:
    if found is None:
        return None
    entry, variant = found
    return Example(
        id=variant.id,
        problem=entry.problem_id,
        pieces=excerpt(entry.question, variant),
        student=_beginning(variant.student.text if variant.student else None),
        teacher=_beginning(variant.teacher.text if variant.teacher else None),
    )


def _whole(results: Results) -> dict[str, Example]:
    """Return every problem as an example; the beginning of a response has its problem's answers."""
    student, teacher = (
        {answer.problem_id: answer.failure or answer.text for answer in graded[0]} if graded else {}
        for graded in (results.student, results.teacher)
    )
    return {
        problem.id: Example(
            id=problem.id,
            problem=problem.id,
            pieces=[Piece(text=_beginning(problem.question) or "")],
            student=_beginning(student.get(asked.id)),
            teacher=_beginning(teacher.get(asked.id)),
        )
        for asked in results.problems or ()
        for problem in (asked, *results.segments.get(asked.id, ()))
    }


def _beginning(text: str | None) -> str | None:
    if text is None or len(text) <= BEGINNING:
        return text
    return text[:BEGINNING] + "…"
