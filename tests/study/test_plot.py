"""Pictures show each value at its place, with its interval, and each name as it is."""

import io
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from leaf.report.looks import style_of_looks
from leaf.store.arms import ARMS
from leaf.study.finding import Measured, Row, Table
from leaf.study.plot import (
    Place,
    Series,
    add_legend,
    draw_dots,
    draw_lines,
    draw_plane,
    height_of,
    series_of,
    spread,
)

A = Measured(value=0.5, low=0.4, high=0.7, n=10)
B = Measured(value=0.25, low=None, high=None, n=10)


def figure() -> Figure:
    made = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(made)
    return made


def bars(axes: Any) -> list[tuple[list[float], list[float], list[list[list[float]]]]]:
    """Return of each series where its dots are, and the ends of its intervals."""
    return [
        (
            list(container.lines[0].get_xdata()),
            list(container.lines[0].get_ydata()),
            [bar.tolist() for bar in container.lines[2][0].get_segments()],
        )
        for container in axes.containers
    ]


def test_dots_stand_in_their_rows_with_their_intervals() -> None:
    axes = figure().subplots()
    series: Series = {"one": [A, None], "two": [B, A]}
    draw_dots(axes, ["top", "below"], series, unit="share", title="t")
    (x, y, ends), (x2, y2, _) = bars(axes)
    assert x == [50]
    assert [[round(a) for a, _ in bar] for bar in ends] == [[40, 70]]
    assert (x2, [round(place) for place in y2]) == ([25, 50], [0, 1])
    # In one row, under each other; the first row on top.
    assert y[0] < y2[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    bars_of: Any = axes.containers
    looks = {(one.lines[0].get_color(), one.lines[0].get_marker()) for one in bars_of}
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 2


def test_students_have_the_looks_of_the_reports_page() -> None:
    axes: Any = figure().subplots()
    draw_dots(axes, ["row"], {arm.title: [A] for arm in ARMS.values()}, unit="share", title="t")
    rules = style_of_looks()
    for name, drawn in zip(ARMS, axes.containers, strict=True):
        assert f"--arm-{name}: {drawn.lines[0].get_color()};" in rules
        assert f".key.{name} {{ background: var(--arm-{name});" in rules


def test_a_student_has_the_same_colour_in_every_picture() -> None:
    colours = []
    for names in (("before", "KD", "LeaF"), ("teacher", "LeaF (instruction)", "KD", "other")):
        axes: Any = figure().subplots()
        draw_dots(axes, ["row"], {name: [A] for name in names}, unit="share", title="t")
        drawn = zip(names, axes.containers, strict=True)
        colours.append({name: one.lines[0].get_color() for name, one in drawn})
    first, second = colours
    assert second["KD"] == first["KD"]
    assert second["LeaF (instruction)"] == first["LeaF"]
    assert len(set(second.values())) == 4


def test_lines_go_through_their_places() -> None:
    axes = figure().subplots()
    draw_lines(axes, [0.05, 0.1, 0.15], {"one": [A, None, B]}, unit="points", title="t")
    ((x, y, _),) = bars(axes)
    assert x == pytest.approx([0.05, 0.15])
    assert y == [50, 25]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.05", "0.1", "0.15"]


def test_names_are_no_formulas_and_none_is_hidden() -> None:
    made = figure()
    axes = made.subplots()
    names = ["$x^{$ and more", "_hidden", "a" * 60]
    draw_dots(axes, names, {name: [A] * 3 for name in names}, unit="share", title="t")
    add_legend(made, axes)
    made.savefig(io.BytesIO())
    (legend,) = made.legends
    assert len(legend.get_texts()) == 3
    assert all(len(line) <= 22 for tick in axes.get_yticklabels()
               for line in tick.get_text().replace("\\", "").split("\n"))  # fmt: skip


def test_more_rows_and_series_take_more_room() -> None:
    assert height_of(6, 4) > height_of(3, 4) > height_of(3, 2)


def test_a_column_is_split_by_label_in_the_order_of_the_rows() -> None:
    rows = tuple(
        Row(labels={"benchmark": benchmark, "way": way}, cells={"right": cell})
        for benchmark, way, cell in (("a", "x", A), ("a", "y", B), ("b", "x", 3), ("b", "y", A))
    )
    table = Table(title="t", columns={"right": "share"}, rows=rows)
    assert series_of(table, "way", "right") == {"x": [A, None], "y": [B, A]}


def test_a_plane_has_both_intervals_of_each_place_and_rings_some() -> None:
    made = figure()
    series = {
        "LeaF (by share)": [Place(text="few", x=A, y=B), Place(text="many", x=B, y=A, ringed=True)],
        "KD": [Place(text="KD", x=B, y=B)],
    }
    draw_plane(made, series, x="right", y="up", ring="best")
    (axes,) = made.axes
    (x, y, ends), (x2, y2, _) = bars(axes)
    assert (x, y, x2, y2) == ([50, 25], [25, 50], [25], [25])
    # A is 40 to 70 to the right, B has no interval.
    assert [[round(a) for a, _ in bar] for bar in ends] == [[40, 70], [25, 25]]
    rings: Any = axes.collections[-1]
    assert rings.get_offsets().tolist() == [[25, 50]]
    names = {text.get_text(): text.xyann[1] for text in axes.texts}
    # From below: those at 25%, the farther to the right first, then the one at 50%.
    assert sorted(names, key=names.__getitem__) == ["few", "KD", "many"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("right", "up")


def test_names_of_places_stand_apart_as_near_as_they_can() -> None:
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread([0.1, 0.3, 0.35], 0.1) == pytest.approx([0.1, 0.275, 0.375])
    # Nothing stands above the axes.
    assert spread([0.2, 0.99, 1.0], 0.1) == pytest.approx([0.2, 0.9, 1.0])
