"""Every interval and comparison, once: shares, means, paired differences, exact tests."""

import dataclasses
import statistics
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leaf.errors import LeafError
from leaf.records import STORED_AS, Answer, Outcome, Score

_RESAMPLES_AT_ONCE = 500
"""Bounds the bootstrap's memory: this many times the number of items, in float64."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A number with its 95% interval, and how many it rests on.

    Shares lie in [0, 1], differences of shares in [-1, 1].
    """

    value: float
    low: float | None
    """Lower end; None where there is no interval: one value alone, or all the same."""
    high: float | None
    """Upper end; None where `low` is."""
    n: int
    """Questions, problems, variants or cuts, as its place says."""

    @property
    def side_of_zero(self) -> int:
        """1 where the whole interval is above 0, -1 where it is below, 0 where nothing is shown."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Estimate(Interval):
    """One measure of one model on one benchmark.

    The interval is Wilson's, or the bootstrap's of a measure with values between 0 and 1.
    """

    value: float = dataclasses.field(metadata={STORED_AS: "mean"})
    """`right / n`, or the mean of a measure that has values between 0 and 1."""
    low: float
    high: float
    right: int
    """Problems whose value is 1: right answers."""
    ungradable: int
    """Answers that could not be graded: part of `n`, counted as not right."""

    @property
    def mean(self) -> float:
        """The value."""
        return self.value


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """How long one model's answers to one benchmark are, of those that it gave."""

    mean: float
    """Tokens an answer, end-of-turn token included, as whoever generated it counts them."""
    median: float
    truncated: int
    """Answers cut at the token limit: part of `n`."""
    n: int

    @property
    def share_cut(self) -> float:
        """Share of the answers that were cut at the limit, in [0, 1]."""
        return self.truncated / self.n


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparison(Interval):
    """Two models on the same `n` questions: how much more often the first is right.

    The interval is the BCa bootstrap's.
    """

    value: float = dataclasses.field(metadata={STORED_AS: "difference"})
    """`(wins - losses) / n`, of a measure with other values than 0 and 1 the mean difference."""
    wins: int
    """Questions on which only the first model is right, or on which it is better."""
    losses: int
    """Questions on which only the baseline is right, or on which it is better."""
    p_value: float
    """Exact two-sided McNemar test of `wins` against `losses`; with `problems` the sign test over
    these, of those on which the first model is better against those on which the baseline is."""
    problems: int | None = None
    """Base problems of which the questions are variants: the interval draws these, each with all
    its questions; None where every question stands by itself."""
    note: str | None = None
    """Why there is no interval, else None."""

    @property
    def difference(self) -> float:
        """The value."""
        return self.value


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
    from scipy import stats  # a second to import, which many commands need not wait for

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


def lengths(answers: Sequence[Answer]) -> Lengths | None:
    """Say how long answers are; one that was never given has no length. None: none was given."""
    given = [answer for answer in answers if answer.failure is None]
    if not given:
        return None
    tokens = [answer.response_tokens for answer in given]
    return Lengths(
        mean=statistics.fmean(tokens),
        median=statistics.median(tokens),
        truncated=sum(answer.truncated for answer in given),
        n=len(given),
    )


def wilson(count: int, n: int) -> tuple[float, float]:
    """Return the 95% Wilson interval of the share `count / n`: low and high, within [0, 1].

    Raises:
        ValueError: `n` is 0, or less than `count`.
    """
    from scipy import stats

    interval = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def share_of(count: int, n: int) -> Interval:
    """Return the share `count / n` with its 95% Wilson interval; raises as `wilson`."""
    low, high = wilson(count, n)
    return Interval(value=count / n, low=low, high=high, n=n)


def mcnemar(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of McNemar's test; 1 where no question differs."""
    if wins + losses == 0:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(min(wins, losses), wins + losses, 0.5).pvalue)


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
    value = float(column.mean())
    interval = bootstrap(mean, (column,), resamples=resamples, seed=seed)
    # Undefined where all values are the same: no resample has another mean.
    low, high = interval or (value, value)
    return dataclasses.replace(whole, value=value, low=low, high=high)


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
        value=float(_mean_difference(won_B, count_B)),
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
    return Estimate(right=right, ungradable=ungradable, n=n, value=right / n, low=low, high=high)


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


def mean(values: Floats, axis: int = -1) -> Floats:
    """Return the mean along an axis."""
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
