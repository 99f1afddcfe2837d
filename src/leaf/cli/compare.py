"""The command `leaf compare`."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from leaf.cli.options import AsJson, out_console, say_line
from leaf.errors import UsageError
from leaf.progress import print_table, table

_SHOWS = {"higher": "B better", "lower": "B worse", "equal": "same", "open": "not shown"}


def compare(  # noqa: D417 - `AsJson` says what it is
    a: Annotated[str, Parameter(name="A")],
    b: Annotated[str, Parameter(name="B")],
    /,
    *,
    measure: str | None = None,
    group: str | None = None,
    by: str | None = None,
    question: str | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    json_: AsJson = False,
) -> None:
    """Compare two evaluations question by question, whichever tool made them.

    Questions are paired by content, whatever their benchmarks and ids are called. The interval is
    the BCa bootstrap's of B minus A, the test McNemar's exact one (the sign test where a measure
    has other values than 0 and 1, or where questions are variants of one another).

    Args:
        a: A run folder or one of `leaf evaluate` (FOLDER:ARM for another arm than LeaF's), samples
            of lm-eval or logs of Inspect: a file, or the folder that they are in.
        b: The same; its maker may be another.
        measure: What is compared: one name, or A's and B's with a colon between. Default: all that
            both have, else the first of each.
        group: Column whose questions are variants of one another: whole groups are drawn, and the
            test counts groups. Default: the base problems of our own.
        by: Column for each value of which there is a line besides.
        question: Column of lm-eval's records that holds the question.
        resamples: Draws of the bootstrap.
        seed: Seed of the bootstrap.
    """
    from leaf.report.others.pair import Wish, compare_evaluations
    from leaf.report.others.read import read_evaluated

    # The bounds of `evaluate.resamples` and `evaluate.seed`.
    if resamples < 100:
        raise UsageError(f"--resamples {resamples}: must be at least 100")
    if seed < 0:
        raise UsageError(f"--seed {seed}: must be at least 0")
    if a == b:
        raise UsageError(f"{a}: is named twice; a run compared with itself shows nothing")
    wish = Wish(
        measure=measure, group=group, by=by, question=question, resamples=resamples, seed=seed
    )
    first, second = (read_evaluated(named, question=question) for named in (a, b))
    found = compare_evaluations(first, second, wish)
    if json_:
        print(json.dumps(found, indent=1))
        return
    for side in ("a", "b"):
        about = found[side]
        say_line(
            f"{side.upper()}: {about['path']} ({about['kind']}, {about['questions']} questions)"
        )
        for note in about["notes"]:
            say_line(f"note: {note}")
    rows = table("benchmark", "measure", "A", "B", "B - A", "n", "wins", "losses", "p", "shows")
    for one in found["compared"]:
        rows.add_row(*_row(one["benchmark"], one))
        for value, part in one.get("by", {}).items():
            rows.add_row(
                *_row(
                    f"  {by} {value}" if value else f"  no {by}",
                    {**part, "measure": one["measure"]},
                )
            )
    print_table(out_console, rows)
    for line in dict.fromkeys(line for one in found["compared"] for line in _lines(one)):
        say_line(line)


def _row(title: str, one: Mapping[str, Any]) -> list[str]:
    from leaf.report.formats import number, percent, points

    share = all(0 <= one[side] <= 1 for side in ("a", "b"))
    write = points if share else number
    interval = ""
    if one["low"] is not None and one["high"] is not None:
        interval = f" ({write(one['low'])} to {write(one['high'])})"
    means = [percent(one[side]) if share else number(one[side]) for side in ("a", "b")]
    counts = [str(one[key]) for key in ("n", "wins", "losses")]
    shown = [f"{one['p_value']:.3g}", _SHOWS[one["reading"]]]
    return [title, one["measure"], *means, f"{write(one['difference'])}{interval}", *counts, *shown]


def _lines(one: Mapping[str, Any]) -> list[str]:
    """Say in words what the table has no place for."""
    title = one["benchmark"]
    lines = [f"{title}: paired by {one['paired_by']}"]
    if one["only_a"] or one["only_b"]:
        lines[0] += f"; {one['only_a']} more only A was asked, {one['only_b']} more only B"
    if one["unscored"]:
        lines.append(
            f"{title}: {one['unscored']} more questions in common are left out of "
            f"{one['measure']}, for a side has no score of them"
        )
    if one.get("ungrouped"):
        lines.append(f"{title}: {one['ungrouped']} questions have no group and stand by themselves")
    if one["problems"]:
        lines.append(
            f"{title}: the {one['n']} questions are variants of {one['problems']} problems; "
            "interval and test go by whole problems"
        )
    if one["note"]:
        lines.append(f"{title}: {one['note']}")
    return lines
