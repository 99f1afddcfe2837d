"""Who enters detection: each way to fail, and what is no failure."""

from pathlib import Path

import pytest

from leaf.pipeline.detection import Detection
from leaf.pipeline.entering import entering, failing, in_time, in_words, outcomes
from leaf.pipeline.session import Session
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Outcome, Problem, Score, Verdict
from leaf.store.store import Store

R, W, U = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE

CASES = {
    # name: (outcome, reason, truncated, failure) of the student
    "right": (R, None, False, None),
    "wrong": (W, None, False, None),
    "wrong, cut": (W, None, True, None),
    "no answer": (U, "no final number found", False, None),
    "empty": (U, "empty answer", False, None),
    "unreadable": (U, "answer is not readable: x", False, None),
    "cut": (U, "cut at the token limit before a final answer", True, None),
    "failed": (U, "the server says no", False, "the server says no"),
    "gold": (U, "gold answer is not readable: x", False, None),
    "no tests": (U, "the problem has no tests", False, None),
    "slow": (U, "symbolic comparison took longer than 2 s", False, None),
}

PROBLEMS = [Problem(id=name, question="?", answer="4", solution="4") for name in CASES]


def graded(cases, outcome=None, truncated=()):
    answers, scores = [], []
    for name, (own, reason, cut, failure) in cases.items():
        answers.append(
            Answer(
                problem_id=name,
                text="",
                prompt_tokens=1,
                response_tokens=1,
                truncated=name in truncated if outcome else cut,
                failure=None if outcome else failure,
            )
        )
        scores.append(Score(problem_id=name, outcome=outcome or own, extracted=None, reason=reason))
    return answers, scores


def test_by_default_only_what_was_graded_wrong_enters() -> None:
    found = entering(PROBLEMS, graded(CASES), graded(CASES, R), "wrong")
    assert found == {"wrong": "wrong", "wrong, cut": "wrong"}


def test_with_failed_answers_without_an_end_or_a_final_answer_enter_too() -> None:
    found = entering(PROBLEMS, graded(CASES), graded(CASES, R), "failed")
    assert found == {
        "wrong": "wrong",
        "wrong, cut": "wrong",
        "no answer": "no answer",
        "empty": "no answer",
        "unreadable": "no answer",
        "cut": "cut",
    }


@pytest.mark.parametrize("rule", ["wrong", "failed"])
def test_a_teacher_asked_only_what_the_student_failed_lets_the_same_enter(rule: str) -> None:
    asked = set(failing(PROBLEMS, graded(CASES), rule))
    answers, scores = graded(CASES, R, truncated={"cut"})
    few = [pair for pair in zip(answers, scores, strict=True) if pair[0].problem_id in asked]
    teacher = [answer for answer, _ in few], [score for _, score in few]
    assert len(few) < len(CASES)
    assert entering(PROBLEMS, graded(CASES), teacher, rule) == entering(
        PROBLEMS, graded(CASES), (answers, scores), rule
    )


def test_where_the_student_was_cut_the_teacher_must_have_ended_in_time() -> None:
    teacher = graded(CASES, R, truncated={"cut", "no answer", "wrong"})
    found = entering(PROBLEMS, graded(CASES), teacher, "failed")
    assert "cut" not in found
    assert {"no answer", "wrong"} <= set(found)


def test_what_the_teacher_fails_never_enters_and_without_one_all_that_failed_does() -> None:
    assert entering(PROBLEMS, graded(CASES), graded(CASES, W), "failed") == {}
    assert len(entering(PROBLEMS, graded(CASES), None, "failed")) == 6


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ({}, "student wrong, teacher right"),
        ({"a": "wrong"}, "student wrong, teacher right"),
        (
            {"a": "cut", "b": "cut", "c": "wrong"},
            "student 1 wrong, 0 without a final answer, 2 cut at the limit; teacher right",
        ),
    ],
)
def test_each_way_to_fail_is_said_where_there_are_several(entered, said) -> None:
    assert in_words(entered) == said
    assert in_words(entered, alone=True) == said.replace(", teacher right", "").replace(
        "; teacher right", ""
    )


@pytest.mark.parametrize(
    ("truncated", "kind", "kept"),
    [(True, "cut", False), (False, "cut", True), (True, "wrong", True), (True, None, True)],
)
def test_without_a_teacher_the_answer_to_the_cut_question_must_end_in_time(
    truncated: bool, kind: str | None, kept: bool
) -> None:
    verdict = Verdict(
        counterfactual_id="p/cf0",
        problem_id="p",
        student=R,
        teacher=None,
        student_text="4",
        teacher_text=None,
        kept=True,
        reason="kept",
    )
    answer = Answer(
        problem_id="p/cf0", text="4", prompt_tokens=1, response_tokens=1, truncated=truncated
    )
    found = in_time(verdict, answer, {"p": kind} if kind else {})
    assert found.kept == kept
    assert found.reason == ("kept" if kept else "student right, but cut at the token limit")


@pytest.mark.parametrize("rule", ["wrong", "failed"])
def test_stage_1_chooses_as_the_recipe_says(minimal_recipe: Recipe, rule: str) -> None:
    attribute = minimal_recipe.attribute.model_copy(update={"enter": rule})
    recipe = minimal_recipe.model_copy(update={"attribute": attribute})
    detection = Detection(Session(recipe, Store(Path())), PROBLEMS, graded(CASES), graded(CASES, R))
    expected = entering(PROBLEMS, graded(CASES), graded(CASES, R), rule)
    assert [problem.id for problem in detection.chosen] == list(expected)
    assert detection.entered == expected


@pytest.fixture
def minimal_recipe() -> Recipe:
    values = {"name": "x", "student": {"model": "s"}, "teacher": {"model": "t"}}
    values |= {"data": {"task": "gsm8k"}, "evaluate": {"benchmarks": {}}}
    return check_recipe(values, source="test")


@pytest.mark.parametrize(
    ("cut", "lost", "said"),
    [
        (0, 0, "0 right, 3 wrong"),
        (17, 0, "0 right, 3 wrong, 17 not gradable: cut at the limit"),
        (2, 1, "0 right, 3 wrong, 3 not gradable: 2 cut at the limit"),
    ],
)
def test_right_wrong_and_not_gradable_are_counted_apart_with_the_reason(
    cut: int, lost: int, said: str
) -> None:
    wrong = {str(at): (Outcome.WRONG, None, False, None) for at in range(3)}
    long = {f"cut {at}": CASES["cut"] for at in range(cut)}
    empty = {f"lost {at}": (U, "no final number found", False, None) for at in range(lost)}
    assert outcomes(graded(wrong | long | empty)) == said
