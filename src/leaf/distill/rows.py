"""Training rows: what the student sees, what the teacher sees, and the response to both."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from leaf.errors import DataError, check_type
from leaf.recipe import DistillSection, TeacherSees
from leaf.records import NEVER_NAMED, STORED_AS, UNNAMED, Counterfactual, Problem, Score, Turn
from leaf.text.units import remove


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingExample:
    """The response y that both models are compared on, and the prompt that each sees before it."""

    problem_id: str
    """The original problem, also for its counterfactuals: what `paired` batches keep together."""
    content: str
    """The user's message, as the student sees it."""
    response: str
    counterfactual: bool
    """Whether the prompt of either was changed: its tokens then count in L_cd, else in L_kd."""
    response_prefix: str = field(default="", metadata={**UNNAMED, STORED_AS: "begun"})
    """How the response begins, before `response`: context, no part of the loss."""
    id: str = field(default="", metadata=NEVER_NAMED)
    """Of the problem, or of the changed question."""
    strategy: str = field(default="", metadata=NEVER_NAMED)
    """How the changed question was made: `span`, `transplant` ...; "" of an original."""
    teacher_content: str = field(default="", metadata=UNNAMED)
    """The user's message, as the teacher sees it; "": as `content`."""
    teacher_prefix: str = field(default="", metadata=UNNAMED)
    """How the response begins for the teacher; "": as `response_prefix`."""
    weight: float = field(default=1.0, metadata=UNNAMED)
    """What its tokens weigh in the loss, >= 0, beside those of other rows."""
    anchored: bool = field(default=False, metadata=UNNAMED)
    """Whether the student got it right before training: `distill.anchor` keeps it there."""
    turns: tuple[Turn, ...] = field(default=(), metadata=UNNAMED)
    """The conversation before the user's message, the same for both."""

    @property
    def is_anchored(self) -> bool:
        """Whether it is an original that the anchor holds."""
        return self.anchored and not self.counterfactual

    @property
    def two_contexts(self) -> bool:
        """Whether the teacher sees another prompt than the student."""
        return bool(self.teacher_content or self.teacher_prefix)

    @property
    def to_teacher(self) -> tuple[str, str]:
        """The message that the teacher sees, and how the response begins for it."""
        return self.teacher_content or self.content, self.teacher_prefix or self.response_prefix


def rows_from(rows: Iterable[Any]) -> list[TrainingExample]:
    """Return training rows made of a user's dicts or records.

    Each has `question` (or `prompt`, or `content`) and `response`; and, where it has one,
    `teacher_question` (or `teacher_prompt`, or `teacher_content`: what the teacher sees in place of
    the question), `changed` (or `kind`: "original" or "changed"; without either, whether there is a
    `teacher_question`), `response_prefix`, `teacher_prefix`, `weight` (of its tokens beside those
    of other rows; 1), `anchored` (whether `distill.anchor` holds it), `turns` (the conversation
    before the question: messages with `role` and `content`) and `problem_id`, the same for all rows
    made of one problem.

    Raises:
        DataError: no rows, or one without a text where one must be; says which row.
        UsageError: one row, a text or nothing in place of a list.
    """
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        check_type("rows", rows, (), "a list of rows; each has `question` and `response`")
    made = [_row_from(row, number) for number, row in enumerate(rows)]
    if not made:
        raise DataError("there is no row to train on; each has `question` and `response`")
    return made


_QUESTION = ("question", "prompt", "content")
_TEACHERS = ("teacher_question", "teacher_prompt", "teacher_content")
_TURN = ("role", "content")
_OTHERS = ("kind", "changed", "problem_id", "weight", "anchored")


def _row_from(row: Any, number: int) -> TrainingExample:
    if isinstance(row, TrainingExample):
        return row

    def has(name: str) -> Any:
        return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)

    def text(names: Sequence[str], default: str | None = None) -> str:
        """Return the first text of these names that the row has."""
        found = next((value for value in map(has, names) if value is not None), default)
        if isinstance(found, str):
            return found
        keys = f", it has {', '.join(map(str, row))}" if isinstance(row, Mapping) else ""
        raise DataError(
            f"row {number}: `{names[0]}` must be a text, but is {found!r:.60} "
            f"(a row has `question` and `response`{keys})"
        )

    kind, changed, problem, weight, anchored = map(has, _OTHERS)
    weight = 1.0 if weight is None else weight
    if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise DataError(f"row {number}: `weight` must be a number from 0, but is {weight!r:.60}")
    if kind not in (None, "original", "changed"):
        raise DataError(f"row {number}: `kind` must be original or changed, but is {kind!r:.60}")
    question, teachers = text(_QUESTION), text(_TEACHERS, "")
    if kind is None and changed is None:
        changed = teachers not in ("", question)
    return TrainingExample(
        problem_id=str(number if problem is None else problem),
        content=question,
        response=text(["response"]),
        counterfactual=kind == "changed" or bool(changed),
        response_prefix=text(["response_prefix"], ""),
        teacher_content="" if teachers == question else teachers,
        teacher_prefix=text(["teacher_prefix"], ""),
        weight=float(weight),
        anchored=bool(anchored),
        turns=tuple(_turn(turn, number) for turn in has("turns") or ()),
    )


