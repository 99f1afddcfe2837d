"""What is measured of answers, and its mean with an interval."""

import numpy as np
import pytest
from scipy import stats

from leaf.errors import LeafError
from leaf.evaluate import measures
from leaf.records import Measure, Outcome, Score
from leaf.statistics import compare_values, estimate


def scored(problem_id: str, right: bool, **values: float) -> Score:
    return Score(
        problem_id=problem_id,
        outcome=Outcome.RIGHT if right else Outcome.WRONG,
        extracted=None,
        reason=None,
        measures=tuple(Measure(name=name, value=value) for name, value in values.items()),
    )


def test_one_answer_a_problem_is_right_or_not():
    assert measures([scored("a", True), scored("b", False)]) == {"": {"a": 1.0, "b": 0.0}}


def test_measures_of_a_grader_stand_in_place_of_right_and_what_has_none_counts_0():
    found = measures([scored("a", True, EM=0.0, F1=0.5), scored("b", False)])
    assert found == {"EM": {"a": 0.0, "b": 0.0}, "F1": {"a": 0.5, "b": 0.0}}


def test_several_answers_give_pass_at_k_by_problem():
    scores = [scored("a", True), *[scored(f"a/s{at}", False) for at in (1, 2, 3)]]
    scores += [scored("b", False), *[scored(f"b/s{at}", False) for at in (1, 2, 3)]]
    found = measures(scores, samples=4, pass_at=[1, 2])
    # One of 4 is right: 1 - C(3, 1) / C(4, 1) = 1/4 and 1 - C(3, 2) / C(4, 2) = 1/2.
    assert found["pass@1"] == pytest.approx({"a": 0.25, "b": 0.0})
    assert found["pass@2"] == pytest.approx({"a": 0.5, "b": 0.0})
    assert list(measures(scores, samples=4)) == ["pass@1"]


def test_scores_that_are_not_as_many_for_each_problem_are_refused():
    with pytest.raises(LeafError, match="3 scores are not 2 for each problem"):
        measures([scored(name, True) for name in "abc"], samples=2)


def test_a_mean_of_shares_has_the_bootstrap_interval_of_scipy():
    values = {str(at): at / 10 for at in range(11)}
    found = estimate(values, ungradable=2, resamples=2000, seed=3)
    assert (found.mean, found.n, found.right, found.ungradable) == (0.5, 11, 1, 2)
    expected = stats.bootstrap(
        (np.array(list(values.values())),), np.mean, n_resamples=2000, rng=np.random.default_rng(3)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.02)


def test_a_mean_of_zeros_and_ones_has_wilsons_interval():
    found = estimate({"a": 1.0, "b": 0.0}, ungradable=0, resamples=100, seed=0)
    expected = stats.binomtest(1, 2).proportion_ci(method="wilson")
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, *expected))


def test_values_that_are_all_one_share_have_that_share_for_an_interval():
    found = estimate({"a": 0.5, "b": 0.5}, ungradable=0, resamples=100, seed=0)
    assert (found.mean, found.low, found.high, found.right) == (0.5, 0.5, 0.5, 0)


def test_a_measure_without_problems_is_refused():
    with pytest.raises(LeafError, match="at least one problem"):
        estimate({}, ungradable=0, resamples=100, seed=0)


def test_shares_of_two_models_are_compared_problem_by_problem():
    ours = {"a": 1.0, "b": 0.5, "c": 0.25, "d": 0.0}
    theirs = {"d": 0.5, "c": 0.0, "b": 0.0, "a": 0.5}
    found = compare_values(ours, theirs, resamples=500, seed=0)
    assert (found.wins, found.losses, found.n) == (3, 1, 4)
    # (0.5 + 0.5 + 0.25 - 0.5) / 4
    assert found.difference == pytest.approx(0.1875)
    # Sign test: 3 of 4 or more, either side: 2 (4 + 1) / 16.
    assert found.p_value == pytest.approx(0.625)
