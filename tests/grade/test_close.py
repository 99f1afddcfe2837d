"""A number is right within an error: |answer - gold| <= max(absolute, relative |gold|)."""

import pytest

from leaf.grade import Graders, open_graders
from leaf.grade.close import Close
from leaf.grade.judgement import Comparison
from leaf.recipe import GradeSection
from leaf.records import Answer, Outcome, Problem


def problem(gold: str, options: str = "") -> Problem:
    return Problem(
        id="p", question="?", answer=gold, solution="", grader="close", grader_options=options
    )


def answer(text: str) -> Answer:
    return Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=False)


@pytest.mark.parametrize(
    ("gold", "text", "options", "outcome"),
    [
        ("100", "about 101", "", "right"),  # 1% of 100 is 1
        ("100", "99", "", "right"),
        ("100", "98.99", "", "wrong"),
        ("-100", "-101", "", "right"),
        ("0", "0.001", "", "wrong"),  # a share of nothing is nothing
        ("0", "0.001", '{"absolute": 0.001}', "right"),
        ("100", "105", '{"absolute": 5, "relative": 0}', "right"),
        ("100", "105.01", '{"absolute": 5, "relative": 0}', "wrong"),
        # 0.3 - 0.1 of binary floats is 0.19999999999999998; decimals are compared as written.
        ("0.3", "0.1", '{"absolute": 0.2, "relative": 0}', "right"),
        ("100", "I do not know", "", "ungradable"),
    ],
)
def test_the_larger_of_both_errors_is_allowed(
    gold: str, text: str, options: str, outcome: str, grader: Graders
) -> None:
    (score,) = grader.grade([problem(gold, options)], [answer(text)])
    assert score.outcome == outcome


@pytest.mark.parametrize(
    ("gold", "text", "outcome"),
    [
        (r"\frac{2}{3}", "0.667", "right"),  # 0.667 - 2/3 = 0.0003 of 0.0067
        (r"\frac{2}{3}", "0.68", "wrong"),
        ("1.41", r"\boxed{\sqrt{2}}", "right"),
        ("1.3", r"\boxed{\sqrt{2}}", "wrong"),
    ],
)
def test_a_value_that_is_written_as_mathematics_is_compared_too(
    gold: str, text: str, outcome: str, grader: Graders
) -> None:
    (score,) = grader.grade([problem(gold)], [answer(text)])
    assert score.outcome == outcome


def test_only_what_is_no_plain_number_needs_another_process() -> None:
    assert not isinstance(Close().judge(problem("100"), answer("99")), Comparison)
    assert isinstance(Close().judge(problem("100"), answer(r"\boxed{\sqrt{2}}")), Comparison)


def test_two_problems_may_have_different_options() -> None:
    problems = [problem("100", '{"relative": 0.1}'), problem("100")]
    with open_graders(GradeSection()) as grader:
        first, second = grader.grade(problems, [answer("109"), answer("109")])
    assert (first.outcome, second.outcome) == (Outcome.RIGHT, Outcome.WRONG)
