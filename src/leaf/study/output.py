"""A finding written down: JSON for programs, Markdown, picture and terminal table for people."""

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import rich.table
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

from leaf.progress import natural_width, table
from leaf.report.formats import duration, number, percent, points, whole
from leaf.statistics import Interval
from leaf.store.memory import size_of
from leaf.store.store import write_whole
from leaf.study.finding import Cell, Finding, Row, Table, Unit

STYLE: Any = {
    "svg.hashsalt": "leaf",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dfe0dc",
    "grid.linewidth": 0.7,
}
"""Of every picture; the same finding gives the same bytes."""

_COLUMNS = 92
"""Of a picture of text."""


def write_finding(found: Finding, folder: Path, setting: Mapping[str, Any]) -> list[Path]:
    """Write NAME.json, NAME.md and, where there is a picture, NAME.png and NAME.svg.

    Args:
        found: What is written.
        folder: Where to; it is made.
        setting: Recipe, models, seeds and command, as they stand in the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / found.study
    values = {"study": found.study, "setting": dict(setting), **_values(found)}
    text = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False)
    write_whole(stem.with_suffix(".json"), (text + "\n").encode())
    write_whole(stem.with_suffix(".md"), markdown(found, setting).encode())
    return [stem.with_suffix(".json"), stem.with_suffix(".md"), *_pictures(found, stem)]


def markdown(found: Finding, setting: Mapping[str, Any]) -> str:
    """Return a finding as Markdown: what it says, its tables, the paper's, the differences."""
    lines = [f"# {found.study}", "", *(f"{line}\n" for line in found.says)]
    for one in found.tables:
        lines += _markdown_table(one)
    if found.paper:
        lines += ["## The paper's numbers", ""]
        for one in found.paper:
            lines += _markdown_table(one)
    if found.differs:
        lines += ["Where this differs from the paper's setting:", ""]
        lines += [*(f"- {line}" for line in found.differs), ""]
    lines += ["Made with:", "", *(f"- {key}: `{value}`" for key, value in setting.items()), ""]
    return "\n".join(lines)


def print_finding(found: Finding, console: Console) -> None:
    """Print a finding: tables, what they say, and in what the setting differs from the paper's."""
    for one in (*found.tables, *found.paper):
        console.print()
        of_paper = " (the paper's)" if one in found.paper else ""
        console.print(f"[bold]{escape(one.title)}[/bold]{of_paper}", highlight=False)
        rows = _terminal_table(one, intervals=True)
        if natural_width(rows, console) > console.width:
            rows = _terminal_table(one, intervals=False)
        console.print(rows)
    console.print()
    for line in found.says:
        console.print(escape(line), highlight=False)
    for line in found.differs:
        console.print(f"[dim]differs from the paper: {escape(line)}[/dim]", highlight=False)


def _terminal_table(one: Table, *, intervals: bool) -> rich.table.Table:
    """Lay a table out; without `intervals` those of shares are left to the files."""
    headings, lines = _written(one, intervals=intervals)
    rows = table(*headings[: len(one.rows[0].labels) if one.rows else 0])
    for heading in headings[len(rows.columns) :]:
        rows.add_column(escape(heading), justify="right")
    for cells in lines:
        rows.add_row(*map(escape, cells))
    return rows


def written(cell: Cell, unit: Unit) -> str:
    """Write one cell for people, with its interval where it has one."""
    if cell is None:
        return "–"
    if not isinstance(cell, Interval):
        return _plain(cell, unit)
    text = _plain(cell.value, unit)
    if cell.low is None or cell.high is None:
        return text
    return f"{text} ({_plain(cell.low, unit)} to {_plain(cell.high, unit)})"


def _plain(value: float | str, unit: Unit) -> str:
    if isinstance(value, str):
        return value
    if unit in {"count", "bytes"}:
        return (whole if unit == "count" else size_of)(round(value))
    if unit == "tokens" and value >= 1000:
        return whole(round(value))
    ways = {"share": percent, "points": points, "seconds": duration}
    return ways.get(unit, number)(value)


def _written(one: Table, *, intervals: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines; a column with numbers of the paper has theirs beside it."""
    labels = list(one.rows[0].labels) if one.rows else []
    beside = [name for name in one.columns if any(name in row.paper for row in one.rows)]
    headings = list(labels)
    for name in one.columns:
        headings += [name, f"{name}, paper"] if name in beside else [name]
    return headings, [_line(row, one.columns, beside, intervals=intervals) for row in one.rows]


def _line(
    row: Row, columns: Mapping[str, Unit], beside: list[str], *, intervals: bool
) -> list[str]:
    line = list(row.labels.values())
    for name, unit in columns.items():
        cell = row.cells.get(name)
        if not intervals and unit == "share" and isinstance(cell, Interval):
            cell = cell.value
        line.append(written(cell, unit))
        if name in beside:
            line.append(written(row.paper.get(name), unit))
    return line


def _markdown_table(one: Table) -> list[str]:
    headings, lines = _written(one)
    numeric = len(one.rows[0].labels) if one.rows else 0
    rule = ["---" if at < numeric else "---:" for at in range(len(headings))]
    rows = [headings, rule, *([_cell(cell) for cell in line] for line in lines)]
    return [f"**{one.title}**", "", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _cell(text: str) -> str:
    """Keep a text within its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _values(found: Finding) -> dict[str, Any]:
    """Return what goes into the JSON: everything but the picture."""
    return {
        "says": list(found.says),
        "tables": [_table_values(table) for table in found.tables],
        "paper": [_table_values(table) for table in found.paper],
        "differs": list(found.differs),
    }


def _table_values(table: Table) -> dict[str, Any]:
    rows = [
        {
            "labels": row.labels,
            "cells": {name: _cell_values(cell) for name, cell in row.cells.items()},
            "paper": row.paper,
        }
        for row in table.rows
    ]
    return {"title": table.title, "columns": table.columns, "rows": rows}


def _cell_values(cell: Cell) -> Any:
    if not isinstance(cell, Interval):
        return cell
    ends = {"low": cell.low, "high": cell.high}
    return {"value": cell.value, **ends, "n": cell.n, "seeds": getattr(cell, "seeds", 1)}


def _pictures(found: Finding, stem: Path) -> list[Path]:
    if found.text is not None:
        write_whole(stem.with_suffix(".svg"), svg_of(found.text).encode())
        return [stem.with_suffix(".svg")]
    if found.draw is None:
        return []
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # SVG viewers have it
        figure = Figure(figsize=found.size, layout="constrained")
        FigureCanvasAgg(figure)
        found.draw(figure)
        paths = []
        for name, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = stem.with_suffix(f".{name}")
            figure.savefig(path, dpi=160, metadata=metadata)
            paths.append(path)
    return paths


# rich's own names a font that a browser would fetch, and draws a window around the text.
_SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px monospace; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" fill="white"/>
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</svg>
"""


def svg_of(text: Text) -> str:
    """Return coloured text as a picture that needs nothing outside itself."""
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS)
    # Without lines after it, rich names a clip path for the last one that it does not write.
    console.print(text, end="\n\n")
    return console.export_svg(theme=DEFAULT_TERMINAL_THEME, code_format=_SVG, font_aspect_ratio=0.6)
