"""What students get right on benchmarks: means, differences, and both over several benchmarks.

With one seed an interval is over questions; with more it is over seeds (Student's t).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leaf.config import EvaluateSection
from leaf.evaluate import Values, compare_values, estimate
from leaf.intervals import bootstrap
from leaf.study.finding import Measured
from leaf.study.seeds import of_comparison, of_estimate, over_seeds

Scores = Mapping[str, Values]
"""One student: benchmark and measure, as `Results.values` names it, to question to value."""

Floats = NDArray[np.float64]


def mean_of(found: Sequence[Scores], labels: Sequence[str], section: EvaluateSection) -> Measured:
    """Return a student's mean value, of several labels the average of their means.

    Args:
        found: The student of each seed.
        labels: What to average over, each with the same weight, however many questions it has.
        section: Resamples and seed of the bootstrap, which draws questions within each benchmark.
    """
    if len(found) == 1 and len(labels) == 1:
        values = found[0][labels[0]]
        return of_estimate(estimate(values, ungradable=0, **_options(section)))
    return within(0, _average(found, labels, section))


def difference_of(
    ours: Sequence[Scores],
    theirs: Sequence[Scores],
    labels: Sequence[str],
    section: EvaluateSection,
) -> Measured:
    """Return how much better one student is than another, paired by seed and by question.

    Args:
        ours: The one of each seed.
        theirs: The other of each seed.
        labels: As in `mean_of`.
        section: As in `mean_of`.
    """
    if len(ours) == 1 and len(labels) == 1:
        values, baseline = ours[0][labels[0]], theirs[0][labels[0]]
        return of_comparison(compare_values(values, baseline, **_options(section)))
    differences = [_minus(one, other, labels) for one, other in zip(ours, theirs, strict=True)]
    return within(-1, _average(differences, labels, section))


def wins_and_losses(
    ours: Sequence[Scores], theirs: Sequence[Scores], labels: Sequence[str]
) -> tuple[int, int]:
    """Return on how many questions, of all seeds, one student is better, and worse.

    A question with several labels counts once, by the mean of what was measured of it.
    """
    found = [
        column
        for one, other in zip(ours, theirs, strict=True)
        for column in _strata(_minus(one, other, labels), labels)[0]
    ]
    every = np.concatenate(found)
    return int((every > 0).sum()), int((every < 0).sum())


def apart(ours: Values, theirs: Values, section: EvaluateSection) -> Measured:
    """Return the difference of a student's means on different questions: nothing is paired."""
    columns = [np.array(list(one.values()), dtype=np.float64) for one in (ours, theirs)]
    return _weighted(columns, [1.0, -1.0], section)


def within(lowest: float, found: Measured) -> Measured:
    """End an interval at `lowest` and 1: Student's, over few seeds, knows no ends."""
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(lowest, found.low), high=min(1.0, found.high))


def _minus(one: Scores, other: Scores, labels: Sequence[str]) -> Scores:
    return {
        label: {key: value - other[label][key] for key, value in one[label].items()}
        for label in labels
    }


def _average(found: Sequence[Scores], labels: Sequence[str], section: EvaluateSection) -> Measured:
    if len(found) == 1:
        columns, weights = _strata(found[0], labels)
        return _weighted(columns, weights, section)
    means = []
    for one in found:
        columns, weights = _strata(one, labels)
        mean, n = float(_sum(columns, weights)), sum(len(column) for column in columns)
        means.append(Measured(value=mean, low=None, high=None, n=n))
    return over_seeds(means)


def _strata(one: Scores, labels: Sequence[str]) -> tuple[list[Floats], list[float]]:
    """Return a column for each set of questions, and its share of the average.

    Labels of the same questions, such as EM and F1, are one column: a question is drawn with all
    that was measured of it.
    """
    groups: dict[frozenset[str], list[str]] = {}
    for label in labels:
        groups.setdefault(frozenset(one[label]), []).append(label)
    columns = [
        np.array([np.mean([one[label][key] for label in same]) for key in one[same[0]]])
        for same in groups.values()
    ]
    return columns, [len(same) / len(labels) for same in groups.values()]


def _weighted(
    columns: Sequence[Floats], weights: Sequence[float], section: EvaluateSection
) -> Measured:
    def statistic(*drawn: Floats, axis: int = -1) -> Floats:
        return np.asarray(_sum(drawn, weights, axis))

    interval = bootstrap(statistic, columns, together=False, **_options(section))
    low, high = interval or (None, None)
    n = sum(len(column) for column in columns)
    return Measured(value=float(_sum(columns, weights)), low=low, high=high, n=n)


def _sum(columns: Sequence[Floats], weights: Sequence[float], axis: int = -1) -> Floats:
    means = (w * column.mean(axis=axis) for w, column in zip(weights, columns, strict=True))
    return np.asarray(sum(means))


def _options(section: EvaluateSection) -> dict[str, int]:
    return {"resamples": section.resamples, "seed": section.seed}
