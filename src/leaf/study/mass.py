"""How much of a model's attention, or of its gradient, falls on some places of a question.

Axes of the tables: a scope (which questions, which places) and an arm (which model).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from leaf.recipe import EvaluateSection
from leaf.records import Problem, Sensitivity
from leaf.statistics import Values, compare_values, estimate
from leaf.store.arms import arm_of, in_order
from leaf.study.finding import Cell, Row, Table
from leaf.study.scores import apart, drawn

MEASURES = ("attention", "gradient")
"""Detectors that say how much of a model goes to each token."""


class Place(Protocol):
    """A piece of a question, such as a `Span` or a `Distractor`."""

    @property
    def start(self) -> int:
        """Its first character."""
        ...

    @property
    def end(self) -> int:
        """One past its last character."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question with its reference response, and the places that are looked at."""

    problem: Problem
    reference: str
    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """One scope: each mapping is arm (or measure) to question to value; the same questions."""

    scope: str
    tokens: Values
    """Share of the question's units that the places cover: what chance would give."""
    mass: Mapping[str, Mapping[str, Values]]
    """Measure to arm to question to the share of it that falls on the places."""
    right: Mapping[str, Values]
    """Arm to question to 1 where its answer is right, else 0."""
    bases: Mapping[str, str]
    """Question to its base problem (`Problem.base`)."""
    left_out: int
    """Questions without scores, or whose scores are all 0."""

    @property
    def baseline(self) -> str:
        """The arm that LeaF is held against: `kd`, or `rft` without a teacher."""
        return "kd" if "kd" in self.right else "rft"


def share_on(
    starts: Sequence[int], ends: Sequence[int], scores: Sequence[float], places: Sequence[Place]
) -> float | None:
    """Return the share of the scores that falls on some places, in [0, 1].

    A unit that lies partly in a place counts with that share of its characters.

    Args:
        starts: First character of each unit.
        ends: One past its last character.
        scores: What each unit has, >= 0.
        places: Pieces of the question, which may overlap: a character counts once.

    Returns:
        None where the scores add up to 0, or there are none.
    """
    covered = {at for place in places for at in range(place.start, place.end)}
    inside = sum(
        score * sum(at in covered for at in range(start, end)) / (end - start)
        for start, end, score in zip(starts, ends, scores, strict=True)
    )
    whole = sum(scores)
    return min(1.0, inside / whole) if whole > 0 else None


def audit(
    scope: str,
    asked: Sequence[Asked],
    scores: Mapping[str, Mapping[str, Sequence[Sensitivity]]],
    right: Mapping[str, Values],
) -> Audit:
    """Put together what each arm's focus is on each question; questions that lack any go.

    Args:
        scope: For people.
        asked: The questions.
        scores: Measure to arm to scores, one a question and in their order.
        right: Arm to question to 1 or 0.
    """
    tokens: dict[str, float] = {}
    mass: dict[str, dict[str, dict[str, float]]] = {
        measure: {arm: {} for arm in arms} for measure, arms in scores.items()
    }
    for at, question in enumerate(asked):
        shares: dict[tuple[str, str], float] = {}
        for measure, arms in scores.items():
            for arm, every in arms.items():
                found = every[at]
                share = share_on(found.starts, found.ends, found.scores, question.places)
                if share is not None:
                    shares[measure, arm] = share
        if len(shares) < sum(map(len, scores.values())):
            continue
        # What falls on the places if every unit gets the same.
        evenly = share_on(found.starts, found.ends, [1.0] * len(found.starts), question.places)
        tokens[question.problem.id] = evenly or 0.0
        for (measure, arm), share in shares.items():
            mass[measure][arm][question.problem.id] = share
    return Audit(
        scope=scope,
        tokens=tokens,
        mass=mass,
        right={arm: {key: values[key] for key in tokens} for arm, values in right.items()},
        bases={question.problem.id: question.problem.base for question in asked},
        left_out=len(asked) - len(tokens),
    )


def masses(audits: Sequence[Audit], section: EvaluateSection) -> Table:
    """Return each arm's mean share on the places, and its accuracy on the same questions."""
    rows = []
    for one in audits:
        for arm in map(arm_of, in_order(one.right)) if one.tokens else ():
            cells: dict[str, Cell] = {
                "questions": len(one.tokens),
                "of tokens": _mean(one.tokens),
            }
            for column, arms in _by_column(one).items():
                cells[column] = estimate(arms[arm.name], ungradable=0, **drawn(section))
            rows.append(Row(labels={"where": one.scope, "model": arm.title}, cells=cells))
    return Table(
        title="Share that falls on the places, of the whole question's",
        columns={"questions": "count", "of tokens": "share", **_columns("share")},
        rows=tuple(rows),
    )


def differences(audits: Sequence[Audit], section: EvaluateSection) -> Table:
    """Return how two students differ on the same questions."""
    rows = []
    for one in audits:
        plain = one.baseline
        pairs = ((plain, "before"), ("leaf", "before"), ("leaf", plain))
        for student, baseline in pairs if one.tokens else ():
            cells: dict[str, Cell] = {
                column: compare_values(
                    arms[student], arms[baseline], base_of=one.bases, **drawn(section)
                )
                for column, arms in _by_column(one).items()
            }
            named = f"{arm_of(student).title} minus {arm_of(baseline).title}"
            rows.append(Row(labels={"where": one.scope, "difference": named}, cells=cells))
    return Table(
        title="Paired differences, percentage points", columns=_columns("points"), rows=tuple(rows)
    )


def _columns(unit: str) -> dict[str, str]:
    return {**{f"of {measure}": unit for measure in MEASURES}, "right": unit}


def _by_column(one: Audit) -> dict[str, Mapping[str, Values]]:
    """Return each column's values, by arm and question."""
    return {**{f"of {measure}": one.mass[measure] for measure in MEASURES}, "right": one.right}


def associations(audits: Sequence[Audit], section: EvaluateSection) -> Table:
    """Return how far the share fell from the baseline to LeaF where LeaF alone is right, or not.

    The difference of the two means has a bootstrap interval over questions (no pairs).
    """
    rows, plain_name = [], arm_of(audits[0].baseline if audits else "kd").title
    for one in audits:
        before = one.right[one.baseline]
        gained = {key for key in one.tokens if one.right["leaf"][key] > before[key]}
        for measure in MEASURES:
            plain, leaf = one.mass[measure][one.baseline], one.mass[measure]["leaf"]
            falls = {key: plain[key] - leaf[key] for key in one.tokens}
            alone = {key: fall for key, fall in falls.items() if key in gained}
            others = {key: fall for key, fall in falls.items() if key not in gained}
            cells: dict[str, Cell] = {
                "LeaF alone right": len(alone),
                "their fall": _mean(alone),
                "others": len(others),
                "the others' fall": _mean(others),
                # One question alone says nothing of how much such questions vary.
                "difference": apart(alone, others, section, one.bases)
                if min(len(alone), len(others)) > 1
                else None,
            }
            rows.append(Row(labels={"where": one.scope, "of": measure}, cells=cells))
    return Table(
        title=f"Fall of the share from {plain_name} to LeaF, percentage points",
        columns={
            "LeaF alone right": "count",
            "their fall": "points",
            "others": "count",
            "the others' fall": "points",
            "difference": "points",
        },
        rows=tuple(rows),
    )


def _mean(values: Values) -> float | None:
    return sum(values.values()) / len(values) if values else None
