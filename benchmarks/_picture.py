"""The table of real students as a picture: share right by test and arm, with intervals."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks._numbers import COUNTED
from benchmarks._real import Group, level
from leaf.statistics import Interval
from leaf.store.arms import arm_of
from leaf.study.output import STYLE
from leaf.study.plot import add_legend, draw_dots, height_of


def draw_group(group: Group, folder: Path) -> Path:
    """Write PAIR-SETTING.svg of one setting and return its path; the same bytes every time."""
    name = group.measures[0]
    counted = tuple(f".{part}" for part in COUNTED.values())
    tests = {label: each for label, each in group.tests.items() if not label.endswith(counted)}
    series: dict[str, list[Interval | None]] = {}
    for arm in group.main:
        found = (level(group, arm, each, name) for each in tests.values())
        series[arm_of(arm.name).title] = [
            Interval(value=one.value, low=one.low, high=one.high, n=0) if one else None
            for one in found
        ]
    shown = {label: label.replace("_", " ").replace(".", ", ") for label in tests}
    rows = [
        f"{shown[label]} ({sum(len(group.bases[test]) for test in each)})"
        for label, each in tests.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{group.place.replace('/', '-')}.svg"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, height_of(len(rows), len(series))), layout="constrained")
        axes = figure.subplots()
        measured = "share right" if not name else f"share right by {name}"
        title = f"{measured}, 95% interval; questions of a test in brackets"
        draw_dots(axes, rows, series, unit="share", title=title)
        add_legend(figure, axes)
        figure.savefig(path, metadata={"Date": None})
    return path