def _turn(turn: Any, number: int) -> Turn:
    if isinstance(turn, Turn):
        return turn
    role, text = (turn.get(key) if isinstance(turn, Mapping) else None for key in _TURN)
    if role not in ("system", "user", "assistant") or not isinstance(text, str):
        raise DataError(
            f"row {number}: a turn must have `role` (system, user or assistant) and `content`, "
            f"but is {turn!r:.60}"
        )
    return Turn(role=role, text=text)


def original_rows(
    problems: Sequence[Problem],
    references: Mapping[str, str],
    student_scores: Mapping[str, Score],
    section: DistillSection,
) -> list[TrainingExample]:
    """Return a row for each original prompt that has a reference response.

    Without `student_wrong_originals` only what the student got right stays (the ablation).
    """
    return [
        TrainingExample(
            problem_id=problem.id,
            content=problem.content,
            response=references[problem.id],
            counterfactual=False,
            id=problem.id,
            anchored=section.anchor > 0 and student_scores[problem.id].right,
            turns=problem.turns,
        )
        for problem in problems
        if problem.id in references
        and (section.student_wrong_originals or student_scores[problem.id].right)
    ]


def counterfactual_rows(
    problems: Mapping[str, Problem],
    references: Mapping[str, str],
    kept: Sequence[Counterfactual],
    origins: Mapping[str, str] | None = None,
    *,
    teacher_sees: TeacherSees = "same",
) -> list[TrainingExample]:
    """Return a row for each changed question, with the same response.

    At response level the changed beginning of the response is context, and the rest is trained on.

    Args:
        problems: Those that the counterfactuals name, by id.
        references: Their responses y by problem id; the rest of it at response level.
        kept: What was verified.
        origins: Response-level problem id to the id of the problem whose response it is.
        teacher_sees: See `contexts`.
    """
    rows = []
    for item in kept:
        student, teacher = contexts(problems[item.problem_id], item, teacher_sees)
        mine, theirs = ((each.content, each.response_prefix) for each in (student, teacher))
        rows.append(
            TrainingExample(
                problem_id=(origins or {}).get(item.problem_id, item.problem_id),
                content=mine[0],
                response=references[item.problem_id],
                counterfactual=True,
                response_prefix=mine[1],
                id=item.id,
                strategy=item.strategy,
                teacher_content="" if theirs[0] == mine[0] else theirs[0],
                teacher_prefix="" if theirs[1] == mine[1] else theirs[1],
                turns=student.turns,
            )
        )
    return rows


def contexts(
    problem: Problem, item: Counterfactual, teacher_sees: TeacherSees
) -> tuple[Problem, Problem]:
    """Return a problem as the student and as the teacher see it in the row of a changed question.

    `same`: both see the changed question. `cut`: the teacher sees the question without the spans;
    the student sees the changed question where something came in, else the whole one (METHOD,
    "Two contexts").

        X                     Ann has 2 pens. It rains. How many?
        cut " It rains."      student: X
                              teacher: Ann has 2 pens. How many?
        put in " Bo is 7."    student: Ann has 2 pens. Bo is 7. It rains. How many?
                              teacher: X
        put in for the cut    student: Ann has 2 pens. Bo is 7. How many?
                              teacher: Ann has 2 pens. How many?
    """
    changed = replace(problem, question=item.question)
    if teacher_sees == "same":
        return changed, changed
    cut = replace(problem, question=remove(problem.question, item.spans))
    return changed if item.inserted else problem, cut


def hold_out(problem_ids: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Choose problems for validation: a share of them, rounded down, at random.

    What is chosen depends on the problems and the seed alone, so all arms leave out the same.
    """
    order = torch.randperm(len(problem_ids), generator=torch.Generator().manual_seed(seed))
    chosen: list[int] = order[: int(share * len(problem_ids))].tolist()
    return frozenset(problem_ids[at] for at in chosen)


def split_rows(
    rows: Sequence[TrainingExample], held_out: frozenset[str]
) -> tuple[list[TrainingExample], list[TrainingExample]]:
    """Return the rows to train on, and those of held-out problems."""
    kept = [row for row in rows if row.problem_id not in held_out]
    return kept, [row for row in rows if row.problem_id in held_out]
