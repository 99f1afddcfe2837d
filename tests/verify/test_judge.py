"""Condition (ii): which changed questions are kept, and why the others are not."""

import dataclasses

import pytest

from leaf.errors import LeafError
from leaf.records import Answer, Counterfactual, Outcome, Problem, Score, Span, Verdict
from leaf.verify import effects, judge, pruned_problems, screen

RIGHT, WRONG, UNGRADABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE

COUNTERFACTUAL = Counterfactual(
    id="p1/cf0",
    problem_id="p1",
    strategy="span",
    spans=(Span(start=4, end=8, text="red ", gap=0.0, units=2),),
    question="Tom pens?",
)

TRANSPLANT = dataclasses.replace(
    COUNTERFACTUAL,
    id="p1/tp0",
    strategy="transplant",
    question="Tom slow pens?",
    inserted="slow",
    donor="p2/cf0",
)


def graded(text: str, outcome: Outcome) -> tuple[Answer, Score]:
    answer = Answer(
        problem_id="p1/cf0", text=text, prompt_tokens=9, response_tokens=3, truncated=False
    )
    score = Score(problem_id="p1/cf0", outcome=outcome, extracted=None, reason=None)
    return answer, score


@pytest.mark.parametrize(
    ("student", "teacher", "kept", "reason"),
    [
        (RIGHT, RIGHT, True, "kept"),
        (WRONG, RIGHT, False, "student wrong"),
        (RIGHT, WRONG, False, "teacher wrong"),
        (WRONG, WRONG, False, "student wrong and teacher wrong"),
        (UNGRADABLE, RIGHT, False, "student ungradable"),
        (RIGHT, UNGRADABLE, False, "teacher ungradable"),
        (UNGRADABLE, WRONG, False, "student ungradable and teacher wrong"),
    ],
)
def test_only_two_right_answers_keep_a_counterfactual(
    student: Outcome, teacher: Outcome, kept: bool, reason: str
) -> None:
    verdict = judge(COUNTERFACTUAL, graded("is 4", student), graded("is 5", teacher))
    assert (verdict.kept, verdict.reason) == (kept, reason)
    assert (verdict.student, verdict.teacher) == (student, teacher)
    assert (verdict.student_text, verdict.teacher_text) == ("is 4", "is 5")
    assert (verdict.counterfactual_id, verdict.problem_id) == ("p1/cf0", "p1")


@pytest.mark.parametrize("student", [WRONG, UNGRADABLE])
def test_a_teacher_that_was_not_asked_is_neither_right_nor_wrong(student: Outcome) -> None:
    verdict = judge(COUNTERFACTUAL, graded("is 4", student), None)
    assert (verdict.kept, verdict.reason) == (False, f"student {student.value}")
    assert (verdict.student, verdict.teacher, verdict.teacher_text) == (student, None, None)


def test_a_right_student_without_the_teachers_word_is_refused() -> None:
    with pytest.raises(LeafError) as caught:
        judge(COUNTERFACTUAL, graded("is 4", RIGHT), None)
    assert str(caught.value) == "p1/cf0: the teacher's answer decides, so it must be asked"


@pytest.mark.parametrize("student", Outcome)
@pytest.mark.parametrize(
    ("teacher", "kept", "reason"),
    [
        (RIGHT, True, "kept"),
        (WRONG, False, "teacher wrong"),
        (UNGRADABLE, False, "teacher ungradable"),
    ],
)
def test_a_transplant_is_kept_when_the_teacher_is_right_whatever_the_student_says(
    student: Outcome, teacher: Outcome, kept: bool, reason: str
) -> None:
    verdict = judge(TRANSPLANT, graded("is 4", student), graded("is 5", teacher))
    assert (verdict.kept, verdict.reason) == (kept, reason)
    # The student's answer is recorded all the same.
    assert (verdict.student, verdict.teacher) == (student, teacher)
    assert (verdict.student_text, verdict.teacher_text) == ("is 4", "is 5")
    assert (verdict.counterfactual_id, verdict.problem_id) == ("p1/tp0", "p1")


@pytest.mark.parametrize("student", Outcome)
def test_the_teacher_must_be_asked_about_every_transplant(student: Outcome) -> None:
    with pytest.raises(LeafError) as caught:
        judge(TRANSPLANT, graded("is 4", student), None)
    assert str(caught.value) == "p1/tp0: the teacher's answer decides, so it must be asked"


