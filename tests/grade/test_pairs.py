"""The graders agree with a hand, pair by pair; where they do not, it is a known limit."""

from collections.abc import Callable, Iterator

import pytest

from leaf.grade import math, open_graders
from leaf.recipe import GradeSection
from leaf.records import Answer, Outcome, Problem
from tests.grade.pairs import LIMITS, OLYMPIAD, PAIRS, TOLERANT, Pair

Judge = Callable[[Problem, str], Outcome]


@pytest.fixture(scope="module")
def judged() -> Judge:
    """Look up what was judged: all pairs at once, which is far faster than one by one."""
    problems, texts = zip(*_everything(), strict=True)
    answers = [
        Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=False)
        for text in texts
    ]
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as grader:
        scores = grader.grade(problems, answers)
    outcomes = {
        (problem, text): score.outcome
        for problem, text, score in zip(problems, texts, scores, strict=True)
    }
    return lambda problem, text: outcomes[problem, text]


def _everything() -> Iterator[tuple[Problem, str]]:
    for pair in (*PAIRS, *LIMITS):
        yield single(pair.gold, "math"), boxed(pair)
    for pair in PAIRS[::5]:
        yield single(pair.gold, "olympiad"), boxed(pair)
    for pair in OLYMPIAD:
        yield several(pair), boxed(pair)
    for pair in TOLERANT:
        yield single(pair.gold, "olympiad", tolerance=0.1), boxed(pair)
    for text, _ in STATED:
        yield THREE, text


def boxed(pair: Pair) -> str:
    return rf"So \boxed{{{pair.said}}}."


def single(gold: str, grader: str, tolerance: float | None = None) -> Problem:
    return Problem(
        id="p",
        question="?",
        answer=gold,
        solution="",
        grader=grader,
        golds=(gold,) if grader == "olympiad" else (),
        tolerance=tolerance,
    )


def several(pair: Pair) -> Problem:
    golds = tuple(pair.gold.split("; "))
    return Problem(
        id="p",
        question="?",
        answer=", ".join(golds),
        solution="",
        grader="olympiad",
        golds=golds,
    )


def named(pair: Pair) -> str:
    return f"{pair.gold} | {pair.said}"


THREE = several(Pair("1; 3; 5", "", Outcome.RIGHT, ""))
STATED = [
    (r"First \boxed{1}, then \boxed{3}, last \boxed{5}.", Outcome.RIGHT),
    (r"\boxed{1} and \boxed{3}", Outcome.WRONG),
    (r"\boxed{1} and again \boxed{1}, \boxed{3}, \boxed{5}", Outcome.RIGHT),
    (r"I guess \boxed{7}. No: \boxed{1, 3, 5}", Outcome.RIGHT),
    ("The answer is 1, 3 and 5.", Outcome.RIGHT),
    ("The answers are $1$, $3$ and $5$.", Outcome.RIGHT),
    ("The answer is 1 and 3.", Outcome.WRONG),
    (r"So $x$ must be in $\{1, 3, 5\}$", Outcome.RIGHT),
    ("I do not know.", Outcome.UNGRADABLE),
    (r"\boxed{1, 3, ???}", Outcome.UNGRADABLE),
]


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_one_answer_is_judged_as_by_hand(judged: Judge, pair: Pair) -> None:
    assert judged(single(pair.gold, "math"), boxed(pair)) is pair.outcome, pair.why


@pytest.mark.parametrize("pair", PAIRS[::5], ids=named)
def test_olympiad_judges_one_answer_as_math_does(judged: Judge, pair: Pair) -> None:
    assert judged(single(pair.gold, "olympiad"), boxed(pair)) is pair.outcome, pair.why


@pytest.mark.parametrize("pair", OLYMPIAD, ids=named)
def test_of_several_answers_each_must_be_given_once(judged: Judge, pair: Pair) -> None:
    text = boxed(pair)
    assert judged(several(pair), text) is pair.outcome, pair.why


@pytest.mark.parametrize("pair", TOLERANT, ids=named)
def test_an_allowed_error_is_absolute(judged: Judge, pair: Pair) -> None:
    problem = single(pair.gold, "olympiad", tolerance=0.1)
    assert judged(problem, boxed(pair)) is pair.outcome, pair.why


@pytest.mark.parametrize("pair", LIMITS, ids=named)
def test_what_is_judged_otherwise_than_by_hand_is_known(judged: Judge, pair: Pair) -> None:
    text = boxed(pair)
    assert judged(single(pair.gold, "math"), text) is pair.outcome, pair.why


def test_every_known_limit_stands_in_the_docstring() -> None:
    written = math.__doc__ or ""
    missing = [
        pair.said
        for pair in LIMITS
        if pair.said not in written and pair.gold not in written and pair.why not in written
    ]
    assert missing == []


@pytest.mark.parametrize(("text", "outcome"), STATED)
def test_several_answers_may_stand_in_boxes_of_their_own_or_in_a_sentence(
    judged: Judge, text: str, outcome: Outcome
) -> None:
    assert judged(THREE, text) is outcome


def test_there_are_more_than_sixty_pairs_and_no_pair_twice() -> None:
    pairs = {(pair.gold, pair.said) for pair in PAIRS}
    assert len(pairs) == len(PAIRS) > 60
