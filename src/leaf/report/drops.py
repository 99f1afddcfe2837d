"""What left the pipeline, by reason, with examples: the text and what the models answered."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaf.records import Answer, Counterfactual, Drop, Outcome, Problem, Score
from leaf.report.changes import Changes
from leaf.report.excerpts import Piece, excerpt

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
    reason: str
    count: int
    examples: list[Example]
    """At most `EXAMPLES`, the first to leave; one a problem or change."""


def passed_over(student: Sequence[Score] | None, teacher: Sequence[Score] | None) -> list[Drop]:
    """Return the problems that do not enter detection, each with the one reason why."""
    if student is None or teacher is None:
        return []
    right = {score.problem_id for score in teacher if score.right}
    found = []
    for score in student:
        if score.right:
            reason = "the student is right"
        elif score.outcome is Outcome.UNGRADABLE:
            reason = "the student’s answer could not be graded"
        elif score.problem_id not in right:
            reason = "the student is wrong, and the teacher is not right either"
        else:
            continue
        found.append(Drop(stage="answers", problem_id=score.problem_id, reason=reason))
    return found


def drop_counts(
    drops: Sequence[Drop],
    *,
    problems: Sequence[Problem],
    answers: tuple[Sequence[Answer], Sequence[Answer]],
    changes: Changes | None,
) -> list[DropCount]:
    """Count drops by stage and reason, stages in order of appearance, the most frequent first.

    `problems` are those that may be named, the beginnings of responses with them; `answers` the
    student's, then the teacher's.
    """
    transplants = {cut.id for cut in changes.transplants} if changes else set()
    ids: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for drop in drops:
        ids[drop.stage, drop.reason, drop.problem_id in transplants].append(drop.problem_id)
    order = list(dict.fromkeys(stage for stage, _, _ in ids))
    ranked = sorted(ids.items(), key=lambda item: (order.index(item[0][0]), -len(item[1])))
    look = _Look.over(problems, answers, changes)
    return [
        DropCount(
            stage=stage,
            transplants=moved,
            reason=reason,
            count=len(found),
            # A benchmark may have problems of the same names: those are not at hand here.
            examples=[
                look.nothing(name) if stage == "evaluate" else look.example(name)
                for name in list(dict.fromkeys(found))[:EXAMPLES]
            ],
        )
        for (stage, reason, moved), found in ranked
    ]


@dataclass(frozen=True, slots=True)
class _Look:
    """Finds what an id stands for."""

    problems: Mapping[str, Problem]
    answers: tuple[Mapping[str, str], Mapping[str, str]]
    changes: Changes | None
    changed: Mapping[str, Counterfactual]
    """Changed questions by id."""

    @classmethod
    def over(
        cls,
        problems: Sequence[Problem],
        answers: tuple[Sequence[Answer], Sequence[Answer]],
        changes: Changes | None,
    ) -> "_Look":
        student, teacher = (
            {answer.problem_id: answer.failure or answer.text for answer in found}
            for found in answers
        )
        tried = [*changes.removals, *changes.transplants] if changes else []
        return cls(
            {problem.id: problem for problem in problems},
            (student, teacher),
            changes,
            {cut.id: cut for cut in tried},
        )

    def nothing(self, name: str) -> Example:
        return Example(id=name, problem=None, pieces=[], student=None, teacher=None)

    def example(self, name: str) -> Example:
        cut = self.changed.get(name)
        problem = self.problems.get(cut.problem_id if cut else name)
        if problem is None:
            return self.nothing(name)
        if cut is None:
            pieces = [Piece(text=_beginning(problem.question) or "")]
            asked = self.changes.origins.get(name, name) if self.changes else name
            student, teacher = (found.get(asked) for found in self.answers)
        else:
            pieces = excerpt(problem.question, cut)
            verdict = self.changes.verdict(cut) if self.changes else None
            student = verdict.student_text if verdict else None
            teacher = verdict.teacher_text if verdict else None
        return Example(
            id=name,
            problem=problem.id,
            pieces=pieces,
            student=_beginning(student),
            teacher=_beginning(teacher),
        )


def _beginning(text: str | None) -> str | None:
    if text is None or len(text) <= BEGINNING:
        return text
    return text[:BEGINNING] + "…"
