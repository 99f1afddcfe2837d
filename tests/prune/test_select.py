"""The rules of Eq. 5 with numbers that are worked out by hand."""

import numpy as np
import pytest

from leaf.prune import candidates
from leaf.recipe import PruneSection
from leaf.records import RankedUnits

# "ab", " ", "cd", " ", "ef": five units of one question.
QUESTION = "ab cd ef"
STARTS, ENDS = (0, 2, 3, 5, 6), (2, 3, 5, 6, 8)


def with_gap(*gap: float) -> RankedUnits:
    return RankedUnits(problem_id="p", starts=STARTS, ends=ENDS, rank_score=gap)


@pytest.mark.parametrize(
    ("threshold", "chosen"),
    [
        (0.0, [2]),
        (0.05, [2]),
        (0.10, [2, 4]),  # the threshold itself is a candidate
        (0.99, [2, 4]),
        (1.0, [0, 2, 4]),
    ],
)
def test_the_value_rule_takes_gaps_up_to_the_threshold(threshold: float, chosen: list[int]) -> None:
    section = PruneSection(rule="value", threshold=threshold)
    marked = candidates(with_gap(1.0, 0.02, 0.0, 0.03, 0.10), QUESTION, section)
    assert np.flatnonzero(marked).tolist() == chosen


@pytest.mark.parametrize(
    ("share", "chosen"),
    [
        # Sorted 0, 0.2, 0.6, 0.8, 1: the 0.25 quantile of five is the second, 0.5 the third.
        (0.0, [4]),
        (0.25, [0, 4]),
        (0.5, [0, 2, 4]),
    ],
)
def test_the_quantile_rule_takes_the_lowest_share(share: float, chosen: list[int]) -> None:
    section = PruneSection(rule="quantile", threshold=share)
    marked = candidates(with_gap(0.2, 0.8, 0.6, 1.0, 0.0), QUESTION, section)
    assert np.flatnonzero(marked).tolist() == chosen


def test_the_quantile_rule_does_not_look_at_how_low_a_gap_is() -> None:
    # Gaps 0, 0.9, 0.95, 0.97, 1: by value 0.5 takes one unit, the lowest half are three.
    scores = with_gap(0.0, 0.97, 0.9, 1.0, 0.95)
    by_value = candidates(scores, QUESTION, PruneSection(rule="value", threshold=0.5))
    by_share = candidates(scores, QUESTION, PruneSection(rule="quantile", threshold=0.5))
    assert np.flatnonzero(by_value).tolist() == [0]
    assert np.flatnonzero(by_share).tolist() == [0, 2, 4]


@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\u3000", "\r\n"])
@pytest.mark.parametrize("rule", ["value", "quantile"])
def test_white_space_is_never_a_candidate(rule: str, blank: str) -> None:
    width = len(blank)
    scores = RankedUnits(
        problem_id="p",
        starts=(0, 1, 1 + width),
        ends=(1, 1 + width, 2 + width),
        rank_score=(0.5, 0.0, 1.0),
    )
    section = PruneSection.model_validate({"rule": rule, "threshold": 1.0})
    assert candidates(scores, f"a{blank}b", section).tolist() == [True, False, True]
