"""How many distractors to put in and how they weigh: clean against distracted questions.

A student that ignores what distracts is of little use where it has unlearned the rest. So every
dose is a place: what is right where nothing distracts, and where something does. The baseline has
a place as well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import StudyError
from leaf.statistics import Interval
from leaf.study.arms import UNCLEAR, Trained, says_how, train, verdict_of
from leaf.study.axes import Axes, axes_in_words, axes_of, with_measures
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.plot import Place, draw_plane

SHARES: tuple[float, ...] = (0.25, 0.33, 0.5, 1.0)
"""Tried at the recipe's weight, beside its own."""

WEIGHTS: tuple[float | str, ...] = ("rows", "add", 0.5)
"""Tried at the recipe's share, beside its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dose:
    """How much is put in, and how it weighs."""

    share: float | None
    """`prune.share`."""
    weight: float | str
    """`distill.lambda`."""

    @property
    def labels(self) -> dict[str, str]:
        """As tables name it."""
        return {
            "share": "no limit" if self.share is None else f"{self.share:g}",
            "weight": self.weight if isinstance(self.weight, str) else f"{self.weight:g}",
        }

    @property
    def name(self) -> str:
        """For people."""
        return " at ".join(f"{key} {value}" for key, value in self.labels.items())

    def changes(self, own: "Dose") -> dict[str, Any]:
        """Return the keys in which it differs from the recipe's own, and their values."""
        share = {"prune.share": self.share} if self.share != own.share else {}
        weight = {"distill.lambda": self.weight, "distill.lambda_end": None}
        return share | (weight if self.weight != own.weight else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One student: LeaF of a dose, or a baseline."""

    title: str
    dose: Dose | None
    """None: a baseline."""
    trained: Trained
    right: Mapping[str, Interval]
    """Axis to what it gets right."""
    best: bool
    """Whether no other is as good on both axes and better on one."""

    @property
    def labels(self) -> dict[str, str]:
        """As tables name it."""
        dose = self.dose.labels if self.dose else {"share": "", "weight": ""}
        return {"student": self.title, **dose}


def dose(lab: Lab) -> Finding:
    """Train LeaF at every dose, and give each a place beside its baseline.

    Raises:
        StudyError: nothing is put in, or the recipe does not tell what is clean and distracted.
    """
    own, axes = own_dose(lab), axes_of(lab)
    doses = doses_of(lab)
    settings = [train(lab, one.name, one.changes(own)) for one in doses]
    return compared(lab, axes, doses, settings)


def compared(lab: Lab, axes: Axes, doses: Sequence[Dose], settings: Sequence[Trained]) -> Finding:
    """Give each dose's student a place; `axes` have benchmarks."""
    own, section = own_dose(lab), lab.recipe.evaluate
    labels = with_measures(axes, settings[0].labels, section)
    points = _points(doses, settings, labels)
    best = "; ".join(one.dose.name if one.dose else one.title for one in points if one.best)
    return Finding(
        study="dose",
        says=(
            *_against_baseline(settings, labels),
            f"By value, no other is as good on both and better on one than: {best}.",
            axes_in_words(axes, section),
            f"The recipe has {own.name}. The best of several looks better than it is: confirm it "
            "on other seeds or questions.",
            *_held_back(lab, doses),
            *says_how(lab, settings),
        ),
        tables=(_places(points, labels), _each_benchmark(doses, settings)),
        draw=lambda figure: draw_plane(
            figure,
            _series(points, own),
            x="share right on clean questions, %",
            y="share right on distracted questions, %",
            ring="none is better on both",
        ),
        size=(8.5, 6.2),
    )


def undominated(places: Sequence[tuple[float, float]]) -> list[bool]:
    """Say of each place whether no other is as good on both axes and better on one."""

    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a != b and a[0] >= b[0] and a[1] >= b[1]

    return [not any(beats(other, one) for other in places) for one in places]


def own_dose(lab: Lab) -> Dose:
    """Return the recipe's own.

    Raises:
        StudyError: nothing is put in.
    """
    section = lab.recipe.prune
    if not section.strategies & {"transplant", "inject"}:
        raise StudyError(
            f"recipe {lab.recipe.name} puts nothing in (prune.strategy: "
            f"{', '.join(section.strategy)}), so there is no dose; add transplant or inject"
        )
    return Dose(share=section.share, weight=lab.recipe.distill.lambda_)


def doses_of(lab: Lab) -> list[Dose]:
    """Return each dose once: by share, the recipe's own among them, then the other weights."""
    own = own_dose(lab)
    shares = {own.share, *(lab.choices.shares or SHARES)}
    rising = sorted(shares, key=lambda share: math.inf if share is None else share)
    doses = [Dose(share=share, weight=own.weight) for share in rising]
    doses += [Dose(share=own.share, weight=weight) for weight in lab.choices.weights or WEIGHTS]
    return list(dict.fromkeys(doses))


def _points(doses: Sequence[Dose], settings: Sequence[Trained], axes: Axes) -> list[Point]:
    """Return each baseline once, then LeaF of every dose."""
    plain, arm = settings[0].plain, settings[0].baseline
    made: dict[tuple[str, ...], list[int]] = {}
    for at, setting in enumerate(settings):
        made.setdefault(setting.made[arm], []).append(at)
    students: list[tuple[str, Dose | None, Trained, str]] = []
    for same in made.values():
        # Where baselines differ, they do by their steps, which follow from the share.
        shares = ", ".join(dict.fromkeys(doses[at].labels["share"] for at in same))
        title = plain if len(made) == 1 else f"{plain}, steps of share {shares}"
        students.append((title, None, settings[same[0]], arm))
    students += [("LeaF", *one, "leaf") for one in zip(doses, settings, strict=True)]
    right = [
        {axis: trained.right(arm, labels) for axis, labels in axes.items()}
        for _, _, trained, arm in students
    ]
    best = undominated([(one["clean"].value, one["distracted"].value) for one in right])
    return [
        Point(title=title, dose=dose, trained=trained, right=right[at], best=best[at])
        for at, (title, dose, trained, _) in enumerate(students)
    ]


def _places(points: Sequence[Point], axes: Axes) -> Table:
    plain = points[0].trained.plain
    rows = []
    for point in points:
        cells: dict[str, Cell] = {**point.right, "none is better": "yes" if point.best else None}
        if point.dose:
            trained = point.trained
            cells |= {f"{axis} - {plain}": trained.gain(labels) for axis, labels in axes.items()}
            cells["changed questions"] = sum(trained.changed) / len(trained.changed)
        rows.append(Row(labels=point.labels, cells=cells))
    columns = {**dict.fromkeys(axes, "share"), **{f"{axis} - {plain}": "points" for axis in axes}}
    return Table(
        title="Share right where nothing distracts, and where something does",
        columns={**columns, "changed questions": "count", "none is better": "text"},
        rows=tuple(rows),
    )


def _each_benchmark(doses: Sequence[Dose], settings: Sequence[Trained]) -> Table:
    labels = settings[0].labels
    return Table(
        title=f"LeaF minus {settings[0].plain} on each benchmark",
        columns=dict.fromkeys(labels, "points"),
        rows=tuple(
            Row(labels=one.labels, cells={label: setting.gain([label]) for label in labels})
            for one, setting in zip(doses, settings, strict=True)
        ),
    )


def _against_baseline(settings: Sequence[Trained], axes: Axes) -> list[str]:
    """Say which doses are better or worse than the baseline; those alike in one sentence."""
    alike: dict[tuple[str, str], list[str]] = {}
    for setting in settings:
        clean, distracted = (verdict_of(setting.gain(of)) or UNCLEAR for of in axes.values())
        alike.setdefault((clean, distracted), []).append(setting.name)
    return [
        f"Against {settings[0].plain}, {clean} on clean questions and {distracted} on distracted "
        f"ones: {'; '.join(names)}."
        for (clean, distracted), names in sorted(alike.items())
    ]


def _held_back(lab: Lab, doses: Sequence[Dose]) -> list[str]:
    section = lab.recipe.prune
    most = max(one.share or 0 for one in doses)
    if "inject" not in section.strategies or most <= section.inject.share:
        return []
    return [
        f"Whatever the share, injections stop at prune.inject.share ({section.inject.share:g}); "
        f"--set prune.inject.share={most:g} lets them go on."
    ]


def _series(points: Sequence[Point], own: Dose) -> dict[str, list[Place]]:
    """Return the picture's series: shares in rising order, other weights, the baseline."""
    plain, labels = points[0].trained.plain, own.labels
    by_share = f"LeaF (by share, weight {labels['weight']})"
    by_weight = f"LeaF (by weight, share {labels['share']})"
    series: dict[str, dict[tuple[str, ...], Place]] = {by_share: {}, by_weight: {}, plain: {}}
    for point in points:
        one = point.dose
        if one is None:
            name, text, made = plain, point.title, point.trained.made[point.trained.baseline]
        else:
            made = point.trained.made["leaf"]
            name = by_share if one.weight == own.weight else by_weight
            key = "share" if name == by_share else "weight"
            text = "the recipe" if one == own else f"{key} {one.labels[key]}"
        if made in series[name]:
            text = f"{series[name][made].text} = {text}"  # the same student
        x, y = point.right["clean"], point.right["distracted"]
        series[name][made] = Place(text=text, x=x, y=y, ringed=point.best)
    return {name: list(places.values()) for name, places in series.items() if places}
