"""Runs side by side: one self-contained page, and the same in short on a terminal."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from leaf.progress import print_table, table
from leaf.report.figures import arm_name
from leaf.report.formats import duration, percent, points
from leaf.report.looks import looks_of
from leaf.report.page import environment, write_text
from leaf.report.readings import listed
from leaf.store.arms import in_order

_SHOWS = {"higher": "better", "lower": "worse", "equal": "same", "open": "not shown"}
"""What a reading says of a student against that of the first run."""


def write_comparison(found: Mapping[str, Any], path: Path) -> Path:
    """Write the page of a comparison as HTML that needs nothing outside itself.

    Args:
        found: What `leaf.report.compare_runs.compare` returns.
        path: The file to write, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    template = environment().get_template("compare.html.j2")
    scores = (one for benchmark in found["benchmarks"] for one in benchmark["scores"])
    names = in_order(arm["arm"] for one in scores for arm in one["arms"])
    arms = {name: arm_name(name) for name in names}
    return write_text(path, template.render(found=found, arms=arms, looks=looks_of(names)))


def print_comparison(found: Mapping[str, Any], console: Console) -> None:
    """Print every score side by side, the students of each run against the first, what differs.

    Args:
        found: What `leaf.report.compare_runs.compare` returns.
        console: Where to.
    """
    names = [run["name"] for run in found["runs"]]
    scores = [row for one in found["benchmarks"] for row in _scores(one, names)]
    if scores:
        _print(console, ["benchmark", "student", *names], scores)
    pairs = [_pair(one["benchmark"], pair) for one in found["benchmarks"] for pair in one["paired"]]
    if pairs:
        console.print()
        head = f"against {names[0]}"
        _print(console, [head, "student", "run", "points", "n", "wins", "losses", "shows"], pairs)
    if scores:
        console.print()
    _print(console, ["setting", *names], [_setting(one) for one in found["settings"]])
    if not found["settings"]:
        console.print("The recipes do not differ.")
    console.print()
    _print(console, ["", *names], _facts(found["runs"]))
    for line in _lines(found):
        console.print(Text(line), soft_wrap=True)


def _print(console: Console, columns: list[str], rows: list[list[str]]) -> None:
    if not rows:
        return
    shown = table(*columns)
    for row in rows:
        shown.add_row(*map(Text, row))
    print_table(console, shown)


def _setting(one: Mapping[str, Any]) -> list[str]:
    return [one["key"], *("-" if value is None else str(value) for value in one["values"])]


def _scores(benchmark: Mapping[str, Any], names: list[str]) -> list[list[str]]:
    """Return a row for each student of a benchmark, then LeaF minus KD."""
    by_run = {one["run"]: one for one in benchmark["scores"]}
    rows = []
    for arm in in_order(one["arm"] for run in by_run.values() for one in run["arms"]):
        cells = []
        for name in names:
            arms = by_run[name]["arms"] if name in by_run else []
            one = next((one for one in arms if one["arm"] == arm), None)
            cells.append(f"{percent(one['mean'])}{_interval(one, percent)}" if one else "-")
        if any(cell != "-" for cell in cells):
            rows.append([benchmark["benchmark"], arm_name(arm), *cells])
    minus = [
        f"{points(one['difference'])}{_interval(one, points)}" if one else "-"
        for name in names
        for one in [by_run[name]["comparison"] if name in by_run else None]
    ]
    return [*rows, [benchmark["benchmark"], f"LeaF - {_baseline(by_run.values())}", *minus]]


def _baseline(scores: Iterable[Mapping[str, Any]]) -> str:
    """Return the title of what LeaF is held against in these runs."""
    trained = [{one["arm"] for one in run["arms"]} for run in scores]
    return "KD" if all("kd" in arms for arms in trained) else "baseline"


def _pair(benchmark: str, one: Mapping[str, Any]) -> list[str]:
    difference = f"{points(one['difference'])}{_interval(one, points)}"
    counts = [str(one[key]) for key in ("n", "wins", "losses")]
    return [
        benchmark,
        arm_name(one["arm"]),
        one["run"],
        difference,
        *counts,
        _SHOWS[one["reading"]],
    ]


def _interval(one: Mapping[str, Any], write: Any) -> str:
    if one["low"] is None or one["high"] is None:
        return ""
    return f" ({write(one['low'])} to {write(one['high'])})"


def _facts(runs: list[Mapping[str, Any]]) -> list[list[str]]:
    def share(one: Mapping[str, Any] | None) -> str:
        return f"{percent(one['mean'])} of {one['n']}" if one else "-"

    return [
        ["verified cuts", *(share(run["verified"]) for run in runs)],
        ["problems freed", *(share(run["freed"]) for run in runs)],
        ["time in all", *(duration(run["seconds"]) for run in runs)],
    ]


def _lines(found: Mapping[str, Any]) -> list[str]:
    """Return, in words, what could not be compared."""
    lines = [
        f"{run['name']} stopped before {run['missing']}; resume with: {run['command']}"
        for run in found["runs"]
        if run["missing"]
    ]
    lines += [
        f"{one['run']} alone has {listed(one['benchmarks'])}: not compared"
        for one in found["alone"]
    ]
    lines += [
        f"{one['run']} kept no value of single questions, so nothing is paired; "
        f"`{one['command']}` writes them"
        for one in found["without_values"]
    ]
    for benchmark in found["benchmarks"]:
        for one in benchmark["paired"]:
            if one["arm"] == "leaf" and one["problems"]:
                lines.append(
                    f"{benchmark['benchmark']}: the {one['n']} questions that {one['run']} shares "
                    f"are variants of {one['problems']} problems; intervals draw whole problems"
                )
            if one["arm"] == "leaf" and (one["only_first"] or one["only_this"]):
                lines.append(
                    f"{benchmark['benchmark']}: {one['n']} questions are the same; "
                    f"{one['only_first']} more only {found['runs'][0]['name']} was asked, "
                    f"{one['only_this']} more only {one['run']}"
                )
        unpaired = not benchmark["paired"] and not found["without_values"]
        if unpaired:
            lines.append(f"{benchmark['benchmark']}: no question is the same, so nothing is paired")
    return lines
