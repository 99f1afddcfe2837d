"""Condition (ii): which changed questions are kept, and why the others are not."""

import dataclasses

import pytest

from leaf.errors import LeafError
from leaf.records import Counterfactual, Outcome, Problem
from leaf.verify import judge, pruned_problems
from tests.verify.judged import REMOVAL, RIGHT, UNGRADABLE, WRONG, graded


@pytest.mark.parametrize(
    ("student", "teacher", "kept", "reason"),
    [
        (RIGHT, RIGHT, True, "kept"),
        (WRONG, RIGHT, False, "student wrong"),
        (RIGHT, WRONG, False, "teacher wrong"),
        (WRONG, WRONG, False, "student wrong and teacher wrong"),
        (UNGRADABLE, RIGHT, False, "student not gradable"),
        (RIGHT, UNGRADABLE, False, "teacher not gradable"),
        (UNGRADABLE, WRONG, False, "student not gradable and teacher wrong"),
    ],
)
def test_only_two_right_answers_keep_a_counterfactual(
    student: Outcome, teacher: Outcome, kept: bool, reason: str
) -> None:
    verdict = judge(REMOVAL, graded("is 4", student), graded("is 5", teacher))
    assert (verdict.kept, verdict.reason) == (kept, reason)
    assert (verdict.student, verdict.teacher) == (student, teacher)
    assert (verdict.student_text, verdict.teacher_text) == ("is 4", "is 5")
    assert (verdict.counterfactual_id, verdict.problem_id) == ("p1/cf0", "p1")


@pytest.mark.parametrize(
    ("student", "reason"), [(WRONG, "student wrong"), (UNGRADABLE, "student not gradable")]
)
def test_a_teacher_that_was_not_asked_is_neither_right_nor_wrong(
    student: Outcome, reason: str
) -> None:
    verdict = judge(REMOVAL, graded("is 4", student), None)
    assert (verdict.kept, verdict.reason) == (False, reason)
    assert (verdict.student, verdict.teacher, verdict.teacher_text) == (student, None, None)


def test_a_right_student_without_the_teachers_word_is_refused() -> None:
    with pytest.raises(LeafError) as caught:
        judge(REMOVAL, graded("is 4", RIGHT), None)
    assert str(caught.value) == "p1/cf0: the teacher's answer decides, so it must be asked"


def test_removing_all_spans_together_needs_both_models_as_one_span_does() -> None:
    collective = dataclasses.replace(REMOVAL, strategy="collective")
    assert judge(collective, graded("is 4", RIGHT), graded("is 5", RIGHT)).kept
    assert not judge(collective, graded("is 4", WRONG), graded("is 5", RIGHT)).kept


def test_a_pruned_problem_is_the_problem_with_its_question_shortened() -> None:
    problem = Problem(
        id="p1",
        question="Tom red pens?",
        answer="4",
        solution="2 + 2 = 4",
        before="Read: ",
        after="\nEnd with a number.",
        grader="math",
    )
    skipped = Counterfactual(
        id="p1/none",
        problem_id="p1",
        strategy="span",
        spans=(),
        question="Tom red pens?",
        skipped="no candidate token",
    )
    assert pruned_problems({"p1": problem}, [skipped, REMOVAL]) == [
        Problem(
            id="p1/cf0",
            question="Tom pens?",
            answer="4",
            solution="2 + 2 = 4",
            before="Read: ",
            after="\nEnd with a number.",
            grader="math",
        )
    ]
