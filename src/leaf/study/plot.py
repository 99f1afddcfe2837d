"""Pictures of studies: dots with intervals, lines over thresholds, and that of a yield."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaf.study.finding import Measured, Table, Unit

if TYPE_CHECKING:
    from leaf.study.thresholds import Point

_LOOKS: dict[str, dict[str, Any]] = {
    "value": {"color": "#0072b2", "marker": "o"},
    "quantile": {"color": "#d55e00", "marker": "s"},
}
"""Colours that colour-blind readers tell apart, and markers for print."""

_SERIES: tuple[dict[str, Any], ...] = (
    {"color": "#0072b2", "marker": "o"},
    {"color": "#d55e00", "marker": "s"},
    {"color": "#009e73", "marker": "D"},
    {"color": "#b0528c", "marker": "^"},
    {"color": "#7a6a00", "marker": "v"},
    {"color": "#3d3d3d", "marker": "P"},
)
"""The same for any number of series."""

_STUDENTS = ("before", "KD", "LeaF", "teacher")
"""Have the first looks of those, in this order, in every picture."""

_AXES = {"share": "share right, %", "points": "percentage points"}

Series = Mapping[str, Sequence[Measured | None]]
"""Name of a series to its value in each row, or at each place; None: there is none."""


def series_of(table: Table, heading: str, column: str) -> Series:
    """Return a column's measured values by the label under a heading, in the order of the rows."""
    found: dict[str, list[Measured | None]] = {}
    for row in table.rows:
        cell = row.cells.get(column)
        values = found.setdefault(row.labels[heading], [])
        values.append(cell if isinstance(cell, Measured) else None)
    return found


def draw_dots(axes: Axes, rows: Sequence[str], series: Series, *, unit: Unit, title: str) -> None:
    """Draw values with their intervals, one row a label, the series of a row under each other.

    Args:
        axes: Empty axes.
        rows: From top to bottom; long ones are broken.
        series: Each with a colour and a marker, all with a value for each row.
        unit: `share` or `points`.
        title: Above the axes.
    """
    # Within a row of height 1; few series stand close, so that rows stay apart.
    step = min(0.22, 0.6 / max(1, len(series) - 1))
    looks = _looks(series)
    for at, (name, values) in enumerate(series.items()):
        shift = step * (at - (len(series) - 1) / 2)
        there = [(row + shift, one) for row, one in enumerate(values) if one is not None]
        axes.errorbar(
            [100 * one.value for _, one in there],
            [place for place, _ in there],
            xerr=_errors([one for _, one in there]),
            linestyle="none", elinewidth=1.3, capsize=2.5, markersize=5.5,
            label=_literal(name), **looks[name],
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [_literal(textwrap.fill(row, 22)) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
    axes.grid(visible=False, axis="y")
    for border in range(1, len(rows)):
        axes.axhline(border - 0.5, color="#dfe0dc", linewidth=0.7)
    axes.set_xlabel(_AXES[unit])
    axes.set_title(title, loc="left", fontsize=10)
    if unit == "points":
        axes.axvline(0, color="#3d3d3d", linewidth=1)


def draw_lines(
    axes: Axes, places: Sequence[float], series: Series, *, unit: Unit, title: str
) -> None:
    """Draw a line for each series over places such as thresholds, with intervals.

    Args:
        axes: Empty axes.
        places: In rising order.
        series: Each with a colour and a marker, all with a value for each place.
        unit: `share` or `points`.
        title: Above the axes.
    """
    gap = min((b - a for a, b in pairwise(places)), default=1.0)
    looks = _looks(series)
    for at, (name, values) in enumerate(series.items()):
        # Side by side, so that intervals do not hide each other.
        shift = gap * 0.05 * (at - (len(series) - 1) / 2)
        there = [
            (place + shift, one)
            for place, one in zip(places, values, strict=True)
            if one is not None
        ]
        axes.errorbar(
            [place for place, _ in there],
            [100 * one.value for _, one in there],
            yerr=_errors([one for _, one in there]),
            linewidth=1.4, elinewidth=1, capsize=2, markersize=5,
            label=_literal(name), **looks[name],
        )  # fmt: skip
    axes.set_xticks(list(places), [f"{place:g}" for place in places])
    axes.set_ylabel(_AXES[unit])
    axes.set_title(title, loc="left", fontsize=10)
    if unit == "points":
        axes.axhline(0, color="#3d3d3d", linewidth=1)


def add_legend(figure: Figure, axes: Axes) -> None:
    """Name the series of some axes below the whole figure."""
    handles, names = axes.get_legend_handles_labels()
    # About 11 characters to an inch; a name's mark is as wide as 8.
    lines = math.ceil(sum(len(name) + 8 for name in names) / (11 * figure.get_figwidth()))
    figure.legend(
        handles, names, loc="outside lower center", ncols=math.ceil(len(names) / lines),
        frameon=False, fontsize=9,
    )  # fmt: skip


def height_of(rows: int, series: int) -> float:
    """Return the height in inches of dots that do not touch."""
    return 1.4 + rows * max(0.45, 0.2 * series)


def _looks(series: Series) -> dict[str, dict[str, Any]]:
    """Return the look of each series: students have their own, others take what is left."""
    own: dict[str, int] = {}
    for name in series:
        student = name.partition(" (")[0]
        if student in _STUDENTS and (place := _STUDENTS.index(student)) not in own.values():
            own[name] = place
    left = cycle([place for place in range(len(_SERIES)) if place not in own.values()])
    return {name: _SERIES[own[name] if name in own else next(left)] for name in series}


def _literal(text: str) -> str:
    """Keep a name as it is: no formula between dollars, and shown though it begins with `_`."""
    plain = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{plain}" if plain.startswith("_") else plain


def _errors(found: Sequence[Measured]) -> list[list[float]]:
    """Return how far the intervals reach below and above; 0 where there is none."""
    return [
        [0.0 if one.low is None else 100 * max(0.0, one.value - one.low) for one in found],
        [0.0 if one.high is None else 100 * max(0.0, one.high - one.value) for one in found],
    ]


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
