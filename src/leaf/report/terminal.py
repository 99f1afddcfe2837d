"""How a run ends on a terminal: one row a benchmark, and in words what it shows."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaf.progress import print_table, table
from leaf.report.readings import in_words, reading
from leaf.statistics import Comparison, Estimate, Interval, Lengths
from leaf.store.arms import arm_of, in_order

ROOM = 100
"""Columns of a line where there is no terminal to measure."""


Others = Mapping[str, Mapping[tuple[str, str], Comparison]]
"""Benchmark to (arm, whom it is held against) to the comparison, of arms that a recipe names."""


def print_results(
    estimates: Mapping[str, Mapping[str, Estimate]],
    comparisons: Mapping[str, Comparison],
    console: Console,
    *,
    baseline: str = "kd",
    others: Others | None = None,
) -> None:
    """Print every benchmark's accuracies and difference, what was not gradable, and a sentence.

    The teacher's column, then wide gaps, then the place beside a number are given up where the
    terminal is too narrow; with many arms each has a row of its own then. In a file a benchmark is
    always one line. `baseline` is the arm that LeaF is held against.
    """
    trained = (arm for found in estimates.values() for arm in found)
    every = in_order(["before", baseline, "leaf", *trained])
    students = [arm for arm in every if arm != "teacher"]
    terminal = console.is_terminal
    ways = list(itertools.product([" ", "\n"] if terminal else [" "], (every, students), (2, 1)))
    layouts = [
        _table(estimates, comparisons, arms, baseline, between=between, gap=gap)
        for between, arms, gap in ways
    ]
    if terminal and others:
        pairs = {
            name: {("leaf", baseline): found, **others.get(name, {})}
            for name, found in comparisons.items()
        }
        layouts += [_by_arm(estimates, pairs, every, between) for between in (" ", "\n")]
    shown = print_table(console, *layouts, room=None if terminal else ROOM)
    arms = ways[shown][1] if shown < len(ways) else every
    if others and shown < len(ways):
        print_table(console, _others_table(others))
    for line in _lines(estimates, comparisons, arms, baseline):
        console.print(line, markup=False, soft_wrap=not console.is_terminal)


def _others_table(others: Others) -> Table:
    """Lay out how other arms did against each baseline."""
    pairs = list(dict.fromkeys(pair for compared in others.values() for pair in compared))
    titles = [f"{arm_of(arm).title} - {arm_of(against).title}, points" for arm, against in pairs]
    shown = table("", *titles)
    for benchmark, compared in others.items():
        cells = (_difference(compared.get(pair), " ") for pair in pairs)
        shown.add_row(Text(benchmark), *cells)
    return shown


def _by_arm(
    estimates: Mapping[str, Mapping[str, Estimate]],
    others: Others,
    arms: Sequence[str],
    between: str,
) -> Table:
    """Lay out a row for every benchmark and arm; a column for each arm that some are held against.

    `others` has LeaF against its baseline as well.
    """
    every = [pair for compared in others.values() for pair in compared]
    against = in_order(pair[1] for pair in every)
    minus = (f"- {arm_of(arm).title}, points" for arm in against)
    shown = table("", "", "right", *minus)
    shown.padding = (0, 1, 0, 0)
    for benchmark, found in estimates.items():
        for number, arm in enumerate(one for one in arms if one in found):
            compared = others.get(benchmark, {})
            cells = (
                _difference(compared[arm, other], between) if (arm, other) in compared else ""
                for other in against
            )
            name = Text("" if number else benchmark)
            shown.add_row(name, arm_of(arm).title, _accuracy(found[arm], between), *cells)
    return shown


def print_lengths(found: Mapping[str, Mapping[str, Lengths]], console: Console) -> None:
    """Print how long every arm's answers are, and which share was cut at the limit.

    Args:
        found: Benchmark to arm to what it has.
        console: Where to; where it is too narrow, arms are the rows.
    """
    arms = in_order(arm for lengths in found.values() for arm in lengths)
    title = "tokens (cut at limit)"
    wide, high = table(title, *(arm_of(arm).title for arm in arms)), table("tokens (cut)", *found)
    high.padding = (0, 1, 0, 0)
    for benchmark, lengths in found.items():
        wide.add_row(Text(benchmark), *(_length(lengths.get(arm)) for arm in arms))
    for arm in arms:
        high.add_row(arm_of(arm).title, *(_length(one.get(arm)) for one in found.values()))
    print_table(console, wide, *([high] if console.is_terminal else []))


def _length(found: Lengths | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean:.1f} ({_percent(found.share_cut)}%)"


def robustness_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay out what variants of problems cost.

    Args:
        found: Benchmark of variants to arm ("" where there is only one) to its
            `leaf.evaluate.Robustness`.
    """
    shown = table(
        "variants", "base", "micro", "macro", "drop, points", "lost", "gained", "same answer"
    )
    for name, arms in found.items():
        for arm, one in arms.items():
            drop = f"{100 * one.drop.value:+.1f}"
            if one.drop.low is not None:
                drop += f" ({100 * one.drop.low:+.1f} to {100 * one.drop.high:+.1f})"
            shares = [
                f"{share.value:.1%} of {share.n}" for share in (one.base, one.micro, one.macro)
            ]
            label = f"{name}: {arm_of(arm).title}" if arm else name
            same = "-" if one.agreement is None else _with_interval(one.agreement)
            shown.add_row(Text(label), *shares, drop, str(one.lost), str(one.gained), same)
    return shown


