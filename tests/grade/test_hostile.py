r"""Hostile answers of `math` and `olympiad`: not gradable, in bounded time, the rest goes on."""

import time

import pytest

from leaf.grade import GRADERS, open_graders
from leaf.grade.judgement import Comparison, Judgement
from leaf.recipe import GradeSection
from leaf.records import Answer, Outcome, Problem

MILLION = 1_000_000
TOWERS = [r"9^{9^{9^{9}}}", r"(10^{10^{10}})!"]
HUGE = {
    "100 kB of digits": "7" * 100_000,
    "a million nines": "9" * MILLION,
    "a million commas": "," * MILLION,
    "a million spaces": "1" + " " * MILLION + "1",
    "nested braces": "{" * 200_000 + "5" + "}" * 200_000,
    "nested fractions": r"\frac{1}{" * 50_000 + "2" + "}" * 50_000,
    "a list of 200,000": ", ".join(map(str, range(200_000))),
}
ODD = {
    "null bytes": "5\0\0",
    "a lone surrogate": "5\ud800",
    "only a null byte": "\0",
    "a bell and an escape": "\a\x1b[31m",
    "not a number": "nan",
}


def problem(gold: str, grader: str) -> Problem:
    golds = tuple(gold.split(", ")) if grader == "olympiad" else ()
    return Problem(id="p", question="?", answer=gold, solution="", grader=grader, golds=golds)


def answer(text: str) -> Answer:
    return Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=False)


def test_towers_are_killed_after_two_seconds_and_the_others_are_judged() -> None:
    texts = [rf"\boxed{{{TOWERS[0]}}}", rf"\boxed{{{TOWERS[1]}}}", rf"\boxed{{{TOWERS[0]}, 7}}"]
    problems = [problem("5", "math"), problem("5", "math"), problem("5, 7", "olympiad")]
    easy = problem(r"\frac{1}{2}", "math")
    begun = time.monotonic()
    with open_graders(GradeSection(workers=1, time_limit=2.0)) as grader:
        # Easy last: a fresh worker judges it, and on a busy machine that may be late.
        *hostile, _last = grader.grade([*problems, easy], [*map(answer, texts), answer("0.5")])
    elapsed = time.monotonic() - begun
    assert [score.outcome for score in hostile] == [Outcome.UNGRADABLE] * len(texts)
    assert all(score.reason for score in hostile)
    # Three times two seconds and three starts of a worker, on a machine with other work.
    assert elapsed < 120


@pytest.mark.parametrize("is_boxed", [True, False])
@pytest.mark.parametrize("name", sorted(HUGE))
@pytest.mark.parametrize("grader_name", ["numbers", "math", "olympiad"])
def test_a_huge_answer_is_read_in_linear_time_and_no_more_than_10_kb_is_compared(
    grader_name: str, name: str, is_boxed: bool
) -> None:
    text = rf"\boxed{{{HUGE[name]}}}" if is_boxed else HUGE[name]
    gold = "5, 7" if grader_name == "olympiad" else "57"
    begun = time.process_time()
    judged = GRADERS[grader_name]().judge(problem(gold, grader_name), answer(text))
    # Quadratic would be 10^10 steps: minutes.
    assert time.process_time() - begun < 5
    if isinstance(judged, Comparison):
        assert len(judged.answer) <= 10_000
    else:
        assert isinstance(judged, Judgement)
        assert judged.outcome is not Outcome.RIGHT


def test_an_answer_longer_than_any_gold_is_not_gradable_and_kept_short() -> None:
    with open_graders(GradeSection()) as grader:
        (score,) = grader.grade([problem("5", "math")], [answer(rf"\boxed{{{'9' * MILLION}}}")])
    assert score.outcome is Outcome.UNGRADABLE
    assert score.reason == "final answer of 1,000,000 characters"
    assert score.extracted is not None
    assert len(score.extracted) == 10_000


def test_odd_characters_are_judged_or_not_gradable_but_never_an_error() -> None:
    problems = [problem("7", one) for _ in ODD for one in ("numbers", "math", "olympiad")]
    answers = [answer(rf"\boxed{{{odd}}}") for odd in ODD.values() for _ in range(3)]
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as grader:
        scores = grader.grade(problems, answers)
    assert not [score for score in scores if score.right]


def test_no_characters_at_all_are_not_gradable() -> None:
    with open_graders(GradeSection()) as grader:
        scores = grader.grade([problem("7", "math")] * 2, [answer(""), answer(r"\boxed{}")])
    assert [score.outcome for score in scores] == [Outcome.UNGRADABLE] * 2
    assert [score.reason for score in scores] == ["empty answer", "no final answer found"]
