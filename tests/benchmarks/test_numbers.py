"""Which numbers an answer computes with, in texts that were counted by hand."""

import pytest

from benchmarks._numbers import LEAVES_OUT, TAKES_IN, computed, computed_with, numbers_of
from leaf.records import Answer, Problem

CLEAN = "Katie had 8 sweets, her sister 23. They ate 9. How many are left?"
DISTRACTED = "Katie had 8 sweets that weigh 4 g, her sister 23. They ate 9. How many are left?"


def problem(question: str = CLEAN, *, base: str = "", grader: str = "numbers") -> Problem:
    more = {"base": base} if base else {}
    return Problem(id="p", question=question, answer="22", solution="", grader=grader, **more)


def answer(text: str) -> Answer:
    return Answer(problem_id="p", text=text, prompt_tokens=0, response_tokens=0, truncated=False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8 sweets and 23", set()),
        ("\\[ 8 + 23 = 31 \\]", {8.0, 23.0, 31.0}),
        ("We subtract 9 from 31. There were 4 cats.", {9.0, 31.0}),
        ("\\( \\frac{1,500}{3} \\)", {1500.0, 3.0}),
        ("8 \\text{ (of 4)} \\times 2.5", {8.0, 2.5}),
    ],
)
def test_only_calculations_count(text: str, found: set[float]) -> None:
    assert computed_with(text) == found


def test_numbers_are_those_in_digits() -> None:
    assert numbers_of("Room 12b has 3.50 m, 1,000 nails and two doors; 7.") == {3.5, 1000.0, 7.0}
    assert numbers_of("3.5m of rope") == set()


def test_a_number_left_out_and_one_taken_in_are_seen_each_by_itself() -> None:
    clean = {"p": CLEAN, "base": CLEAN}
    whole = answer("8 + 23 = 31. Then 31 - 9 = 22.")
    assert computed([problem()], [whole], clean) == {LEAVES_OUT: {"p": 0.0}}
    assert computed([problem()], [answer("8 - 9 = -1")], clean) == {LEAVES_OUT: {"p": 1.0}}
    taken = computed([problem(DISTRACTED, base="base")], [answer("8 * 4 = 32")], clean)
    assert taken == {LEAVES_OUT: {"p": 1.0}, TAKES_IN: {"p": 1.0}}
    held = computed([problem(DISTRACTED, base="base")], [whole], clean)
    assert held == {LEAVES_OUT: {"p": 0.0}, TAKES_IN: {"p": 0.0}}


def test_nothing_is_said_of_other_answers_or_without_the_clean_question() -> None:
    said = [answer("8 + 23 = 31")]
    assert computed([problem(grader="qa")], said, {"p": CLEAN}) == {}
    assert computed([problem(DISTRACTED, base="gone")], said, {"p": CLEAN}) == {}
