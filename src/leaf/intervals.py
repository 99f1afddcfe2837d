"""Intervals for a share and for any statistic, an exact test: for everything that counts."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_RESAMPLES_AT_ONCE = 500
"""Bounds the bootstrap's memory: this many times the number of items, in float64."""


def bootstrap(
    statistic: Callable[..., NDArray[np.float64]],
    columns: Sequence[NDArray[np.float64]],
    *,
    resamples: int,
    seed: int,
    together: bool = True,
) -> tuple[float, float] | None:
    """Return the 95% BCa bootstrap interval of a statistic; None where it is undefined.

    Args:
        statistic: Of `columns`, along `axis`.
        columns: One value an item each.
        resamples: How many resamples.
        seed: Of the resamples.
        together: Whether an item is the same in all columns and so is drawn in all of them; False:
            each column is resampled by itself and may have items of its own.
    """
    if min(map(len, columns)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the NaN that scipy warns of is handled below
        interval = stats.bootstrap(
            columns,
            statistic,
            paired=together,
            method="BCa",
            n_resamples=resamples,
            batch=_RESAMPLES_AT_ONCE,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    if not np.isfinite([interval.low, interval.high]).all():
        return None
    return float(interval.low), float(interval.high)


def wilson(count: int, n: int) -> tuple[float, float]:
    """Return the 95% Wilson interval of the share `count / n`: low and high, within [0, 1].

    Raises:
        ValueError: `n` is 0, or less than `count`.
    """
    interval = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of McNemar's test; 1 where no question differs."""
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(min(wins, losses), wins + losses, 0.5).pvalue)
