"""Changed questions to answer again, and what both answers say of them."""

import dataclasses
from collections.abc import Mapping, Sequence

from leaf.errors import LeafError
from leaf.records import Answer, Counterfactual, Outcome, Problem, Score, Verdict


def in_words(outcome: Outcome) -> str:
    """Say an outcome as people do: `right`, `wrong`, `not gradable`."""
    return "not gradable" if outcome is Outcome.UNGRADABLE else outcome.value


def pruned_problems(
    problems: Mapping[str, Problem], counterfactuals: Sequence[Counterfactual]
) -> list[Problem]:
    """Return each counterfactual as a problem of its own, under the counterfactual's id."""
    return [
        dataclasses.replace(
            problems[counterfactual.problem_id],
            id=counterfactual.id,
            question=counterfactual.question,
            # Their places are those of the original.
            distractors=(),
            protected=(),
        )
        for counterfactual in counterfactuals
        if not counterfactual.skipped
    ]


def judge(
    counterfactual: Counterfactual,
    student: tuple[Answer, Score],
    teacher: tuple[Answer, Score] | None,
    *,
    alone: bool = False,
) -> Verdict:
    """Judge one changed question by both models' answers to it.

    It is kept when both are right; `alone`, without a teacher, when the student is. `teacher` is
    None where it was not asked, which is allowed only `alone` and where the student failed. What is
    put in has rules of its own (`leaf.verify.put_in`).

    Raises:
        LeafError: the teacher's answer decides and it was not asked.
    """
    student_answer, student_score = student
    if teacher is None and not alone and student_score.right:
        raise LeafError(f"{counterfactual.id}: the teacher's answer decides, so it must be asked")
    reasons = []
    if not student_score.right:
        reasons.append(f"student {in_words(student_score.outcome)}")
    if teacher is not None and not teacher[1].right:
        reasons.append(f"teacher {in_words(teacher[1].outcome)}")
    return Verdict(
        counterfactual_id=counterfactual.id,
        problem_id=counterfactual.problem_id,
        student=student_score.outcome,
        teacher=None if teacher is None else teacher[1].outcome,
        student_text=student_answer.text,
        teacher_text=None if teacher is None else teacher[0].text,
        kept=not reasons,
        reason=" and ".join(reasons) or "kept",
    )
