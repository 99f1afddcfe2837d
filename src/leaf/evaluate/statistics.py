"""Means of measures with intervals; a paired difference with a bootstrap interval and McNemar."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leaf.errors import LeafError
from leaf.intervals import bootstrap, mcnemar, wilson
from leaf.records import Comparison, Estimate, Outcome, Score

Values = Mapping[str, float]
"""One measure of one model: problem id to its value in [0, 1]."""

Floats = NDArray[np.float64]


def accuracy(scores: Sequence[Score]) -> Estimate:
    """Estimate the share of right answers with its 95% Wilson interval.

    Ungradable answers count in `n` and as not right.

    Raises:
        LeafError: there are no scores.
    """
    if not scores:
        raise LeafError("accuracy needs at least one score, but there are none; check `limit`")
    ungradable = sum(score.outcome is Outcome.UNGRADABLE for score in scores)
    return _share([float(score.right) for score in scores], ungradable)


def estimate(values: Values, *, ungradable: int, resamples: int, seed: int) -> Estimate:
    """Estimate the mean of a measure with its 95% interval.

    Args:
        values: The measure of each problem, in [0, 1].
        ungradable: Answers that could not be graded; their values are 0.
        resamples: Of the BCa bootstrap over problems, where values other than 0 and 1 occur; else
            it is Wilson's interval.
        seed: Of the bootstrap.

    Raises:
        LeafError: there are no values.
    """
    if not values:
        raise LeafError("a measure needs at least one problem, but there are none; check `limit`")
    column = np.array(list(values.values()), dtype=np.float64)
    whole = _share(column, ungradable)
    if np.isin(column, (0.0, 1.0)).all():
        return whole
    mean = float(column.mean())
    interval = bootstrap(_mean, (column,), resamples=resamples, seed=seed)
    # Undefined where all values are the same: no resample has another mean.
    low, high = interval or (mean, mean)
    return dataclasses.replace(whole, mean=mean, low=low, high=high)


def compare(
    scores: Sequence[Score], baseline: Sequence[Score], *, resamples: int, seed: int
) -> Comparison:
    """Compare how often two models are right on the same questions; see `compare_values`.

    Raises:
        LeafError: no scores, an id scored twice, or ids that only one side has.
    """
    ours, theirs = _right_by_id(scores, "scores"), _right_by_id(baseline, "baseline")
    return compare_values(ours, theirs, resamples=resamples, seed=seed)


def compare_values(
    values: Values,
    baseline: Values,
    *,
    base_of: Mapping[str, str] | None = None,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare a measure of two models on the same questions, paired by problem; any order.

    Variants of one base problem are not independent: the interval resamples base problems, each
    with all its variants, and the test counts those on which one model is better. Where every
    question stands by itself that is McNemar's exact test, or the sign test where a measure has
    other values than 0 and 1.

    Args:
        values: Of the first model.
        baseline: Of the other.
        base_of: Base problem by question id (`Problem.base`); without one, or with "", a question
            stands by itself.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        LeafError: ids that only one side has.
    """
    _same_questions(values, baseline)
    differences = {one: value - baseline[one] for one, value in values.items()}
    won_B, count_B = by_base(differences, base_of or {})
    low, high, note = _interval(won_B, count_B, resamples, seed)
    n, bases = len(differences), len(won_B)
    return Comparison(
        n=n,
        wins=int(sum(one > 0 for one in differences.values())),
        losses=int(sum(one < 0 for one in differences.values())),
        difference=float(_mean_difference(won_B, count_B)),
        low=low,
        high=high,
        p_value=mcnemar(int(np.sum(won_B > 0)), int(np.sum(won_B < 0))),
        problems=None if bases == n else bases,
        note=note,
    )


def by_base(values: Values, base_of: Mapping[str, str]) -> tuple[Floats, Floats]:
    """Return per base problem B the sum of its questions' values, and how many they are.

    Args:
        values: By question id.
        base_of: As in `compare_values`.
    """
    groups: dict[tuple[str, str], list[float]] = {}
    for one, value in values.items():
        base = base_of.get(one, "")
        groups.setdefault(("of", base) if base else ("itself", one), []).append(value)
    return (
        np.array([sum(group) for group in groups.values()], dtype=np.float64),
        np.array([len(group) for group in groups.values()], dtype=np.float64),
    )


def _share(values: ArrayLike, ungradable: int) -> Estimate:
    """Return the share of values that are 1."""
    column = np.asarray(values)
    right, n = int(np.sum(column == 1.0)), len(column)
    low, high = wilson(right, n)
    return Estimate(right=right, ungradable=ungradable, n=n, mean=right / n, low=low, high=high)


def _interval(
    won_B: Floats, count_B: Floats, resamples: int, seed: int
) -> tuple[float | None, float | None, str | None]:
    if len(np.unique(won_B / count_B)) == 1:
        what = "questions" if (count_B == 1).all() else "base problems"
        return None, None, f"No interval: the difference is the same on all {len(won_B)} {what}."
    interval = bootstrap(_mean_difference, (won_B, count_B), resamples=resamples, seed=seed)
    if interval is None:
        return None, None, "No interval: the bootstrap is undefined for these scores."
    return *interval, None


def _mean(values: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.mean(values, axis=axis))


def _mean_difference(won: Floats, count: Floats, axis: int = -1) -> Floats:
    return np.asarray(won.sum(axis) / count.sum(axis))


def _right_by_id(scores: Sequence[Score], side: str) -> dict[str, float]:
    if not scores:
        raise LeafError(f"a comparison needs at least one score, but `{side}` has none")
    twice = [key for key, times in Counter(s.problem_id for s in scores).items() if times > 1]
    if twice:
        raise LeafError(f"`{side}` has more than one score for problem {twice[0]!r}")
    return {score.problem_id: float(score.right) for score in scores}


def _same_questions(ours: Values, theirs: Values) -> None:
    lone = [key for key in (*ours, *theirs) if (key in ours) != (key in theirs)]
    if lone:
        side = "scores" if lone[0] in ours else "baseline"
        raise LeafError(
            "a paired comparison needs the same problems on both sides, but"
            f" {len(lone)} are on one side only (first: {lone[0]!r}, only in `{side}`)"
        )
