"""The picture of a yield: how much there is at each threshold, and how much of it is verified."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from leaf.study.thresholds import Point

_LOOKS: dict[str, dict[str, Any]] = {
    "value": {"color": "#0072b2", "marker": "o"},
    "quantile": {"color": "#d55e00", "marker": "s"},
}
"""Colours that colour-blind readers tell apart, and markers for print."""

_NAMES = {"value": "value (Eq. 5)", "quantile": "quantile"}


def draw_yield(figure: Figure, found: Sequence["Point"]) -> None:
    """Draw how many changed questions each threshold gives, and the share that is verified."""
    counts, shares = figure.subplots(1, 2)
    for rule in dict.fromkeys(point.rule for point in found):
        points = [point for point in found if point.rule == rule]
        _draw_counts(counts, rule, points)
        _draw_shares(shares, rule, points)
    _label(counts, "changed questions")
    counts.set_ylim(bottom=0)
    counts.legend(frameon=False, fontsize=9)
    _label(shares, "verified share, 95% interval")
    shares.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    shares.set_ylim(bottom=0)


def _draw_counts(axes: Axes, rule: str, points: list["Point"]) -> None:
    taus = [point.threshold for point in points]
    tried = [point.variants for point in points]
    axes.plot(
        taus, tried, linestyle=":", linewidth=1.4, markersize=4,
        label=f"{_NAMES[rule]}: tried", **_LOOKS[rule],
    )  # fmt: skip
    kept = [point.verified for point in points]
    axes.plot(
        taus, kept, linewidth=1.8, markersize=5, label=f"{_NAMES[rule]}: verified", **_LOOKS[rule]
    )


def _draw_shares(axes: Axes, rule: str, points: list["Point"]) -> None:
    there = [(point.threshold, point.share) for point in points if point.share]
    taus, shares = [tau for tau, _ in there], [share for _, share in there]
    low, high = [share.low or 0.0 for share in shares], [share.high or 0.0 for share in shares]
    axes.fill_between(taus, low, high, color=_LOOKS[rule]["color"], alpha=0.15, linewidth=0)
    means = [share.value for share in shares]
    axes.plot(taus, means, linewidth=1.8, markersize=5, **_LOOKS[rule])


def _label(axes: Axes, what: str) -> None:
    axes.set_xlabel("threshold (tau, or share of the quantile rule)")
    axes.set_ylabel(what)