def _with_interval(share: Interval) -> str:
    if share.low is None or share.high is None:
        return f"{share.value:.1%}"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def consistency_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay out how much answers to the same question agree, and how many were not needed.

    Args:
        found: Benchmark whose answers vote to arm ("" where there is only one) to its
            `leaf.evaluate.Consistency`.
    """
    shown = table("votes", "agree", "settled early", "answers", "saved")
    for name, arms in found.items():
        for arm, one in arms.items():
            label = f"{name}: {arm_of(arm).title}" if arm else name
            asked = f"{one.asked} of {one.whole}"
            settled = f"{one.stopped} of {one.n}"
            shown.add_row(Text(label), f"{one.share:.1%}", settled, asked, f"{one.saved:.1%}")
    return shown


def _has_teacher(estimates: Mapping[str, Mapping[str, Estimate]]) -> bool:
    return any("teacher" in found for found in estimates.values())


def _table(
    estimates: Mapping[str, Mapping[str, Estimate]],
    comparisons: Mapping[str, Comparison],
    arms: Sequence[str],
    baseline: str,
    *,
    between: str,
    gap: int,
) -> Table:
    """Lay the results out; `between` stands between a number and its interval."""
    shown = table(
        "", "n", *(arm_of(arm).title for arm in arms), f"LeaF - {arm_of(baseline).title}, points"
    )
    shown.columns[1].justify = "right"
    shown.padding, shown.leading = (0, gap, 0, 0), int(between == "\n")
    for benchmark, found in estimates.items():
        sizes = [str(estimate.n) for estimate in found.values()]
        shown.add_row(
            Text(benchmark),
            next(iter(sizes), "-"),
            *(_accuracy(found.get(arm), between) for arm in arms),
            _difference(comparisons.get(benchmark), between),
        )
    return shown


def _accuracy(estimate: Estimate | None, between: str) -> Text:
    if estimate is None:
        return Text("-")
    interval = f"({_percent(estimate.low)} to {_percent(estimate.high)})"
    return Text.assemble(f"{_percent(estimate.mean) + '%':>5}", between, (interval, "dim"))


def _difference(comparison: Comparison | None, between: str) -> Text:
    if comparison is None:
        return Text("-")
    interval = "(no interval)"
    if comparison.low is not None and comparison.high is not None:
        interval = f"({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
    return Text.assemble(f"{100 * comparison.difference:+5.1f}", between, (interval, "dim"))


def _percent(share: float) -> str:
    """Write a share in percent with one decimal; the one number of three digits needs none."""
    text = f"{100 * share:.1f}"
    return "100" if text == "100.0" else text


def _lines(
    estimates: Mapping[str, Mapping[str, Estimate]],
    comparisons: Mapping[str, Comparison],
    arms: Sequence[str],
    baseline: str,
) -> Iterator[str]:
    for benchmark, found in estimates.items():
        if any(estimate.ungradable for estimate in found.values()):
            counts = [
                f"{arm_of(arm).title} {estimate.ungradable}" for arm, estimate in found.items()
            ]
            yield f"not gradable on {benchmark}: {', '.join(counts)} (counted as not right)"
    for benchmark, compared in comparisons.items():
        if compared.problems:
            yield (
                f"{benchmark}: {compared.n} variants of {compared.problems} problems; the "
                "difference's interval draws whole problems, the exact test counts them"
            )
    if comparisons:
        readings = {name: reading(found) for name, found in comparisons.items()}
        yield in_words(readings, arm_of(baseline).title)
        yield "Right answers, 95% intervals; better or worse only if McNemar's exact test agrees."
    if "teacher" not in arms and _has_teacher(estimates):
        yield "The teacher's scores are in the report."
