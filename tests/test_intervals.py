import math

import numpy as np
import pytest

from leaf.statistics import bootstrap, mcnemar, wilson


@pytest.mark.parametrize(("count", "n"), [(0, 7), (3, 10), (16, 16), (700, 1319)])
def test_the_interval_is_the_closed_form_of_wilson(count: int, n: int) -> None:
    z, p = 1.959963984540054, count / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = wilson(count, n)
    assert low == pytest.approx(max(centre - half, 0), abs=1e-9)
    assert high == pytest.approx(min(centre + half, 1), abs=1e-9)


@pytest.mark.parametrize(("count", "n"), [(0, 0), (3, 2)])
def test_a_share_of_nothing_or_above_one_is_refused(count: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"\bn\b|\bk\b"):
        wilson(count, n)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (8, 0, 2 / 2**8),
        (0, 8, 2 / 2**8),
        (8, 2, 2 * (1 + 10 + 45) / 2**10),  # two or fewer of ten, both tails
    ],
)
def test_mcnemar_is_the_doubled_binomial_tail(wins: int, losses: int, p_value: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p_value, abs=1e-12)


def test_one_item_alone_has_no_bootstrap_interval() -> None:
    assert bootstrap(np.mean, [np.array([0.5])], resamples=100, seed=0) is None
