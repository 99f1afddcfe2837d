"""Changed questions to answer again, and what both answers say of them."""

import dataclasses
from collections.abc import Mapping, Sequence

from leaf.errors import LeafError
from leaf.records import Answer, Counterfactual, Outcome, Problem, Score, Verdict


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
    transplants: str = "all",
    *,
    alone: bool = False,
) -> Verdict:
    """Judge one changed question by both models' answers to it.

    A removal is kept when both are right, a transplant when the teacher is; with `transplants` of
    `student_wrong` the student must have failed it. `teacher` is None where it was not asked, which
    is allowed only for a removal that the student failed, and `alone`, without a teacher: then
    the student's answer decides about a removal, and nothing about a transplant.

    Raises:
        LeafError: the teacher's answer decides and it was not asked.
    """
    student_answer, student_score = student
    transplant = counterfactual.strategy == "transplant"
    if teacher is None and not alone and (student_score.right or transplant):
        raise LeafError(f"{counterfactual.id}: the teacher's answer decides, so it must be asked")
    reasons = []
    if not transplant and not student_score.right:
        reasons.append(f"student {student_score.outcome}")
    if transplant and transplants == "student_wrong" and student_score.right:
        reasons.append("student right already")
    if teacher is not None and not teacher[1].right:
        reasons.append(f"teacher {teacher[1].outcome}")
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


def effects(tried: Sequence[Counterfactual], verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return how often each inserted text misled the student and not the teacher, in [0, 1].

    Only insertions count: their problem was solved by the student without the text. Where no
    teacher was asked the student's answer alone counts. An estimate of
    the effect of do(insert text) on the student; by chance verified spans have little.

    Args:
        tried: Counterfactuals; those that insert nothing into a whole question are passed over.
        verdicts: One for each of `tried`, in that order.
    """
    misled: dict[str, list[bool]] = {}
    for item, verdict in zip(tried, verdicts, strict=True):
        if item.inserted and not item.spans[0].text:
            solvable = verdict.teacher in (Outcome.RIGHT, None)
            fooled = solvable and verdict.student is not Outcome.RIGHT
            misled.setdefault(item.inserted, []).append(fooled)
    return {text: sum(found) / len(found) for text, found in misled.items()}


def screen(
    tried: Sequence[Counterfactual], verdicts: Sequence[Verdict], effect: float
) -> list[Verdict]:
    """Let go of kept transplants whose text has less than this effect (see `effects`).

    Of a replacement both texts count, what came in and what went out.
    """
    known = effects(tried, verdicts)
    reason = f"its text misled the student in less than {effect:.0%} of its insertions"
    return [
        dataclasses.replace(verdict, kept=False, reason=reason)
        if verdict.kept and _least_effect(item, known) < effect
        else verdict
        for item, verdict in zip(tried, verdicts, strict=True)
    ]


def _least_effect(item: Counterfactual, known: Mapping[str, float]) -> float:
    texts = [item.inserted, *(span.text.strip() for span in item.spans)]
    return min(known.get(text, 0.0) for text in texts if text)
