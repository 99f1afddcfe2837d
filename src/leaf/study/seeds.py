"""Values of several seeds as one: the mean, with Student's interval over seeds."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from leaf.statistics import Comparison, Estimate
from leaf.study.finding import Measured


def over_seeds(found: Sequence[Measured]) -> Measured:
    """Return the mean over seeds with its 95% t-interval; one seed keeps its own interval.

    Seeds that all found the same leave no interval: nothing tells how far others would be.

    Raises:
        ValueError: there is no value.
    """
    if not found:
        raise ValueError("a mean over seeds needs at least one")
    if len(found) == 1:
        return found[0]
    values = np.array([one.value for one in found])
    mean, error = float(values.mean()), float(stats.sem(values))
    if np.allclose(values, values[0], rtol=0, atol=1e-12):
        return Measured(value=mean, low=None, high=None, n=found[0].n, seeds=len(found))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return Measured(value=mean, low=mean - reach, high=mean + reach, n=found[0].n, seeds=len(found))


def of_estimate(estimate: Estimate) -> Measured:
    """Return a mean over questions of one seed."""
    return Measured(value=estimate.mean, low=estimate.low, high=estimate.high, n=estimate.n)


def of_comparison(comparison: Comparison) -> Measured:
    """Return a paired difference over questions of one seed."""
    return Measured(
        value=comparison.difference, low=comparison.low, high=comparison.high, n=comparison.n
    )