def test_removing_all_spans_together_needs_both_models_as_one_span_does() -> None:
    collective = dataclasses.replace(COUNTERFACTUAL, strategy="collective")
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
    assert pruned_problems({"p1": problem}, [skipped, COUNTERFACTUAL]) == [
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


@pytest.mark.parametrize(
    ("student", "teacher", "kept", "reason"),
    [
        (WRONG, RIGHT, True, "kept"),
        (UNGRADABLE, RIGHT, True, "kept"),
        (RIGHT, RIGHT, False, "student right already"),
        (WRONG, WRONG, False, "teacher wrong"),
        (RIGHT, WRONG, False, "student right already and teacher wrong"),
    ],
)
def test_where_asked_only_transplants_that_the_student_fails_are_kept(
    student: Outcome, teacher: Outcome, kept: bool, reason: str
) -> None:
    verdict = judge(TRANSPLANT, graded("4", student), graded("5", teacher), "student_wrong")
    assert (verdict.kept, verdict.reason) == (kept, reason)


def test_that_choice_does_not_touch_removals() -> None:
    verdict = judge(COUNTERFACTUAL, graded("5", RIGHT), graded("5", RIGHT), "student_wrong")
    assert verdict.kept


# The effect of a text.


def inserted(text: str, number: int) -> Counterfactual:
    empty = Span(start=0, end=0, text="", gap=0.0, units=0)
    return dataclasses.replace(TRANSPLANT, id=f"p1/tp{number}", spans=(empty,), inserted=text)


def replaced(old: str, new: str, number: int) -> Counterfactual:
    span = Span(start=4, end=4 + len(old), text=f" {old}", gap=0.0, units=1)
    return dataclasses.replace(TRANSPLANT, id=f"p1/tp{number}", spans=(span,), inserted=new)


def verdict_of(item: Counterfactual, student: Outcome, teacher: Outcome) -> Verdict:
    return Verdict(
        counterfactual_id=item.id,
        problem_id=item.problem_id,
        student=student,
        teacher=teacher,
        student_text="",
        teacher_text="",
        kept=teacher is RIGHT,
        reason="kept" if teacher is RIGHT else "teacher wrong",
    )


SCREENED = [
    # Of four insertions of "slow", two mislead the student alone; one misleads both.
    (inserted("slow", 0), WRONG, RIGHT),
    (inserted("slow", 1), UNGRADABLE, RIGHT),
    (inserted("slow", 2), RIGHT, RIGHT),
    (inserted("slow", 3), WRONG, WRONG),
    (inserted("Kim", 4), RIGHT, RIGHT),
    # Replacements do not count: their problem was not solved before.
    (replaced("slow", "Kim", 5), WRONG, RIGHT),
    (replaced("slow", "slow", 6), RIGHT, RIGHT),
    (replaced("Kim", "slow", 7), RIGHT, RIGHT),
]


def test_an_effect_is_the_share_of_insertions_that_mislead_the_student_alone() -> None:
    tried = [item for item, _, _ in SCREENED]
    verdicts = [verdict_of(*case) for case in SCREENED]
    assert effects([COUNTERFACTUAL, *tried], [verdicts[0], *verdicts]) == {"slow": 0.5, "Kim": 0.0}


@pytest.mark.parametrize(
    ("effect", "kept"),
    # What comes in and what goes out must both have the effect.
    [(0.0, [0, 1, 2, 4, 5, 6, 7]), (0.5, [0, 1, 2, 6]), (0.51, [])],
)
def test_screening_lets_go_of_transplants_of_texts_with_less_effect(
    effect: float, kept: list[int]
) -> None:
    tried = [item for item, _, _ in SCREENED]
    verdicts = screen(tried, [verdict_of(*case) for case in SCREENED], effect)
    assert [at for at, verdict in enumerate(verdicts) if verdict.kept] == kept
    reasons = {verdict.reason for verdict in verdicts if not verdict.kept}
    less = f"its text misled the student in less than {effect:.0%} of its insertions"
    assert reasons <= {less, "teacher wrong"}
    assert verdicts[3].reason == "teacher wrong"
