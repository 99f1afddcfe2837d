"""Pictures of studies: dots with intervals, lines over thresholds, shares up to values, planes."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from leaf.report.looks import BY_TITLE
from leaf.statistics import Interval
from leaf.study.finding import Table, Unit

LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#0072b2", "marker": "o"},
    {"color": "#d55e00", "marker": "s"},
    {"color": "#009e73", "marker": "D"},
    {"color": "#b0528c", "marker": "^"},
    {"color": "#7a6a00", "marker": "v"},
    {"color": "#3d3d3d", "marker": "P"},
)
"""Colours that colour-blind readers tell apart, and markers for print; for any number of series."""

_AXES = {"share": "share right, %", "points": "percentage points"}

Series = Mapping[str, Sequence[Interval | None]]
"""Name of a series to its value in each row, or at each place; None: there is none."""


def series_of(table: Table, heading: str, column: str) -> dict[str, list[Interval | None]]:
    """Return a column's measured values by the label under a heading, in the order of the rows."""
    series: dict[str, list[Interval | None]] = {}
    for row in table.rows:
        cell = row.cells.get(column)
        values = series.setdefault(row.labels[heading], [])
        values.append(cell if isinstance(cell, Interval) else None)
    return series


def draw_pair(
    figure: Figure,
    table: Table,
    *sides: tuple[str, str],
    widths: Sequence[float] | None = None,
    more: Series | None = None,
) -> Sequence[Axes]:
    """Draw columns of a table side by side: its first label says the row, its second the series.

    Args:
        figure: Empty.
        table: Two labels a row; every series has the same rows.
        sides: Column and title of each of the axes.
        widths: Of the axes, as a ratio.
        more: Series besides those of the table, on all axes.
    """
    rows, _ = _rows_and_series(table)
    every: Sequence[Axes] = figure.subplots(1, len(sides), sharey=True, width_ratios=widths)
    heading = list(table.rows[0].labels)[1]
    for axes, (column, title) in zip(every, sides, strict=True):
        values = {**series_of(table, heading, column), **(more or {})}
        draw_dots(axes, rows, values, unit=table.columns[column], title=title)
    add_legend(figure, every[0])
    return every


def size_of_pair(table: Table, more: int = 0) -> tuple[float, float]:
    """Return width and height in inches of what `draw_pair` draws, with `more` further series."""
    rows, series = _rows_and_series(table)
    return 9.5, height_of(len(rows), len(series) + more)


