r"""`open_graders` sends each problem to its own scorer and keeps the order."""

import json
from dataclasses import replace

import pytest

from leaf.errors import DataError
from leaf.grade import GRADERS, open_graders
from leaf.recipe import GradeSection
from leaf.records import Answer, Outcome, Problem


def problem(number: int, gold: str, grader: str) -> Problem:
    return Problem(id=f"p{number}", question="?", answer=gold, solution="", grader=grader)


def answer(number: int, text: str, failure: str | None = None) -> Answer:
    return Answer(
        problem_id=f"p{number}",
        text=text,
        prompt_tokens=1,
        response_tokens=1,
        truncated=False,
        failure=failure,
    )


def test_each_problem_is_judged_by_its_own_grader_and_the_order_is_kept() -> None:
    # 0.2 and 20% are one value to `math`, but `numbers` drops the sign: 20 is not 0.2.
    problems = [
        problem(1, "0.2", "math"),
        problem(2, "0.2", "numbers"),
        problem(3, r"\frac{1}{2}", "math"),
        problem(4, "7", "numbers"),
    ]
    texts = [r"\boxed{20\%}", r"\boxed{20\%}", r"\boxed{\frac{2}{4}}", r"\boxed{7}"]
    answers = [answer(number, text) for number, text in enumerate(texts, start=1)]
    with open_graders(GradeSection()) as grader:
        scores = grader.grade(problems, answers)
    assert [score.problem_id for score in scores] == ["p1", "p2", "p3", "p4"]
    assert [score.right for score in scores] == [True, False, True, True]


OPTIONS = {
    "any": {"of": ["numbers", "math"]},
    "all": {"of": ["numbers", "math"]},
    "judge": {"model": "package:playground/models/teacher"},
}
"""Of graders that cannot do without."""


@pytest.mark.parametrize("grader_name", sorted(GRADERS))
def test_an_answer_that_is_not_there_is_not_gradable(grader_name: str) -> None:
    options = json.dumps(OPTIONS.get(grader_name, {}))
    problems = [replace(problem(n, "7", grader_name), grader_options=options) for n in (1, 2)]
    answers = [answer(1, "", failure="prompt of 9000 tokens, context 8192"), answer(2, " \n")]
    with open_graders(GradeSection()) as grader:
        scores = grader.grade(problems, answers)
    assert [score.outcome for score in scores] == [Outcome.UNGRADABLE] * 2
    assert [score.reason for score in scores] == [
        "prompt of 9000 tokens, context 8192",
        "empty answer",
    ]


def test_an_unknown_grader_is_one_clear_line() -> None:
    with (
        open_graders(GradeSection()) as grader,
        pytest.raises(DataError, match="problem p1: grader `maths` is unknown; there are: all,"),
    ):
        grader.grade([problem(1, "7", "maths")], [answer(1, "7")])


def test_nothing_to_grade_gives_nothing() -> None:
    with open_graders(GradeSection()) as grader:
        assert grader.grade([], []) == []
