"""What is figured out of kept answers: arms by test, their differences, drops, lengths."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import hypot

from benchmarks._kept import Student
from benchmarks.common import Measure, measure, ratio
from leaf.errors import DataError
from leaf.records import Answer
from leaf.statistics import Values, by_base, compare_values
from leaf.store.arms import arm_of, in_order

EXPECTED = {
    "pair1/A": ("before", "kd", "leaf", "augment", "rft", "self"),
    "pair1/B": ("kd", "leaf", "paper"),
    "pair2/A": ("before", "rft", "self"),
}
"""The arms that figures are asked of, by pair and setting; others are trials of one change."""

SETTINGS = {"A": "", "B": ".mixed"}
"""How figures of a setting begin, after its pair."""

AGAINST = ("kd", "rft", "augment")
"""Whom arms are held against, where these are there."""

_MAIN = ("", "SubEM")
"""The measure that is meant where none is named: whether an answer is right, or holds a gold."""

_RESAMPLES = 9999
_ENDS = 1.96
"""Standard errors from a mean to the end of its 95% interval."""

Questions = dict[str, float]
"""Seed, test and id of a question in one name, to a value."""


@dataclass(slots=True)
class Arm:
    """One arm's answers in every seed."""

    name: str
    values: dict[tuple[str, str], dict[int, Values]] = field(default_factory=dict)
    """Test and measure to seed to each question's value."""
    lengths: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    """Test to each answer's tokens, and whether it was cut, over all seeds."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Seed to what its training took."""

    def add(
        self,
        student: Student,
        test: str,
        answers: Sequence[Answer],
        found: Mapping[str, Values],
    ) -> None:
        """Take one student's answers to one test."""
        for name, values in found.items():
            self.values.setdefault((test, name), {})[student.seed] = values
        told = [(one.response_tokens, one.truncated) for one in answers if one.failure is None]
        self.lengths.setdefault(test, []).extend(told)
        if student.seconds is not None:
            self.seconds[student.seed] = student.seconds

    def seeds(self, tests: Iterable[str], name: str) -> set[int]:
        """Return the seeds that answered all of some tests."""
        found = [set(self.values.get((test, name), ())) for test in tests]
        return set.intersection(*found) if found else set()


@dataclass(slots=True)
class Group:
    """All arms of one pair in one setting."""

    pair: str
    setting: str
    arms: dict[str, Arm] = field(default_factory=dict)
    bases: dict[str, dict[str, str]] = field(default_factory=dict)
    """Test to question to its base problem; one that is no variant is its own."""
    known: dict[tuple[str, ...], Measure | None] = field(default_factory=dict)
    """What was figured out already: figures and table show the same."""

    @property
    def place(self) -> str:
        """Its folder."""
        return f"{self.pair}/{self.setting}"

    @property
    def stem(self) -> str:
        """How its figures begin."""
        return self.pair + SETTINGS.get(self.setting, f".{self.setting}")

    @property
    def twins(self) -> dict[str, str]:
        """Each distracted test to the clean one."""
        ends = ((test, test.removesuffix("_distracted")) for test in self.bases)
        return {test: clean for test, clean in ends if clean != test and clean in self.bases}

    @property
    def tests(self) -> dict[str, tuple[str, ...]]:
        """What is shown, to the tests that it is of: all distracted ones, all clean ones, each."""
        pooled = {"distracted": tuple(self.twins), "clean": tuple(self.twins.values())}
        each = {test: (test,) for test in self.bases}
        return {name: tests for name, tests in {**pooled, **each}.items() if tests}

    @property
    def measures(self) -> list[str]:
        """What is measured, the main one first."""
        named = dict.fromkeys(name for arm in self.arms.values() for _, name in arm.values)
        return sorted(named, key=lambda name: name not in _MAIN)

    @property
    def main(self) -> list[Arm]:
        """The arms that are asked of its place, in the order shown; all where none is named."""
        asked = EXPECTED.get(self.place, tuple(self.arms))
        return [self.arms[name] for name in in_order(self.arms) if name in asked]

    def check_pairs(self) -> None:
        """Refuse a distracted test whose questions are not those of its clean one."""
        for test, clean in self.twins.items():
            lone = set(self.bases[test].values()) ^ set(self.bases[clean])
            if lone:
                raise DataError(
                    f"{self.place}: {test} and {clean} do not match: {len(lone)} questions of one "
                    f"have no twin in the other, the first {min(lone)!r}"
                )

    def lacking(self) -> list[str]:
        """Say which arms lack a test of those that are held together, or a seed."""
        lines = []
        for arm in self.main:
            lacks = [
                test for pair in self.twins.items() for test in pair if test not in arm.lengths
            ]
            if lacks:
                lines.append(f"{self.place}: {arm.name} to {', '.join(lacks)}")
        return lines

    def values(self, arm: Arm, tests: Iterable[str], name: str, seeds: Iterable[int]) -> Questions:
        """Return an arm's values of some tests in some seeds."""
        return {
            _key(seed, test, one): value
            for test, seed in product(tests, seeds)
            for one, value in arm.values[test, name][seed].items()
        }

    def base_of(self, tests: Iterable[str], seeds: Iterable[int]) -> dict[str, str]:
        """Return the base problem of each question: what is drawn together."""
        return {
            _key(seed, test, one): base
            for test, seed in product(tests, seeds)
            for one, base in self.bases[test].items()
        }


