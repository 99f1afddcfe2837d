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
    question: str | None = None
    """Column that holds the question, as it was asked for; None: the usual ones."""
    by: str | None = None
    """Column for each value of which there is a comparison besides."""
    resamples: int = 10_000
    seed: int = 0


def compare_evaluations(a: Evaluated, b: Evaluated, wish: Wish) -> dict[str, Any]:
    """Compare B with A on the questions of both, as JSON values.

    Questions are paired by content, so names of benchmarks and ids may differ.

    Raises:
        UsageError: no question in common that both have a score of, or no measure or column of
            that name.
    """
    if wish.question:
        _check_question(a, b, wish.question)
    found, common = [], []
    for name, items in a.benchmarks.items():
        other, (how, pairs) = max(
            ((other, match(items, theirs)) for other, theirs in b.benchmarks.items()),
            key=lambda one: (len(one[1][1]), one[0] == name),
            default=("", ("", [])),
        )
        if not pairs:
            continue
        common += pairs
        title = name if name == other else f"{name} / {other}"
        alone = {
            "paired_by": how,
            "only_a": len(items) - len(pairs),
            "only_b": len(b.benchmarks[other]) - len(pairs),
        }
        for ours, theirs in _measures(pairs, wish.measure):
            if one := _compared(pairs, ours, theirs, wish):
                found.append({"benchmark": title, "measure": _title(ours, theirs), **alone, **one})
    if not found:
        notes = [f"note: {note}" for side in (a, b) for note in side.notes]
        raise UsageError("\n".join([*notes, _nothing(a, b, common)]))
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
                listed = ", ".join(each or "accuracy" for each in has) or "none"
                raise UsageError(f"--measure {wished}: {side} has no `{name}`, but {listed}")
        return [asked]
    common = [(name, name) for name in ours if name in theirs]
    return common or list(zip(ours[:1], theirs[:1], strict=False))


def _title(ours: str, theirs: str) -> str:
    names = dict.fromkeys(name or "accuracy" for name in (ours, theirs))
    return " / ".join(names)


def _compared(pairs: Sequence[Pair], ours: str, theirs: str, wish: Wish) -> dict[str, Any]:
    """Compare one measure; {} where no question has it on both sides."""
    both = [pair for pair in pairs if ours in pair[0].values and theirs in pair[1].values]
    for column in filter(None, (wish.group, wish.by)):
        _check_column(pairs, column)
    if not both:
        return {}
    whole = {**_comparison(both, ours, theirs, wish), "unscored": len(pairs) - len(both)}
    if wish.group:
        whole["ungrouped"] = sum(not _value(pair, wish.group) for pair in both)
    if not wish.by:
        return whole
    by_value: dict[str, list[Pair]] = {}
    for pair in both:
        by_value.setdefault(_value(pair, wish.by), []).append(pair)
    by = {value: _comparison(some, ours, theirs, wish) for value, some in sorted(by_value.items())}
    return {**whole, "by": by}


def _comparison(pairs: Sequence[Pair], ours: str, theirs: str, wish: Wish) -> dict[str, Any]:
    names = [str(at) for at in range(len(pairs))]
    a = {name: pair[0].values[ours] for name, pair in zip(names, pairs, strict=True)}
    b = {name: pair[1].values[theirs] for name, pair in zip(names, pairs, strict=True)}
    own = [pair[0].base or pair[1].base for pair in pairs]
    bases = [_value(pair, wish.group) for pair in pairs] if wish.group else own
    comparison = compare_values(
        b,
        a,
        base_of=dict(zip(names, bases, strict=True)),
        resamples=wish.resamples,
        seed=wish.seed,
    )
    means = {side: sum(one.values()) / len(one) for side, one in (("a", a), ("b", b))}
    return {**means, **plain(comparison), "reading": reading(comparison)}


def _check_column(pairs: Sequence[Pair], name: str) -> None:
    if pairs and not any(name in one.columns for pair in pairs for one in pair):
        known = dict.fromkeys(key for pair in pairs for one in pair for key in one.columns)
        raise UsageError(
            f"{name}: no column of either side; they have {first_of(list(known), 12) or 'none'}"
        )


def _check_question(a: Evaluated, b: Evaluated, name: str) -> None:
    asked = [one for side in (a, b) for items in side.benchmarks.values() for one in items]
    if not any(name in one.texts for one in asked):
        known = list(dict.fromkeys(key for one in asked for key in one.columns))
        raise UsageError(
            f"--question {name}: no such column; there are: {first_of(known, 12) or 'none'}"
        )


def _value(pair: Pair, name: str) -> str:
    """Return a column's value of a question: A's where it has one; "" where neither has."""
    return pair[0].columns.get(name) or pair[1].columns.get(name) or ""


def _nothing(a: Evaluated, b: Evaluated, common: Sequence[Pair]) -> str:
    """Say why nothing could be compared."""
    for side in (a, b):
        if not side.count:
            return f"{side.path}: holds no questions"
    if not common:
        return (
            f"{a.path} and {b.path}: no question in common ({_first(a)}; {_first(b)}); questions "
            "are paired by their text: --question COLUMN names the one that holds it"
        )
    unscored = [
        f"{name} ({side.path}) has no scores of them"
        for at, (name, side) in enumerate((("A", a), ("B", b)))
        if not any(pair[at].values for pair in common)
    ]
    way_out = "none is scored on both sides; --measure A's:B's names what is compared"
    return f"{len(common)} questions in common, but {' and '.join(unscored) or way_out}"


def _first(side: Evaluated) -> str:
    """Say how many questions a side has, and what the first of them says."""
    items = next(filter(None, side.benchmarks.values()))
    *_, text = items[0].texts.values()
    return f"{side.count} of {side.path}, the first: {text[:60]!r}"
