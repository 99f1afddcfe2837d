"""What students score before and after training, benchmark by benchmark."""

from collections.abc import Mapping
from typing import Any

from leaf.recipe import Recipe
from leaf.report.plain import plain
from leaf.report.readings import reading
from leaf.statistics import Comparison
from leaf.store.arms import in_order
from leaf.store.results import Results

SMALL_N = 200
"""Below this many questions a 95% interval is wider than about 14 points: worth a warning."""


def scores(recipe: Recipe, results: Results) -> list[dict[str, Any]] | None:
    """Return a line for every measure of a benchmark; None before evaluation."""
    estimates, comparisons = results.estimates, results.comparisons or {}
    if estimates is None:
        return None
    # A benchmark with several measures has a line for each; one that is not there yet has its own.
    names = [
        label
        for name in recipe.evaluate.benchmarks
        for label in [found for found in estimates if f"{found} ".startswith(f"{name} ")] or [name]
    ]
    names = list(dict.fromkeys([*names, *estimates]))
    return [
        {
            "benchmark": name,
            "arms": _by_arm(estimates.get(name, {})),
            "comparison": _compared(comparisons.get(name)),
        }
        for name in names
    ]


def others(results: Results) -> list[dict[str, Any]]:
    """Return a line for every arm that the recipe names, against each baseline and measure."""
    return [
        {"benchmark": name, "arm": arm, "against": against, "comparison": _compared(comparison)}
        for name, compared in results.others.items()
        for (arm, against), comparison in compared.items()
    ]


def variants(results: Results) -> list[dict[str, Any]]:
    """Return a line for every arm and benchmark of variants (`leaf.evaluate.Robustness`)."""
    return [
        {"benchmark": name, **line}
        for name, arms in results.robustness.items()
        for line in _by_arm(arms)
    ]


def consistencies(results: Results) -> list[dict[str, Any]]:
    """Return a line for every arm and benchmark whose answers vote."""
    return [
        {"benchmark": name, **line}
        for name, arms in results.consistency.items()
        for line in _by_arm(arms)
    ]


def lengths(results: Results) -> list[dict[str, Any]]:
    """Return a line for every benchmark and arm: how long its answers are."""
    return [
        {"benchmark": name, "arm": arm, **plain(found[arm]), "share_cut": found[arm].share_cut}
        for name, found in results.lengths.items()
        for arm in in_order(found)
    ]


def _by_arm(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"arm": arm, **plain(found[arm])} for arm in in_order(found)]


def _compared(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    values: dict[str, Any] = plain(comparison)
    return {**values, "reading": reading(comparison), "small": comparison.n < SMALL_N}