def _rows_and_series(table: Table) -> list[list[str]]:
    labels = [list(row.labels.values()) for row in table.rows]
    return [list(dict.fromkeys(values)) for values in zip(*labels, strict=True)]


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
    for name, look, places, cells in _drawn(range(len(rows)), series, step):
        axes.errorbar(
            [100 * cell.value for cell in cells], places, xerr=_errors(cells),
            linestyle="none", elinewidth=1.3, capsize=2.5, markersize=5.5, label=name, **look,
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
    # Side by side, so that intervals do not hide each other.
    for name, look, at, cells in _drawn(places, series, gap * 0.05):
        axes.errorbar(
            at, [100 * cell.value for cell in cells], yerr=_errors(cells),
            linewidth=1.4, elinewidth=1, capsize=2, markersize=5, label=name, **look,
        )  # fmt: skip
    axes.set_xticks(list(places), [f"{place:g}" for place in places])
    axes.set_ylabel(_AXES[unit])
    axes.set_title(title, loc="left", fontsize=10)
    if unit == "points":
        axes.axhline(0, color="#3d3d3d", linewidth=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One point of a plane."""

    text: str
    """What it is, at the right."""
    x: Interval
    y: Interval
    ringed: bool = False


def draw_plane(
    figure: Figure, series: Mapping[str, Sequence[Place]], *, x: str, y: str, ring: str
) -> None:
    """Draw shares against shares, each point with both intervals; the first series as a path.

    Args:
        figure: Empty.
        series: Each with a colour and a marker.
        x: What is to the right.
        y: What is upwards.
        ring: What a ring around a point means.
    """
    axes = figure.subplots()
    looks = _looks(series)
    for number, (name, places) in enumerate(series.items()):
        right, up = (
            [100 * one.value for one in cells]
            for cells in zip(*((one.x, one.y) for one in places), strict=True)
        )
        bars = axes.errorbar(
            right, up,
            xerr=_errors([one.x for one in places]), yerr=_errors([one.y for one in places]),
            linestyle="none", elinewidth=1, capsize=2.5, markersize=7, label=_literal(name),
            **looks[name],
        )  # fmt: skip
        for bar in bars[2]:
            bar.set_alpha(0.5)
        if number == 0:
            axes.plot(right, up, color=looks[name]["color"], linewidth=1, alpha=0.6)
    _name_places(axes, series, looks)
    ringed = [one for places in series.values() for one in places if one.ringed]
    axes.scatter(
        [100 * one.x.value for one in ringed], [100 * one.y.value for one in ringed],
        s=190, facecolors="none", edgecolors="#3d3d3d", linewidths=1.2, label=ring,
    )  # fmt: skip
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    add_legend(figure, axes)


def _name_places(
    axes: Axes, series: Mapping[str, Sequence[Place]], looks: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write what points are to the right of the axes, in their order upwards, a line to each."""
    drawn = [(one, looks[name]["color"]) for name, places in series.items() for one in places]
    drawn.sort(key=lambda item: (item[0].y.value, -item[0].x.value))
    low, high = axes.get_ylim()
    at = spread([(100 * one.y.value - low) / (high - low) for one, _ in drawn], gap=0.055)
    for (one, color), height in zip(drawn, at, strict=True):
        axes.annotate(
            _literal(one.text), (100 * one.x.value, 100 * one.y.value), (1.03, height),
            textcoords="axes fraction", va="center", fontsize=9, color=color,
            arrowprops={
                "arrowstyle": "-", "color": "#9a9a9a", "linestyle": ":", "relpos": (0, 0.5)
            },
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return numbers a gap apart or more, nearest to rising ones in squares, then below 1."""
    gaps = gap * np.arange(len(wanted))
    nearest = isotonic_regression(np.array(wanted) - gaps).x + gaps
    return [float(at) for at in np.minimum(nearest, 1.0 - gaps[::-1])]


def _drawn(
    places: Sequence[float], series: Series, step: float
) -> list[tuple[str, dict[str, Any], list[float], list[Interval]]]:
    """Return each series' name, look, places and values; those of one place are `step` apart."""
    looks = _looks(series)
    drawn = []
    for number, (name, values) in enumerate(series.items()):
        shift = step * (number - (len(series) - 1) / 2)
        known = [(at + shift, v) for at, v in zip(places, values, strict=True) if v is not None]
        at, cells = [place for place, _ in known], [cell for _, cell in known]
        drawn.append((_literal(name), looks[name], at, cells))
    return drawn


def draw_cumulative(axes: Axes, series: Mapping[str, Sequence[float]], *, x: str) -> None:
    """Draw the share of the values up to each value, a line for each series; x: what they are."""
    lines = cycle(("--", "-", ":", "-."))
    for (name, values), look, line in zip(series.items(), cycle(LOOKS), lines, strict=False):
        axes.ecdf(values, label=name, color=look["color"], linestyle=line, linewidth=1.8)
    axes.set_xlabel(x)
    axes.legend(frameon=False, fontsize=9)


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


def _looks(series: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return the look of each series: arms have their own, others take what is left."""
    own: dict[str, dict[str, Any]] = {}
    for name in series:
        arm = BY_TITLE.get(name.partition(" (")[0])
        look = {"color": arm.light, "marker": arm.marker} if arm else {}
        if look and look not in own.values():
            own[name] = look
    taken = {look["color"] for look in own.values()} | {look["marker"] for look in own.values()}
    free = [look for look in LOOKS if taken.isdisjoint(look.values())] or LOOKS
    left = cycle(free)
    return {name: own[name] if name in own else next(left) for name in series}


def _literal(text: str) -> str:
    """Keep a name as it is: no formula between dollars, and shown though it begins with `_`."""
    plain = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{plain}" if plain.startswith("_") else plain


def _errors(cells: Sequence[Interval]) -> list[list[float]]:
    """Return how far the intervals reach below and above; 0 where there is none."""
    return [
        [0.0 if cell.low is None else 100 * max(0.0, cell.value - cell.low) for cell in cells],
        [0.0 if cell.high is None else 100 * max(0.0, cell.high - cell.value) for cell in cells],
    ]
