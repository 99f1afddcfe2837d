"""Means and differences over benchmarks: by hand, and against what each part varies by itself."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from leaf.recipe import EvaluateSection
from leaf.statistics import compare_values, estimate
from leaf.study.finding import Measured
from leaf.study.scores import apart, difference_of, mean_of, wins_and_losses

SECTION = EvaluateSection(benchmarks={}, resamples=2000)
OPTIONS = {"resamples": 2000, "seed": 0}


def asked(values: Sequence[float], name: str = "q") -> dict[str, float]:
    return {f"{name}{number}": value for number, value in enumerate(values)}


def halves(right: int, n: int, name: str = "q") -> dict[str, float]:
    return asked([1.0] * right + [0.0] * (n - right), name)


def test_the_average_gives_each_benchmark_the_same_weight() -> None:
    # 1/2 of two questions and 3/4 of four: (1/2 + 3/4) / 2, not 4/6.
    one = {"a": halves(1, 2, "a"), "b": halves(3, 4, "b")}
    found = mean_of([one], ["a", "b"], SECTION, {})
    assert (found.value, found.n) == (0.625, 6)


def test_one_benchmark_of_one_seed_is_as_a_run_reports_it() -> None:
    ours, theirs = asked([1, 1, 0, 1, 0, 1]), asked([0, 1, 0, 0, 1, 0])
    found = mean_of([{"a": ours}], ["a"], SECTION, {})
    expected = estimate(ours, ungradable=0, **OPTIONS)
    assert (found.value, found.low, found.high) == (expected.mean, expected.low, expected.high)
    paired = difference_of([{"a": ours}], [{"a": theirs}], ["a"], SECTION, {})
    compared = compare_values(ours, theirs, **OPTIONS)
    assert (paired.value, paired.low, paired.high) == (
        compared.difference,
        compared.low,
        compared.high,
    )


def test_the_interval_of_an_average_draws_within_each_benchmark() -> None:
    # Half of 400 and a fifth of 100: the standard error of the average of both is
    # 1/2 sqrt(0.5 0.5 / 400 + 0.2 0.8 / 100); BCa is close to normal at this size.
    one = {"a": halves(200, 400, "a"), "b": halves(20, 100, "b")}
    found = mean_of([one], ["a", "b"], SECTION, {})
    error = math.sqrt(0.25 / 400 + 0.16 / 100) / 2
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.06)


def test_benchmarks_that_differ_but_do_not_vary_leave_no_interval() -> None:
    # Draws over all questions together would vary between 0 and 1.
    one = {"a": halves(5, 5, "a"), "b": halves(0, 5, "b")}
    found = mean_of([one], ["a", "b"], SECTION, {})
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_measures_of_the_same_questions_are_drawn_together() -> None:
    # EM and F1 that always agree say no more than one of them; drawn apart, the interval would be
    # narrower by the square root of 2.
    values = halves(60, 100)
    both = mean_of([{"a EM": values, "a F1": dict(values)}], ["a EM", "a F1"], SECTION, {})
    error = math.sqrt(0.24 / 100)
    assert (both.value, both.n) == (0.6, 100)
    assert both.low is not None
    assert both.high is not None
    assert (both.high - both.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.08)


def test_seeds_have_the_t_interval_of_their_averages() -> None:
    # 50 and 51 of 100: mean 0.505, standard error 0.005, t with 1 degree of freedom 12.7062.
    seeds = [{"a": halves(50, 100)}, {"a": halves(51, 100)}]
    found = mean_of(seeds, ["a"], SECTION, {})
    assert isinstance(found, Measured)
    assert (found.value, found.seeds, found.n) == (0.505, 2, 100)
    assert found.low == pytest.approx(0.505 - 12.7062 * 0.005, abs=1e-4)
    assert found.high == pytest.approx(0.505 + 12.7062 * 0.005, abs=1e-4)


def test_intervals_over_few_seeds_end_where_shares_do() -> None:
    # 0 and 1: the t-interval of the mean reaches from -5.9 to 6.9.
    seeds = [{"a": halves(0, 4)}, {"a": halves(4, 4)}]
    found = mean_of(seeds, ["a"], SECTION, {})
    assert (found.value, found.low, found.high) == (0.5, 0, 1)
    gained = difference_of(seeds, list(reversed(seeds)), ["a"], SECTION, {})
    assert (gained.value, gained.low, gained.high) == (0, -1, 1)


def test_differences_are_paired_by_question_and_by_seed() -> None:
    ours = [{"a": asked([1, 1, 0, 0])}, {"a": asked([1, 1, 1, 0])}]
    theirs = [
        {"a": dict(reversed(asked([1, 0, 0, 0]).items()))},
        {"a": dict(reversed(asked([0, 0, 1, 1]).items()))},
    ]
    # +1/4 in the first seed, +1/4 in the second: no spread over seeds, so no interval, and no
    # clear gain either.
    found = difference_of(ours, theirs, ["a"], SECTION, {})
    assert found == Measured(value=0.25, low=None, high=None, n=4, seeds=2)
    # Question 1; then questions 0 and 1 against question 3.
    assert wins_and_losses(ours, theirs, ["a"]) == (3, 1)


def test_a_paired_average_is_surer_than_two_averages() -> None:
    rng = np.random.default_rng(0)
    theirs = {name: asked(rng.integers(0, 2, 200).astype(float).tolist(), name) for name in "ab"}
    better = {name: {**one, f"{name}0": 1.0, f"{name}1": 1.0} for name, one in theirs.items()}
    paired = difference_of([better], [theirs], ["a", "b"], SECTION, {})
    wide = apart(better["a"], theirs["a"], SECTION)
    assert paired.low is not None
    assert paired.high is not None
    assert wide.low is not None
    assert wide.high is not None
    assert paired.high - paired.low < (wide.high - wide.low) / 4


def test_unpaired_differences_need_not_have_the_same_questions() -> None:
    # 0.5 of 400 against 0.2 of 100: the errors of both add up.
    found = apart(halves(200, 400, "a"), halves(20, 100, "b"), SECTION)
    error = math.sqrt(0.25 / 400 + 0.16 / 100)
    assert found.value == pytest.approx(0.3)
    assert found.n == 500
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.06)


def test_variants_of_a_problem_are_drawn_together_in_one_benchmark_and_in_an_average() -> None:
    ours, theirs = asked([1, 1, 0, 1, 0, 1] * 5), asked([0, 1, 0, 0, 1, 0] * 5)
    copies = [{f"{key}/{n}": one[key] for key in one for n in range(4)} for one in (ours, theirs)]
    base_of = {key: key.partition("/")[0] for key in copies[0]}
    for labels in (["a"], ["a", "b"]):
        one = [dict.fromkeys(labels, values) for values in (ours, theirs)]
        once = difference_of(one[:1], one[1:], labels, SECTION, {})
        more = [dict.fromkeys(labels, values) for values in copies]
        found = difference_of(more[:1], more[1:], labels, SECTION, dict.fromkeys(labels, base_of))
        assert (found.value, found.low, found.high) == (once.value, once.low, once.high)
        assert found.n == 4 * once.n
