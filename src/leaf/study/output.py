"""A finding written down: JSON for programs, Markdown, picture and terminal table for people."""

import dataclasses
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

from leaf.progress import print_table
from leaf.progress import table as empty_table
from leaf.report.formats import duration, number, percent, points, whole
from leaf.statistics import Interval
from leaf.store.memory import size_of
from leaf.store.store import write_whole
from leaf.study.finding import Cell, Finding, Table, Unit

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


def write_finding(finding: Finding, folder: Path, setting: Mapping[str, Any]) -> list[Path]:
    """Write NAME.json, NAME.md and, where there is a picture, NAME.png and NAME.svg.

    Args:
        finding: What is written.
        folder: Where to; it is made.
        setting: Recipe, models, seeds and command, as they stand in the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / finding.study
    values = {"study": finding.study, "setting": dict(setting)}
    values |= {key: getattr(finding, key) for key in ("says", "tables", "paper", "differs")}
    text = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False, default=_json_values)
    write_whole(stem.with_suffix(".json"), (text + "\n").encode())
    write_whole(stem.with_suffix(".md"), markdown(finding, setting).encode())
    return [stem.with_suffix(".json"), stem.with_suffix(".md"), *_pictures(finding, stem)]


def markdown(finding: Finding, setting: Mapping[str, Any]) -> str:
    """Return a finding as Markdown: what it says, its tables, the paper's, the differences."""
    lines = [f"# {finding.study}", "", *(f"{line}\n" for line in finding.says)]
    for table in finding.tables:
        lines += _markdown_table(table)
    if finding.paper:
        lines += ["## The paper's numbers", ""]
        for table in finding.paper:
            lines += _markdown_table(table)
    if finding.differs:
        lines += ["Where this differs from the paper's setting:", ""]
        lines += [*(f"- {line}" for line in finding.differs), ""]
    lines += ["Made with:", "", *(f"- {key}: `{value}`" for key, value in setting.items()), ""]
    return "\n".join(lines)


def print_finding(finding: Finding, console: Console) -> None:
    """Print a finding: tables, what they say, and in what the setting differs from the paper's."""
    for table in (*finding.tables, *finding.paper):
        console.print()
        of_paper = " (the paper's)" if table in finding.paper else ""
        console.print(f"[bold]{escape(table.title)}[/bold]{of_paper}", highlight=False)
        # Where room is short, the intervals of shares are left to the files.
        layouts = [_terminal_table(table, intervals=intervals) for intervals in (True, False)]
        print_table(console, *layouts)
    console.print()
    for line in finding.says:
        console.print(escape(line), highlight=False)
    for line in finding.differs:
        console.print(f"[dim]differs from the paper: {escape(line)}[/dim]", highlight=False)


def _terminal_table(table: Table, *, intervals: bool) -> rich.table.Table:
    headings, lines = _written(table, intervals=intervals)
    layout = empty_table(*headings[: len(table.rows[0].labels) if table.rows else 0])
    for heading in headings[len(layout.columns) :]:
        layout.add_column(escape(heading), justify="right")
    for cells in lines:
        layout.add_row(*map(escape, cells))
    return layout


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


def _written(table: Table, *, intervals: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines; a column with numbers of the paper has theirs beside it."""
    headings = list(table.rows[0].labels) if table.rows else []
    lines = [list(row.labels.values()) for row in table.rows]
    for name, unit in table.columns.items():
        headings.append(name)
        for row, line in zip(table.rows, lines, strict=True):
            cell = row.cells.get(name)
            if not intervals and unit == "share" and isinstance(cell, Interval):
                cell = cell.value
            line.append(written(cell, unit))
        if any(name in row.paper for row in table.rows):
            headings.append(f"{name}, paper")
            for row, line in zip(table.rows, lines, strict=True):
                line.append(written(row.paper.get(name), unit))
    return headings, lines


def _markdown_table(table: Table) -> list[str]:
    headings, lines = _written(table)
    numeric = len(table.rows[0].labels) if table.rows else 0
    rule = ["---" if at < numeric else "---:" for at in range(len(headings))]
    rows = [headings, rule, *([_cell(cell) for cell in line] for line in lines)]
    return [f"**{table.title}**", "", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _cell(text: str) -> str:
    """Keep a text within its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _json_values(record: Any) -> dict[str, Any]:
    """Return a table, row or measured cell as what JSON knows."""
    if isinstance(record, Interval):
        # Of every kind of interval the same keys, whatever else it carries.
        ends = {"value": record.value, "low": record.low, "high": record.high}
        return {**ends, "n": record.n, "seeds": getattr(record, "seeds", 1)}
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _pictures(finding: Finding, stem: Path) -> list[Path]:
    if finding.text is not None:
        write_whole(stem.with_suffix(".svg"), svg_of(finding.text).encode())
        return [stem.with_suffix(".svg")]
    if finding.draw is None:
        return []
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # SVG viewers have it
        figure = Figure(figsize=finding.size, layout="constrained")
        FigureCanvasAgg(figure)
        finding.draw(figure)
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
