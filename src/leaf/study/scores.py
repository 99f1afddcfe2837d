"""What students get right on benchmarks: means, differences, and both over several benchmarks.

With one seed an interval is over questions, or the base problems that these are variants of; with
more it is over seeds (Student's t).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from leaf.recipe import EvaluateSection
from leaf.statistics import Interval, Values, bootstrap, by_base, compare_values, estimate
from leaf.study.seeds import over_seeds, within

Scores = Mapping[str, Values]
"""One student: benchmark and measure, as `Results.values` names it, to question to value."""

Bases = Mapping[str, Mapping[str, str]]
"""As `Results.bases`: benchmark and measure to question to its base problem."""

Floats = NDArray[np.float64]

Stratum = tuple[Floats, Floats]
"""Per base problem of one set of questions: the sum of their values, and how many they are."""


def mean_of(
    seeds: Sequence[Scores], labels: Sequence[str], section: EvaluateSection, bases: Bases
) -> Interval:
    """Return a student's mean value, of several labels the average of their means.

    Args:
        seeds: The student of each seed.
        labels: What to average over, each with the same weight, however many questions it has.
        section: Resamples and seed of the bootstrap, which draws within each benchmark.
        bases: Of the questions of one seed; with more, intervals are over seeds.
    """
    if len(seeds) == 1 and len(labels) == 1:
        return estimate(seeds[0][labels[0]], ungradable=0, **drawn(section))
    return within(0, _average(seeds, labels, section, bases))


def difference_of(
    student: Sequence[Scores],
    baseline: Sequence[Scores],
    labels: Sequence[str],
    section: EvaluateSection,
    bases: Bases,
) -> Interval:
    """Return how much better a student is than a baseline, paired by seed and by question.

    Args:
        student: The one of each seed.
        baseline: The other of each seed.
        labels: As in `mean_of`.
        section: As in `mean_of`.
        bases: As in `mean_of`.
    """
    if len(student) == 1 and len(labels) == 1:
        (label,) = labels
        values, others = student[0][label], baseline[0][label]
        return compare_values(values, others, base_of=bases.get(label), **drawn(section))
    differences = [_minus(one, other, labels) for one, other in zip(student, baseline, strict=True)]
    return within(-1, _average(differences, labels, section, bases))


def wins_and_losses(
    student: Sequence[Scores], baseline: Sequence[Scores], labels: Sequence[str]
) -> tuple[int, int]:
    """Return on how many questions, of all seeds, a student is better, and worse.

    A question with several labels counts once, by the mean of what was measured of it.
    """
    differences = np.concatenate(
        [
            column
            for one, other in zip(student, baseline, strict=True)
            for column, _ in _strata(_minus(one, other, labels), labels, {})[0]
        ]
    )
    return int((differences > 0).sum()), int((differences < 0).sum())


def apart(
    values: Values,
    others: Values,
    section: EvaluateSection,
    base_of: Mapping[str, str] | None = None,
) -> Interval:
    """Return the difference of means on different questions: nothing is paired.

    Args:
        values: By question.
        others: By question, subtracted.
        section: Resamples and seed of the bootstrap.
        base_of: Of both, as in `leaf.statistics.compare_values`.
    """
    strata = [by_base(one, base_of or {}) for one in (values, others)]
    return _weighted(strata, [1.0, -1.0], section)


def drawn(section: EvaluateSection) -> dict[str, int]:
    """Return how the bootstrap draws, as keywords of `leaf.statistics`."""
    return {"resamples": section.resamples, "seed": section.seed}


def _minus(one: Scores, other: Scores, labels: Sequence[str]) -> Scores:
    return {
        label: {key: value - other[label][key] for key, value in one[label].items()}
        for label in labels
    }


def _average(
    seeds: Sequence[Scores], labels: Sequence[str], section: EvaluateSection, bases: Bases
) -> Interval:
    if len(seeds) == 1:
        return _weighted(*_strata(seeds[0], labels, bases), section)
    means = []
    for scores in seeds:
        strata, weights = _strata(scores, labels, {})
        mean = float(_sum(strata, weights))
        means.append(Interval(value=mean, low=None, high=None, n=_questions(strata)))
    return over_seeds(means)


def _strata(
    scores: Scores, labels: Sequence[str], bases: Bases
) -> tuple[list[Stratum], list[float]]:
    """Return each set of questions, and its share of the average.

    Labels of the same questions, such as EM and F1, are one set: a question is drawn with all that
    was measured of it.
    """
    groups: dict[frozenset[str], list[str]] = {}
    for label in labels:
        groups.setdefault(frozenset(scores[label]), []).append(label)
    strata = [
        by_base(
            {
                key: float(np.mean([scores[label][key] for label in same]))
                for key in scores[same[0]]
            },
            bases.get(same[0], {}),
        )
        for same in groups.values()
    ]
    return strata, [len(same) / len(labels) for same in groups.values()]


def _weighted(
    strata: Sequence[Stratum], weights: Sequence[float], section: EvaluateSection
) -> Interval:
    def statistic(*drawn: Floats, axis: int = -1) -> Floats:
        places = [one.astype(np.intp) for one in drawn]
        return _sum(
            [(won[at], n[at]) for (won, n), at in zip(strata, places, strict=True)], weights, axis
        )

    # A base problem is drawn with all its questions, so what is drawn is its place.
    places = [np.arange(len(count), dtype=np.float64) for _, count in strata]
    interval = bootstrap(statistic, places, together=False, **drawn(section))
    low, high = interval or (None, None)
    return Interval(value=float(_sum(strata, weights)), low=low, high=high, n=_questions(strata))


def _sum(strata: Sequence[Stratum], weights: Sequence[float], axis: int = -1) -> Floats:
    means = (
        weight * (won.sum(axis) / count.sum(axis))
        for weight, (won, count) in zip(weights, strata, strict=True)
    )
    return np.asarray(sum(means))


def _questions(strata: Sequence[Stratum]) -> int:
    return int(sum(count.sum() for _, count in strata))
