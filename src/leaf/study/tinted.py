"""Text with coloured boxes behind its units, as a picture: lines of a monospaced font.

A character is one cell of a grid (or two, where it is wide), so that boxes and letters meet.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

COLUMNS = 92
"""Cells of a line."""

_POINTS = 8.5
_LINE = 0.185
"""Inches from line to line."""

_ADVANCE = 0.602
"""Width of a character of DejaVu Sans Mono, by its size."""

_MARGIN = 0.12
"""Inches on every side."""

_DEEPEST = 0.55
"""How far into a colour map boxes go: black letters stay readable on them."""


_LOOKS: dict[str, dict[str, Any]] = {
    "title": {"weight": "bold"},
    "caption": {"color": "#555555", "style": "italic"},
    "text": {},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A run of characters of one line with one look."""

    column: int
    """Its first cell."""
    text: str
    value: float | None = None
    """Of its unit; None: no box."""
    struck: bool = False
    """Drawn with a line through it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a picture."""

    pieces: tuple[Piece, ...]
    look: str = "text"
    """`title`, `caption` or `text`."""
    diverging: bool = False
    """Whether values lie in [-1, 1], else in [0, 1]."""


def lines_of(text: str, columns: int = COLUMNS) -> list[slice]:
    """Return where lines of a text begin and end: they break at newlines and after spaces.

    All characters but newlines are in one line each; a space may stand beyond the last column.

    Args:
        text: Any.
        columns: Cells of a line.
    """
    found = []
    start = 0
    while start < len(text):
        newline = text.find("\n", start)
        end = len(text) if newline < 0 else newline
        widths = accumulate(_cells(one) for one in text[start:end])
        fitting = sum(1 for _ in takewhile(lambda width: width <= columns, widths))
        if start + fitting == end:
            found.append(slice(start, end))
            start = end + 1
            continue
        space = text.rfind(" ", start + 1, start + fitting + 1)
        # A character wider than a line has one to itself.
        cut = start + max(1, fitting) if space < 0 else space + 1
        found.append(slice(start, cut))
        start = cut
    return found


def _cells(text: str) -> int:
    """Return how many cells a text takes: Chinese, Japanese and Korean take two a character."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def plain(text: str, look: str = "text") -> list[Line]:
    """Return a text's lines without boxes."""
    return [Line(pieces=(Piece(column=0, text=text[line]),), look=look) for line in lines_of(text)]


def tinted(
    text: str,
    starts: Sequence[int],
    ends: Sequence[int],
    values: Sequence[float],
    *,
    struck: Sequence[tuple[int, int]] = (),
    diverging: bool = False,
    columns: int = COLUMNS,
) -> list[Line]:
    """Return a text's lines, a box behind each unit.

    Args:
        text: Whole; what no unit covers has no box.
        starts: First character of each unit.
        ends: One past its last character.
        values: Of each unit, in [0, 1]; in [-1, 1] when `diverging`.
        struck: First and one past the last character of what has a line through it.
        diverging: Whether 0 is white and both signs have a colour.
        columns: Cells of a line.
    """
    value_of: dict[int, float] = {}
    borders = {0, len(text)}
    for start, end, value in zip(starts, ends, values, strict=True):
        value_of |= dict.fromkeys(range(start, end), value)
        borders |= {start, end}
    for start, end in struck:
        borders |= {start, end}
    through = {at for start, end in struck for at in range(start, end)}
    found = []
    for line in lines_of(text, columns):
        cuts = [line.start, *sorted(at for at in borders if line.start < at < line.stop), line.stop]
        pieces = tuple(
            Piece(
                column=_cells(text[line.start : start]),
                text=text[start:end],
                value=value_of.get(start),
                struck=start in through,
            )
            for start, end in pairwise(cuts)
            if start < end
        )
        found.append(Line(pieces=pieces, diverging=diverging))
    return found


def size_of(lines: Sequence[Line]) -> tuple[float, float]:
    """Return width and height in inches of a picture of these lines."""
    width = (COLUMNS + 1) * _POINTS * _ADVANCE / 72 + 2 * _MARGIN
    return width, max(1, len(lines)) * _LINE + 2 * _MARGIN


def draw_lines_of_text(figure: Figure, lines: Sequence[Line]) -> None:
    """Draw lines from the top of a figure of their size."""
    width, height = size_of(lines)
    # The one pair of axes fills the figure: there is nothing to lay out.
    figure.set_layout_engine("none")
    across, down = _MARGIN / width, _MARGIN / height
    axes = figure.add_axes((across, down, 1 - 2 * across, 1 - 2 * down))
    axes.set_xlim(0, COLUMNS + 1)
    axes.set_ylim(max(1, len(lines)), 0)
    axes.axis("off")
    for row, line in enumerate(lines):
        for piece in line.pieces:
            _draw_piece(axes, row, line, piece)


def colour_of(value: float, *, diverging: bool) -> tuple[float, float, float, float]:
    """Return the colour behind a value: blue for [0, 1], orange and purple for [-1, 1]."""
    depth = _DEEPEST * max(-1.0, min(1.0, value))
    if diverging:
        return colormaps["PuOr_r"](0.5 + depth / 2)
    return colormaps["Blues"](max(0.0, depth))


def _draw_piece(axes: Axes, row: int, line: Line, piece: Piece) -> None:
    width = _cells(piece.text)
    if piece.value is not None:
        colour = colour_of(piece.value, diverging=line.diverging)
        axes.add_patch(
            Rectangle((piece.column, row + 0.04), width, 0.92, facecolor=colour, linewidth=0)
        )
    # What prints nothing, or turns the text after it round, takes its cell and no more.
    shown = "".join(one if one.isprintable() else "\N{MIDDLE DOT}" for one in piece.text)
    if shown.strip():
        axes.text(
            piece.column, row + 0.5, shown, family="monospace", fontsize=_POINTS,
            va="center_baseline", parse_math=False, **_LOOKS[line.look],
        )  # fmt: skip
    if piece.struck:
        axes.plot(
            [piece.column, piece.column + width], [row + 0.52, row + 0.52], color="black",
            linewidth=1,
        )  # fmt: skip
