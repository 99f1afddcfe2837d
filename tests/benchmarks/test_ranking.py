"""One ranking against what is planted: areas, marks and sentences, worked out by hand."""

import random

import numpy as np
import pytest

from benchmarks import _ranking
from leaf.records import Distractor, Problem, RankedUnits


def ranking(question: str, units: list[str], gap: list[float]) -> RankedUnits:
    """Return a ranking of units that tile the question."""
    assert "".join(units) == question
    ends = np.cumsum([len(unit) for unit in units]).tolist()
    return RankedUnits(
        problem_id="p",
        starts=(0, *ends[:-1]),
        ends=tuple(ends),
        rank_score=tuple(gap),
    )


def planted(question: str, *texts: str) -> Problem:
    return Problem(
        id="p",
        question=question,
        answer="4",
        solution="4",
        distractors=tuple(
            Distractor(kind="cue", start=question.index(text), end=question.index(text) + len(text))
            for text in texts
        ),
    )


# Area under the curve.


def test_a_tie_counts_half_in_the_area_under_the_curve() -> None:
    # Planted 0.1 and 0.5 against 0.5 and 0.9: lower, lower, tied, lower.
    found = _ranking.auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([True, True, False, False]))
    assert found == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("seed", range(20))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(seed: int) -> None:
    rng = random.Random(seed)
    # Few values, so that most rankings have ties.
    gap = [rng.randint(0, 6) / 6 for _ in range(17)]
    inside = [True, False, *(rng.random() < 0.3 for _ in range(15))]
    pairs = [
        1.0 if ours < theirs else 0.5 if ours == theirs else 0.0
        for ours, known in zip(gap, inside, strict=True)
        for theirs, other in zip(gap, inside, strict=True)
        if known and not other
    ]
    assert _ranking.auc(np.array(gap), np.array(inside)) == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize("known", [True, False])
def test_without_both_kinds_there_is_no_area_under_the_curve(known: bool) -> None:
    assert _ranking.auc(np.array([0.0, 1.0]), np.array([known, known])) is None


# What is planted, and what is found of it.

CUED = "At the market, Mia gives 4 pens."
CUED_UNITS = ["At", " the", " market", ",", " Mia", " gives", " 4", " pens", "."]


def test_a_unit_that_shares_only_a_space_with_a_distractor_is_not_planted() -> None:
    # The cue ends in the space with which the token of the name begins.
    scores = ranking(CUED, CUED_UNITS, [0.5] * 9)
    found = _ranking.holds_planted(scores, planted(CUED, "At the market, "))
    assert found.tolist() == [True] * 4 + [False] * 5


def test_a_unit_that_shares_one_character_with_a_distractor_is_planted() -> None:
    scores = ranking("abcd", ["ab", "cd"], [0.0, 1.0])
    assert _ranking.holds_planted(scores, planted("abcd", "bc")).tolist() == [True, True]
    assert _ranking.holds_planted(scores, planted("abcd", "cd")).tolist() == [False, True]


def test_whitespace_units_count_nowhere() -> None:
    # "red" and " " are planted; "Tom", " " and "red" are marked; 3 units have text.
    question = "Tom red pens"
    scores = ranking(question, ["Tom", " ", "red", " ", "pens"], [0.2, 0.0, 0.1, 0.0, 1.0])
    marked = np.array([True, True, True, False, False])
    found = _ranking.agreement(scores, marked, planted(question, "red "))
    assert (found.units, found.planted, found.marked, found.hits) == (3, 1, 2, 1)
    # "red" stands before "Tom" and "pens"; spaces, lower than all, play no part.
    assert found.auc == 1.0


# Sentences.

# One sentence each: planted, real, real.
STORY = "Tom is 9. Ada has 3 pens. How many?"
STORY_UNITS = ["Tom", " is", " 9", ".", " Ada", " has", " 3", " pens", ".", " How", " many", "?"]


def hit(gap: list[float], *texts: str) -> tuple[float, float]:
    scores = ranking(STORY, STORY_UNITS, gap)
    planted_U = _ranking.holds_planted(scores, planted(STORY, *texts))
    return _ranking.piece_hit(scores, STORY, planted_U, "sentence")


def test_the_first_sentence_is_that_of_the_lowest_mean_not_of_the_lowest_unit() -> None:
    # Means: 0.2; (0 + 4 x 0.5) / 5 = 0.4, though it holds the lowest unit; 0.9.
    gap = [0.2] * 4 + [0.0] + [0.5] * 4 + [0.9] * 3
    assert hit(gap, "Tom is 9.") == (1.0, pytest.approx(1 / 3))
    assert hit(gap, "Ada has 3 pens.") == (0.0, pytest.approx(1 / 3))


def test_sentences_that_tie_share_the_hit() -> None:
    # The planted one and the question both have a mean of 0.3.
    gap = [0.3] * 4 + [0.8] * 5 + [0.3] * 3
    assert hit(gap, "Tom is 9.") == (0.5, pytest.approx(1 / 3))


def test_a_planted_text_of_two_sentences_makes_both_of_them_planted() -> None:
    gap = [0.9] * 4 + [0.1] * 5 + [0.5] * 3
    assert hit(gap, "Tom is 9. Ada has 3 pens.") == (1.0, pytest.approx(2 / 3))


def test_the_first_phrase_is_half_a_sentence() -> None:
    question = "Ada has 3 pens weighing 9 pounds. How many?"
    units = ["Ada", " has", " 3", " pens", " weighing", " 9", " pounds", ".", " How", " many", "?"]
    gap = [0.6] * 4 + [0.1] * 4 + [0.9] * 3
    scores = ranking(question, units, gap)
    planted_U = _ranking.holds_planted(scores, planted(question, "weighing 9 pounds"))
    # Phrases: "Ada has 3 pens", " weighing 9 pounds." and the question.
    assert _ranking.piece_hit(scores, question, planted_U, "phrase") == (1.0, pytest.approx(1 / 3))
    # The sentence that holds it holds the pens as well.
    assert _ranking.piece_hit(scores, question, planted_U, "sentence") == (1.0, 0.5)
