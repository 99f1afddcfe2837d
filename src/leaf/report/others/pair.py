"""Two evaluations question by question: which are the same, and what B has more than A."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import UsageError, first_of
from leaf.report.others.asked import Asked, Evaluated
from leaf.report.plain import plain
from leaf.report.readings import reading
from leaf.statistics import compare_values

Pair = tuple[Asked, Asked]
_Keys = dict[tuple[str, int], Asked]
"""A question's text, and which time it is asked, to the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is to be compared, and over what."""

    measure: str | None = None
    """Name of a measure, or A's and B's with a colon between; None: those that both have."""
    group: str | None = None
    """Column whose questions are variants of one another; None: base problems, where they are
    known."""
    by: str | None = None
    """Column for each value of which there is a comparison besides."""
    resamples: int = 10_000
    seed: int = 0


def compare_evaluations(a: Evaluated, b: Evaluated, wish: Wish) -> dict[str, Any]:
    """Compare B with A on the questions of both, as JSON values.

    Questions are paired by content, so names of benchmarks and ids may differ.

    Raises:
        UsageError: no question in common, or no measure or column of that name.
    """
    found = []
    for name, items in a.benchmarks.items():
        other, (how, pairs) = max(
            ((other, match(items, theirs)) for other, theirs in b.benchmarks.items()),
            key=lambda one: (len(one[1][1]), one[0] == name),
            default=("", ("", [])),
        )
        if not pairs:
            continue
        title = name if name == other else f"{name} / {other}"
        alone = {
            "paired_by": how,
            "only_a": len(items) - len(pairs),
            "only_b": len(b.benchmarks[other]) - len(pairs),
        }
        for ours, theirs in _measures(pairs, wish.measure):
            one = _compared(pairs, ours, theirs, wish)
            found.append({"benchmark": title, "measure": _title(ours, theirs), **alone, **one})
    if not found:
        raise UsageError(
            f"{a.path} and {b.path}: no question in common ({_first(a)}; {_first(b)}); questions "
            "are paired by their text: --question COLUMN names the one that holds it"
        )
    sides = {
        side: {"path": one.path, "kind": one.kind, "questions": one.count, "notes": one.notes}
        for side, one in (("a", a), ("b", b))
    }
    return {**plain(sides), "compared": found}


def match(ours: Sequence[Asked], theirs: Sequence[Asked]) -> tuple[str, list[Pair]]:
    """Pair the questions of two benchmarks by whichever texts of theirs agree most often.

    Returns:
        What they are paired by, and the pairs in the order of ours.
    """
    best: tuple[str, list[Pair]] = ("", [])
    left, right = _by_text(ours), _by_text(theirs)
    most = 0
    for mine, texts in left.items():
        for yours, others in right.items():
            shared = [key for key in texts if key in others]
            # Not how many questions: a text that stands in many of them tells none apart.
            told = len({text for text, _ in shared})
            if told > most:
                most = told
                how = mine if mine == yours else f"{mine} / {yours}"
                best = how, [(texts[key], others[key]) for key in shared]
    return best


def _by_text(items: Iterable[Asked]) -> dict[str, _Keys]:
    found: dict[str, _Keys] = {}
    # The same question may stand in a benchmark twice.
    times: Counter[tuple[str, str]] = Counter()
    for item in items:
        for name, text in item.texts.items():
            found.setdefault(name, {})[text, times[name, text]] = item
            times[name, text] += 1
    return found


def _measures(pairs: Sequence[Pair], wished: str | None) -> list[tuple[str, str]]:
    """Return which measure of A is held against which of B's."""
    ours, theirs = (
        list(dict.fromkeys(name for pair in pairs for name in pair[side].values)) for side in (0, 1)
    )
    if wished is not None:
        mine, colon, yours = wished.partition(":")
        asked = (mine, yours if colon else mine)
        for name, has, side in zip(asked, (ours, theirs), "AB", strict=True):
            if name not in has:
                listed = ", ".join(each or "accuracy" for each in has)
                raise UsageError(f"--measure {wished}: {side} has no `{name}`, but {listed}")
        return [asked]
    common = [(name, name) for name in ours if name in theirs]
    return common or list(zip(ours[:1], theirs[:1], strict=False))


def _title(ours: str, theirs: str) -> str:
    names = dict.fromkeys(name or "accuracy" for name in (ours, theirs))
    return " / ".join(names)


def _compared(pairs: Sequence[Pair], ours: str, theirs: str, wish: Wish) -> dict[str, Any]:
    both = [pair for pair in pairs if ours in pair[0].values and theirs in pair[1].values]
    groups = _column(pairs, wish.by) if wish.by else None
    whole = _comparison(both, ours, theirs, wish)
    if groups is None:
        return whole
    by_value: dict[str, list[Pair]] = {}
    for pair in both:
        by_value.setdefault(_value(pair, wish.by or ""), []).append(pair)
    by = {value: _comparison(some, ours, theirs, wish) for value, some in sorted(by_value.items())}
    return {**whole, "by": by}


def _comparison(pairs: Sequence[Pair], ours: str, theirs: str, wish: Wish) -> dict[str, Any]:
    names = [str(at) for at in range(len(pairs))]
    a = {name: pair[0].values[ours] for name, pair in zip(names, pairs, strict=True)}
    b = {name: pair[1].values[theirs] for name, pair in zip(names, pairs, strict=True)}
    if wish.group:
        bases = _column(pairs, wish.group)
    else:
        bases = [pair[0].base or pair[1].base for pair in pairs]
    comparison = compare_values(
        b,
        a,
        base_of=dict(zip(names, bases, strict=True)),
        resamples=wish.resamples,
        seed=wish.seed,
    )
    means = {side: sum(one.values()) / len(one) for side, one in (("a", a), ("b", b))}
    return {**means, **plain(comparison), "reading": reading(comparison)}


def _column(pairs: Sequence[Pair], name: str) -> list[str]:
    """Return a column's value of each question; A's where it has one."""
    if not any(name in one.columns for pair in pairs for one in pair):
        known = dict.fromkeys(key for pair in pairs for one in pair for key in one.columns)
        raise UsageError(
            f"{name}: no column of either side; they have {first_of(list(known), 12) or 'none'}"
        )
    return [_value(pair, name) for pair in pairs]


def _value(pair: Pair, name: str) -> str:
    return pair[0].columns.get(name) or pair[1].columns.get(name) or ""


def _first(side: Evaluated) -> str:
    """Say how many questions a side has, and what the first of them says."""
    for items in side.benchmarks.values():
        for item in items:
            *_, text = item.texts.values()
            return f"{side.count} of {side.path}, the first: {text[:60]!r}"
    return f"none of {side.path}"
