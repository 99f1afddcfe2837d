"""Coloured text as a picture: every character in its cell."""

import unicodedata
import warnings

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from leaf.study.tinted import (
    COLUMNS,
    Line,
    Piece,
    colour_of,
    draw_lines_of_text,
    lines_of,
    plain,
    size_of,
    tinted,
)


def test_lines_break_after_spaces_and_at_newlines() -> None:
    text = "one two three\nfour"
    assert [text[line] for line in lines_of(text, 8)] == ["one two ", "three", "four"]


def test_a_word_longer_than_a_line_is_broken() -> None:
    assert [line.indices(9)[:2] for line in lines_of("abcdefghi", 4)] == [(0, 4), (4, 8), (8, 9)]


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 12))
def test_every_character_but_newlines_is_in_one_line(text: str, columns: int) -> None:
    lines = lines_of(text, columns)
    assert "".join(text[line] for line in lines) == text.replace("\n", "")
    assert all(len(text[line].rstrip(" ")) <= columns for line in lines)


def test_a_unit_that_is_broken_keeps_its_colour_on_both_lines() -> None:
    # Lines "a bc " and "d"; the unit "bc d" goes from one to the other, and "c d" is struck.
    lines = tinted("a bc d", [2], [6], [0.5], struck=[(3, 6)], columns=5)
    assert lines == [
        Line(
            pieces=(
                Piece(column=0, text="a "),
                Piece(column=2, text="b", value=0.5),
                Piece(column=3, text="c ", value=0.5, struck=True),
            )
        ),
        Line(pieces=(Piece(column=0, text="d", value=0.5, struck=True),)),
    ]


def cells(text: str) -> int:
    return len(text) + sum(unicodedata.east_asian_width(one) in ("W", "F") for one in text)


def test_wide_characters_take_two_cells() -> None:
    assert [line.indices(6)[:2] for line in lines_of("日本語 ab", 6)] == [(0, 4), (4, 6)]
    (line,) = tinted("日本 ab", [0, 2], [2, 5], [0.1, 0.2])
    assert [piece.column for piece in line.pieces] == [0, 4]


@given(st.text(max_size=80), st.integers(1, 20), st.data())
def test_no_text_is_lost(text: str, columns: int, data: st.DataObject) -> None:
    borders = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    starts, ends = borders[:-1], borders[1:]
    lines = tinted(text, starts, ends, [0.5] * len(starts), columns=columns)
    shown = "".join(piece.text for line in lines for piece in line.pieces)
    assert shown == text.replace("\n", "")
    for line in lines:
        assert [piece.column for piece in line.pieces] == [
            cells("".join(before.text for before in line.pieces[:at]))
            for at in range(len(line.pieces))
        ]


def luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance of WCAG 2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("value", "diverging"), [(1.0, False), (1.0, True), (-1.0, True)])
def test_black_is_readable_on_the_deepest_colour(value: float, diverging: bool) -> None:
    # WCAG's contrast for small text is 4.5 at least; of black it is (L + 0.05) / 0.05.
    assert (luminance(colour_of(value, diverging=diverging)) + 0.05) / 0.05 > 4.5


def test_nothing_is_nearly_white_and_signs_differ() -> None:
    assert min(colour_of(0.0, diverging=False)) > 0.95
    assert min(colour_of(0.0, diverging=True)) > 0.95
    more, less = colour_of(1.0, diverging=True), colour_of(-1.0, diverging=True)
    # Orange has more red than blue, purple more blue than green.
    assert more[0] > more[2]
    assert less[2] > less[1]


def drawn(lines: list[Line]) -> Figure:
    with mpl.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=size_of(lines), layout="constrained")
        FigureCanvasAgg(figure)
        draw_lines_of_text(figure, lines)
        figure.canvas.draw()
    return figure


def test_letters_stand_in_their_boxes() -> None:
    starts = range(0, COLUMNS - 7, 7)
    ends = [start + 7 for start in starts]
    (axes,) = drawn(tinted("x" * ends[-1], starts, ends, [0.5] * len(ends))).axes
    boxes = [one for one in axes.patches if isinstance(one, Rectangle)]
    assert len(boxes) == len(axes.texts) == len(ends)
    for box, shown in zip(boxes, axes.texts, strict=True):
        around, inside = box.get_window_extent(), shown.get_window_extent()
        # To half a character: letters do not fill their cells.
        half = around.width / 7 / 2
        assert inside.x0 == pytest.approx(around.x0, abs=half)
        assert inside.x1 == pytest.approx(around.x1, abs=half)
        assert around.y0 <= inside.y0 < inside.y1 <= around.y1


def test_formulas_and_what_prints_nothing_are_shown_as_text() -> None:
    figure = drawn([*plain(r"costs $\frac{1$"), *plain("a\x00b\u202ec")])
    assert [one.get_text() for one in figure.axes[0].texts] == [
        r"costs $\frac{1$",
        "a·b·c",
    ]


def test_no_lines_make_a_picture_too() -> None:
    assert drawn([]).axes
