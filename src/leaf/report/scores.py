"""What students score before and after training, benchmark by benchmark."""

from collections.abc import Mapping
from typing import Any

from leaf.recipe import Recipe
from leaf.records import ARMS
from leaf.report.plain import plain
from leaf.report.readings import reading
from leaf.statistics import Comparison, Estimate

SMALL_N = 200
"""Below this many questions a 95% interval is wider than about 14 points: worth a warning."""


def scores(
    recipe: Recipe,
    estimates: Mapping[str, Mapping[str, Estimate | None] | None] | None,
    comparisons: Mapping[str, Comparison | None] | None,
) -> list[dict[str, Any]] | None:
    """Return a line for every measure of a benchmark; None before evaluation."""
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
            "arms": _arms(estimates.get(name) or {}),
            "comparison": _compared((comparisons or {}).get(name)),
        }
        for name in names
    ]


def _arms(estimates: Mapping[str, Estimate | None]) -> list[dict[str, Any]]:
    return [{"arm": arm, **plain(estimates[arm])} for arm in ARMS if estimates.get(arm) is not None]


def _compared(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    values: dict[str, Any] = plain(comparison)
    return {**values, "reading": reading(comparison), "small": comparison.n < SMALL_N}


def variants(
    robustness: Mapping[str, Mapping[str, Any]] | None,
) -> list[dict[str, Any]]:
    """Return a line for every arm and benchmark of variants (`leaf.evaluate.Robustness`)."""
    return [
        {"benchmark": name, "arm": arm, **plain(arms[arm])}
        for name, arms in (robustness or {}).items()
        for arm in ARMS
        if arm in arms
    ]