def _key(seed: int, test: str, name: str) -> str:
    return f"{seed} {test} {name}"


# Numbers.


def figures_of(group: Group) -> dict[str, float]:
    """Return every figure of a setting by its name."""
    found: dict[str, float] = {}
    for (label, tests), name in product(group.tests.items(), group.measures):
        end = "" if name in _MAIN else f".{name}"
        for arm in _in_order(group):
            if value := level(group, arm, tests, name):
                found |= value.figures(f"{group.stem}.{label}.{arm.name}{end}")
        for one, other in _pairs(group):
            if value := difference(group, one, other, tests, name):
                pair = f"{one.name}_minus_{other.name}"
                found |= value.figures(f"{group.stem}.{label}.{pair}{end}")
    for (label, tests), arm in product(group.tests.items(), _in_order(group)):
        if told := length(arm, tests):
            place = f"{group.stem}.{label}.{arm.name}"
            found |= {f"{place}.tokens": told[0], f"{place}.cut": told[1]}
    for arm in _in_order(group):
        if value := drop(group, arm):
            found |= value.figures(f"{group.stem}.drop.{arm.name}")
        if arm.seconds:
            found[f"{group.stem}.seconds.{arm.name}"] = statistics.fmean(arm.seconds.values())
    return found | _sizes(group)


def _sizes(group: Group) -> dict[str, float]:
    """Return the distracted questions and the seeds behind a setting's figures."""
    name = group.measures[0]
    rest = [arm.seeds(group.twins, name) for arm in group.main if arm.seconds]
    found = {"n": sum(len(group.bases[test]) for test in group.twins)}
    found["seeds"] = min(map(len, rest), default=0)
    sizes = {f"{group.stem}.{key}": float(value) for key, value in found.items()}
    if group.place == next(iter(EXPECTED)):
        sizes |= {key: float(value) for key, value in found.items()}
    return sizes


def level(group: Group, arm: Arm, tests: Sequence[str], name: str) -> Measure | None:
    """Return the mean of a measure over questions and seeds; None where no seed has all tests."""
    key = (arm.name, name, *tests)
    if key not in group.known:
        group.known[key] = _level(group, arm, tests, name)
    return group.known[key]


def _level(group: Group, arm: Arm, tests: Sequence[str], name: str) -> Measure | None:
    seeds = sorted(arm.seeds(tests, name))
    if not seeds:
        return None
    found = group.values(arm, tests, name, seeds)
    value = measure(ratio, *by_base(found, group.base_of(tests, seeds)), seed=0)
    assert value
    by_seed = [_mean(group.values(arm, tests, name, [seed])) for seed in seeds]
    return widened(value.value, value.low, value.high, by_seed)


def difference(
    group: Group, one: Arm, other: Arm, tests: Sequence[str], name: str
) -> Measure | None:
    """Return what one arm has more than another on the same questions in the same seeds."""
    key = (f"{one.name} - {other.name}", name, *tests)
    if key not in group.known:
        group.known[key] = _difference(group, one, other, tests, name)
    return group.known[key]


