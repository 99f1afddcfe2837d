import math

import numpy as np
import pytest

from leaf.errors import LeafError
from leaf.evaluate import accuracy, compare
from leaf.records import Outcome, Score


def scored(pattern: str) -> list[Score]:
    """Scores from a word: r right, w wrong, u ungradable."""
    outcomes = {"r": Outcome.RIGHT, "w": Outcome.WRONG, "u": Outcome.UNGRADABLE}
    return [
        Score(problem_id=f"p{i}", outcome=outcomes[letter], extracted=None, reason=None)
        for i, letter in enumerate(pattern)
    ]


def paired(wins: int, losses: int, both: int, neither: int) -> tuple[list[Score], list[Score]]:
    ours = scored("r" * wins + "w" * losses + "r" * both + "w" * neither)
    theirs = scored("w" * wins + "r" * losses + "r" * both + "w" * neither)
    return ours, theirs


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 10), (16, 16), (700, 1319)])
def test_accuracy_interval_is_the_closed_form_of_wilson(right: int, n: int) -> None:
    estimate = accuracy(scored("r" * right + "w" * (n - right)))
    z, p = 1.959963984540054, right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (estimate.right, estimate.n, estimate.mean) == (right, n, p)
    assert estimate.low == pytest.approx(max(centre - half, 0), abs=1e-9)
    assert estimate.high == pytest.approx(min(centre + half, 1), abs=1e-9)


def test_ungradable_answers_count_in_n_as_not_right_and_are_told_apart() -> None:
    estimate = accuracy(scored("rruw"))
    assert (estimate.right, estimate.ungradable, estimate.n, estimate.mean) == (2, 1, 4, 0.5)


def test_accuracy_of_nothing_is_refused() -> None:
    with pytest.raises(LeafError, match="at least one score"):
        accuracy([])


def test_mcnemar_is_the_doubled_binomial_tail() -> None:
    # 10 discordant pairs, 2 or fewer losses: (1 + 10 + 45) / 2**10, doubled = 0.109375.
    comparison = compare(*paired(8, 2, 20, 10), resamples=500, seed=0)
    assert (comparison.wins, comparison.losses, comparison.n) == (8, 2, 40)
    assert comparison.difference == pytest.approx(6 / 40)
    assert comparison.p_value == pytest.approx(0.109375, abs=1e-12)


def test_mcnemar_of_even_wins_and_losses_is_one() -> None:
    assert compare(*paired(3, 3, 5, 5), resamples=200, seed=0).p_value == 1.0


def test_bootstrap_interval_agrees_with_the_normal_approximation_at_large_n() -> None:
    comparison = compare(*paired(150, 90, 500, 260), resamples=4000, seed=1)
    # Variance of a difference in {-1, 0, 1}: (wins + losses)/n - difference**2.
    spread = 1.96 * math.sqrt((240 / 1000 - 0.06**2) / 1000)
    assert comparison.low == pytest.approx(0.06 - spread, abs=0.004)
    assert comparison.high == pytest.approx(0.06 + spread, abs=0.004)


def test_scores_are_paired_by_id_whatever_their_order() -> None:
    ours, theirs = paired(6, 1, 9, 4)
    order = np.random.default_rng(3).permutation(len(theirs))
    shuffled = [theirs[i] for i in order]
    assert compare(ours, shuffled, resamples=300, seed=5) == compare(
        ours, theirs, resamples=300, seed=5
    )


def test_the_same_seed_gives_the_same_interval() -> None:
    ours, theirs = paired(9, 4, 9, 4)
    first = compare(ours, theirs, resamples=300, seed=5)
    assert compare(ours, theirs, resamples=300, seed=5) == first


@pytest.mark.parametrize(("wins", "both", "difference"), [(0, 6, 0.0), (6, 0, 1.0), (1, 0, 1.0)])
def test_equal_differences_have_no_interval_and_say_so(
    wins: int, both: int, difference: float
) -> None:
    comparison = compare(*paired(wins, 0, both, 0), resamples=200, seed=0)
    assert (comparison.low, comparison.high) == (None, None)
    assert comparison.difference == difference
    assert comparison.note is not None
    assert "No interval" in comparison.note


def test_an_interval_comes_without_a_note() -> None:
    assert compare(*paired(3, 1, 3, 1), resamples=200, seed=0).note is None


def test_different_problems_on_the_two_sides_are_refused_by_name() -> None:
    with pytest.raises(LeafError, match=r"1 are on one side only \(first: 'p2', only in `base"):
        compare(scored("rw"), scored("rwr"), resamples=200, seed=0)


def test_a_problem_scored_twice_is_refused_by_name() -> None:
    with pytest.raises(LeafError, match="more than one score for problem 'p0'"):
        compare(scored("r") * 2, scored("rw"), resamples=200, seed=0)


def test_comparing_nothing_is_refused() -> None:
    with pytest.raises(LeafError, match="`scores` has none"):
        compare([], [], resamples=200, seed=0)
