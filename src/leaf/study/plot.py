"""The picture of a yield: how much there is at each threshold, and how much of it is verified."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from leaf.study.thresholds import Point, Yield

_LOOKS: dict[str, dict[str, Any]] = {
    "value": {"color": "#0072b2", "marker": "o"},
    "quantile": {"color": "#d55e00", "marker": "s"},
}
"""Colours that colour-blind readers tell apart, and markers for print."""

_NAMES = {"value": "value (Eq. 5)", "quantile": "quantile"}
_STYLE: Any = {
    "svg.hashsalt": "leaf",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dfe0dc",
    "grid.linewidth": 0.7,
}


def plot_yield(found: Yield, folder: Path) -> list[Path]:
    """Write thresholds.png and thresholds.svg into `folder`; the same yield, the same bytes."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        counts, shares = figure.subplots(1, 2)
        for rule in dict.fromkeys(point.rule for point in found.points):
            points = [point for point in found.points if point.rule == rule]
            _draw_counts(counts, rule, points)
            _draw_shares(shares, rule, points)
        _label(counts, "changed questions")
        counts.set_ylim(bottom=0)
        counts.legend(frameon=False, fontsize=9)
        _label(shares, "verified share, 95% interval")
        shares.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
        shares.set_ylim(bottom=0)
        written = []
        for name, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = folder / f"thresholds.{name}"
            figure.savefig(path, dpi=160, metadata=metadata)
            written.append(path)
    return written


def _draw_counts(axes: Axes, rule: str, points: list[Point]) -> None:
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


def _draw_shares(axes: Axes, rule: str, points: list[Point]) -> None:
    there = [(point.threshold, point.share) for point in points if point.share]
    taus, shares = [tau for tau, _ in there], [share for _, share in there]
    low, high = [share.low for share in shares], [share.high for share in shares]
    axes.fill_between(taus, low, high, color=_LOOKS[rule]["color"], alpha=0.15, linewidth=0)
    means = [share.mean for share in shares]
    axes.plot(taus, means, linewidth=1.8, markersize=5, **_LOOKS[rule])


def _label(axes: Axes, what: str) -> None:
    axes.set_xlabel("threshold (tau, or share of the quantile rule)")
    axes.set_ylabel(what)
    axes.set_axisbelow(True)