def _difference(
    group: Group, one: Arm, other: Arm, tests: Sequence[str], name: str
) -> Measure | None:
    seeds = sorted(one.seeds(tests, name) & other.seeds(tests, name))
    if not seeds:
        return None
    ours, theirs = (group.values(arm, tests, name, seeds) for arm in (one, other))
    return _compared(ours, theirs, group.base_of(tests, seeds), seeds)


def drop(group: Group, arm: Arm) -> Measure | None:
    """Return what an arm loses from clean questions to the same ones distracted."""
    name, twins = group.measures[0], group.twins
    seeds = sorted(arm.seeds([*twins, *twins.values()], name))
    if not seeds or not twins:
        return None
    clean = group.values(arm, twins.values(), name, seeds)
    hard = {
        _key(seed, twins[test], group.bases[test][one]): value
        for test, seed in product(twins, seeds)
        for one, value in arm.values[test, name][seed].items()
    }
    return _compared(clean, hard, group.base_of(twins.values(), seeds), seeds)


def _compared(
    ours: Questions, theirs: Questions, base_of: Mapping[str, str], seeds: Sequence[int]
) -> Measure:
    found = compare_values(ours, theirs, base_of=base_of, resamples=_RESAMPLES, seed=0)
    apart = {one: value - theirs[one] for one, value in ours.items()}
    begins = [f"{seed} " for seed in seeds]
    by_seed = [_mean({k: v for k, v in apart.items() if k.startswith(begin)}) for begin in begins]
    return widened(found.value, found.low, found.high, by_seed)


def widened(
    value: float, low: float | None, high: float | None, by_seed: Sequence[float]
) -> Measure:
    """Widen an interval over questions by the standard error over seeds.

    The two are independent: variances add up, at either end by itself. The standard error holds a
    part of what questions scatter, so it is rather too wide than too narrow.
    """
    if low is None or high is None:
        return Measure(value=value, low=None, high=None)
    apart = 0.0
    if len(by_seed) > 1:
        apart = _ENDS * statistics.stdev(by_seed) / len(by_seed) ** 0.5
    return Measure(
        value=value, low=value - hypot(value - low, apart), high=value + hypot(high - value, apart)
    )


def length(arm: Arm, tests: Sequence[str]) -> tuple[float, float] | None:
    """Return the tokens of an answer, and the share that was cut at the limit."""
    told = [one for test in tests for one in arm.lengths.get(test, ())]
    if not told or any(test not in arm.lengths for test in tests):
        return None
    tokens, cut = zip(*told, strict=True)
    return statistics.fmean(tokens), statistics.fmean(cut)


def _mean(values: Values) -> float:
    return statistics.fmean(values.values())


def _in_order(group: Group) -> list[Arm]:
    return [group.arms[name] for name in in_order(group.arms)]


def _pairs(group: Group) -> Iterator[tuple[Arm, Arm]]:
    """Yield which arm is held against which; nothing stands against what was not trained.

    A trial of one change stands against what it changes as well: LeaF-self.
    """
    for name, arm in group.arms.items():
        tried = () if arm in group.main else ("self",)
        for at, against in enumerate((*AGAINST, *tried)):
            other = group.arms.get(against)
            if other and arm.seconds and name not in AGAINST[: at + 1]:
                yield arm, other


# For people.


def rows_of(group: Group) -> tuple[list[str], list[list[str]]]:
    """Return the heads of a setting's table and its rows: a test, its arms below each other."""
    heads = ["", "", "seeds", "right", *(f"- {name}" for name in AGAINST), "tokens", "cut"]
    name = group.measures[0]
    rows = []
    pairs = list(_pairs(group))
    for label, tests in group.tests.items():
        first = label
        for arm in _in_order(group):
            found, told = level(group, arm, tests, name), length(arm, tests)
            if not found or not told:
                continue
            against = []
            for other in AGAINST:
                held = next((p for p in pairs if (p[0].name, p[1].name) == (arm.name, other)), None)
                value = held and difference(group, *held, tests, name)
                against.append(_points(value) if value else "")
            seeds = str(len(arm.seeds(tests, name)))
            cells = [first, arm_of(arm.name).title, seeds, _share(found), *against]
            rows.append([*cells, f"{told[0]:.0f}", f"{told[1]:.1%}"])
            first = ""
    return heads, rows


def _share(found: Measure) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.1%}"
    return f"{100 * found.value:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _points(found: Measure) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.value:+.1f}"
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
