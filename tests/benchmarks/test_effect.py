"""The effect benchmark's arithmetic over seeds, and its names, which others read."""

import math

import numpy as np
import pytest

from benchmarks.effect import EVERY, METHODS, SHORT, mean_interval, summarise
from leaf.playground import SPLITS
from leaf.recipe.reading import load_recipe


def test_the_interval_is_students_t_over_seeds() -> None:
    # Mean 2, standard error 1/sqrt(3); t of 97.5% with two degrees of freedom is 4.30265.
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2.0
    assert high - mean == pytest.approx(4.30265 / math.sqrt(3), rel=1e-5)
    assert mean - low == pytest.approx(high - mean)


def test_where_nothing_varies_the_interval_is_the_mean() -> None:
    assert mean_interval(np.array([0.5, 0.5])) == (0.5, 0.5, 0.5)


def test_one_seed_has_no_interval() -> None:
    mean, low, high = mean_interval(np.array([0.5]))
    assert mean == 0.5
    assert math.isnan(low) and math.isnan(high)


def test_differences_to_kd_are_paired_by_seed() -> None:
    # Accuracies vary by 0.4 between seeds, the difference to KD is 0.1 in each of them.
    seeds = [
        {"conflict.kd": 0.2, "conflict.gradient": 0.3, "conflict.before": 0.1},
        {"conflict.kd": 0.6, "conflict.gradient": 0.7, "conflict.before": 0.1},
    ]
    figures = summarise(seeds)
    assert figures["conflict.kd.mean"] == pytest.approx(0.4)
    assert figures["conflict.gradient.mean"] == pytest.approx(0.5)
    assert figures["conflict.gradient.minus_kd"] == pytest.approx(0.1)
    assert figures["conflict.gradient.low"] == pytest.approx(0.1, abs=1e-9)
    assert figures["conflict.gradient.high"] == pytest.approx(0.1, abs=1e-9)
    assert figures["conflict.before.minus_kd"] == pytest.approx(-0.3)


def test_both_comparisons_keep_their_own_kd() -> None:
    seeds = [{"clean.kd": 0.5, "clean.equal_tokens.kd": 0.9, "clean.equal_tokens.oracle": 0.8}] * 2
    figures = summarise(seeds)
    assert figures["clean.equal_tokens.oracle.minus_kd"] == pytest.approx(-0.1)


def test_pruning_is_compared_with_random_pruning() -> None:
    figures = summarise([{"pruning.gradient": 0.5, "pruning.random": 0.3, "counts.x": 4.0}] * 2)
    assert figures["pruning.gradient.minus_random"] == pytest.approx(0.2)
    assert "counts.x.minus_kd" not in figures


def test_methods_without_a_teacher_are_compared_with_rft_as_well() -> None:
    seeds = [{"clean.kd": 0.5, "clean.rft": 0.7, "clean.self": 0.8}] * 2
    figures = summarise(seeds)
    assert figures["clean.self.minus_kd"] == pytest.approx(0.3)
    assert figures["clean.self.minus_rft"] == pytest.approx(0.1)
    assert figures["clean.self.rft_low"] == pytest.approx(0.1)
    assert figures["clean.rft.minus_kd"] == pytest.approx(0.2)


def test_few_problems_have_baselines_of_their_own() -> None:
    seeds = [{"clean.kd": 0.5, "small.clean.kd": 0.4, "small.clean.leaf": 0.7}] * 2
    assert summarise(seeds)["small.clean.leaf.minus_kd"] == pytest.approx(0.3)


def test_methods_and_splits_are_those_that_readers_know() -> None:
    assert list(METHODS) == [
        "span",
        "span_cut",
        "transplant",
        "transplant_cut",
        "inject",
        "leaf",
        "self",
        "self_ce",
        "lens",
        "on_policy",
        "oracle",
    ]
    assert list(SPLITS) == ["clean", "agree", "conflict", "numeric", "both"]


@pytest.mark.parametrize("method", EVERY)
def test_every_method_is_a_recipe(method: str) -> None:
    overrides = [f"{key}={value}" for key, value in EVERY[method].items()]
    recipe = load_recipe("demo", [*SHORT, *overrides])
    assert recipe.alone is (method in ("self", "self_ce", "lens"))
