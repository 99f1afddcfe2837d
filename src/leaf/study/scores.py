"""What students get right on benchmarks: means, differences, and both over several benchmarks.

With one seed an interval is over questions, or the base problems that these are variants of; with
more it is over seeds (Student's t).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leaf.recipe import EvaluateSection
from leaf.statistics import Values, bootstrap, by_base, compare_values, estimate
from leaf.study.finding import Measured
from leaf.study.seeds import of_comparison, of_estimate, over_seeds

Scores = Mapping[str, Values]
"""One student: benchmark and measure, as `Results.values` names it, to question to value."""

Bases = Mapping[str, Mapping[str, str]]
"""As `Results.bases`: benchmark and measure to question to its base problem."""

Floats = NDArray[np.float64]

Stratum = tuple[Floats, Floats]
"""Per base problem of one set of questions: the sum of their values, and how many they are."""


def mean_of(
    found: Sequence[Scores], labels: Sequence[str], section: EvaluateSection, bases: Bases
) -> Measured:
    """Return a student's mean value, of several labels the average of their means.

    Args:
        found: The student of each seed.
        labels: What to average over, each with the same weight, however many questions it has.
        section: Resamples and seed of the bootstrap, which draws within each benchmark.
        bases: Of the questions of one seed; with more, intervals are over seeds.
    """
    if len(found) == 1 and len(labels) == 1:
        values = found[0][labels[0]]
        return of_estimate(estimate(values, ungradable=0, **_options(section)))
    return within(0, _average(found, labels, section, bases))


def difference_of(
    ours: Sequence[Scores],
    theirs: Sequence[Scores],
    labels: Sequence[str],
    section: EvaluateSection,
    bases: Bases,
) -> Measured:
    """Return how much better one student is than another, paired by seed and by question.

    Args:
        ours: The one of each seed.
        theirs: The other of each seed.
        labels: As in `mean_of`.
        section: As in `mean_of`.
        bases: As in `mean_of`.
    """
    if len(ours) == 1 and len(labels) == 1:
        label = labels[0]
        compared = compare_values(
            ours[0][label],
            theirs[0][label],
            base_of=bases.get(label),
            resamples=section.resamples,
            seed=section.seed,
        )
        return of_comparison(compared)
    differences = [_minus(one, other, labels) for one, other in zip(ours, theirs, strict=True)]
    return within(-1, _average(differences, labels, section, bases))


def wins_and_losses(
    ours: Sequence[Scores], theirs: Sequence[Scores], labels: Sequence[str]
) -> tuple[int, int]:
    """Return on how many questions, of all seeds, one student is better, and worse.

    A question with several labels counts once, by the mean of what was measured of it.
    """
    found = [
        column
        for one, other in zip(ours, theirs, strict=True)
        for column, _ in _strata(_minus(one, other, labels), labels, {})[0]
    ]
    every = np.concatenate(found)
    return int((every > 0).sum()), int((every < 0).sum())


def apart(
    ours: Values, theirs: Values, section: EvaluateSection, base_of: Mapping[str, str] | None = None
) -> Measured:
    """Return the difference of a student's means on different questions: nothing is paired.

    Args:
        ours: By question.
        theirs: By question, subtracted.
        section: Resamples and seed of the bootstrap.
        base_of: Of both, as in `leaf.evaluate.compare_values`.
    """
    strata = [by_base(one, base_of or {}) for one in (ours, theirs)]
    return _weighted(strata, [1.0, -1.0], section)


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


def _average(
    found: Sequence[Scores], labels: Sequence[str], section: EvaluateSection, bases: Bases
) -> Measured:
    if len(found) == 1:
        strata, weights = _strata(found[0], labels, bases)
        return _weighted(strata, weights, section)
    means = []
    for one in found:
        strata, weights = _strata(one, labels, {})
        mean = float(_sum(strata, weights))
        means.append(Measured(value=mean, low=None, high=None, n=_questions(strata)))
    return over_seeds(means)


def _strata(one: Scores, labels: Sequence[str], bases: Bases) -> tuple[list[Stratum], list[float]]:
    """Return each set of questions, and its share of the average.

    Labels of the same questions, such as EM and F1, are one set: a question is drawn with all that
    was measured of it.
    """
    groups: dict[frozenset[str], list[str]] = {}
    for label in labels:
        groups.setdefault(frozenset(one[label]), []).append(label)
    strata = [
        by_base(
            {key: float(np.mean([one[label][key] for label in same])) for key in one[same[0]]},
            bases.get(same[0], {}),
        )
        for same in groups.values()
    ]
    return strata, [len(same) / len(labels) for same in groups.values()]


def _weighted(
    strata: Sequence[Stratum], weights: Sequence[float], section: EvaluateSection
) -> Measured:
    def statistic(*drawn: Floats, axis: int = -1) -> Floats:
        places = [one.astype(np.intp) for one in drawn]
        return _sum(
            [(won[at], n[at]) for (won, n), at in zip(strata, places, strict=True)], weights, axis
        )

    # A base problem is drawn with all its questions, so what is drawn is its place.
    places = [np.arange(len(count), dtype=np.float64) for _, count in strata]
    interval = bootstrap(statistic, places, together=False, **_options(section))
    low, high = interval or (None, None)
    return Measured(value=float(_sum(strata, weights)), low=low, high=high, n=_questions(strata))


def _sum(strata: Sequence[Stratum], weights: Sequence[float], axis: int = -1) -> Floats:
    means = (
        weight * (won.sum(axis) / count.sum(axis))
        for weight, (won, count) in zip(weights, strata, strict=True)
    )
    return np.asarray(sum(means))


def _questions(strata: Sequence[Stratum]) -> int:
    return int(sum(count.sum() for _, count in strata))


def _options(section: EvaluateSection) -> dict[str, int]:
    return {"resamples": section.resamples, "seed": section.seed}
