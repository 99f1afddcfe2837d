"""How much of a model's attention, or of its gradient, falls on some places of a question.

Axes of the tables: a scope (which questions, which places) and an arm (which model).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from leaf.recipe import EvaluateSection
from leaf.records import Problem, Sensitivity
from leaf.statistics import Values, compare_values, estimate
from leaf.study.finding import Cell, Row, Table
from leaf.study.scores import apart
from leaf.study.seeds import of_comparison, of_estimate

MEASURES = ("attention", "gradient")
"""Detectors that say how much of a model goes to each token."""

ARMS = {"before": "before", "kd": "KD", "leaf": "LeaF", "teacher": "teacher"}
"""Whose focus is audited, and the name for people."""

_DIFFERENCES = (("kd", "before"), ("leaf", "before"), ("leaf", "kd"))


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
    found: Mapping[str, Mapping[str, Sequence[Sensitivity]]],
    right: Mapping[str, Values],
) -> Audit:
    """Put together what each arm's focus is on each question; questions that lack any go.

    Args:
        scope: For people.
        asked: The questions.
        found: Measure to arm to scores, one a question and in their order.
        right: Arm to question to 1 or 0.
    """
    tokens: dict[str, float] = {}
    mass: dict[str, dict[str, dict[str, float]]] = {
        measure: {arm: {} for arm in arms} for measure, arms in found.items()
    }
    for at, one in enumerate(asked):
        of_one = {
            (measure, arm): _share(scores[at], one.places)
            for measure, arms in found.items()
            for arm, scores in arms.items()
        }
        first = next(iter(found.values()))["before"][at]
        evenly = share_on(first.starts, first.ends, [1.0] * len(first.starts), one.places)
        if evenly is None or any(share is None for share in of_one.values()):
            continue
        tokens[one.problem.id] = evenly
        for (measure, arm), share in of_one.items():
            assert share is not None  # noqa: S101 - looked at above
            mass[measure][arm][one.problem.id] = share
    return Audit(
        scope=scope,
        tokens=tokens,
        mass=mass,
        right={arm: {one: values[one] for one in tokens} for arm, values in right.items()},
        bases={one.problem.id: one.problem.base for one in asked},
        left_out=len(asked) - len(tokens),
    )


def _share(found: Sensitivity, places: Sequence[Place]) -> float | None:
    return share_on(found.starts, found.ends, found.scores, places)


def masses(audits: Sequence[Audit], section: EvaluateSection) -> Table:
    """Return each arm's mean share on the places, and its accuracy on the same questions."""
    options = section.model_dump(include={"resamples", "seed"})
    rows = []
    for one in audits:
        if not one.tokens:
            continue
        for arm, name in ARMS.items():
            cells: dict[str, Cell] = {
                "questions": len(one.tokens),
                "of tokens": sum(one.tokens.values()) / len(one.tokens),
            }
            for measure in MEASURES:
                values = one.mass[measure][arm]
                cells[f"of {measure}"] = of_estimate(estimate(values, ungradable=0, **options))
            cells["right"] = of_estimate(estimate(one.right[arm], ungradable=0, **options))
            rows.append(Row(labels={"where": one.scope, "model": name}, cells=cells))
    columns = {"questions": "count", "of tokens": "share"}
    columns |= {f"of {measure}": "share" for measure in MEASURES}
    return Table(
        title="Share that falls on the places, of the whole question's",
        columns={**columns, "right": "share"},
        rows=tuple(rows),
    )


def differences(audits: Sequence[Audit], section: EvaluateSection) -> Table:
    """Return how two students differ on the same questions."""
    options = section.model_dump(include={"resamples", "seed"})
    rows = []
    for one in audits:
        if not one.tokens:
            continue
        for ours, theirs in _DIFFERENCES:
            cells: dict[str, Cell] = {
                f"of {measure}": of_comparison(
                    compare_values(
                        one.mass[measure][ours],
                        one.mass[measure][theirs],
                        base_of=one.bases,
                        **options,
                    )
                )
                for measure in MEASURES
            }
            compared = compare_values(
                one.right[ours], one.right[theirs], base_of=one.bases, **options
            )
            cells["right"] = of_comparison(compared)
            named = f"{ARMS[ours]} minus {ARMS[theirs]}"
            rows.append(Row(labels={"where": one.scope, "difference": named}, cells=cells))
    return Table(
        title="Paired differences, percentage points",
        columns={**{f"of {measure}": "points" for measure in MEASURES}, "right": "points"},
        rows=tuple(rows),
    )


def associations(audits: Sequence[Audit], section: EvaluateSection) -> Table:
    """Return how far the share fell from KD to LeaF where LeaF alone is right, and elsewhere.

    The difference of the two means has a bootstrap interval over questions (no pairs).
    """
    rows = []
    for one in audits:
        gained = {key for key in one.tokens if one.right["leaf"][key] > one.right["kd"][key]}
        for measure in MEASURES:
            falls = {
                key: one.mass[measure]["kd"][key] - one.mass[measure]["leaf"][key]
                for key in one.tokens
            }
            ours = {key: fall for key, fall in falls.items() if key in gained}
            rest = {key: fall for key, fall in falls.items() if key not in gained}
            cells: dict[str, Cell] = {
                "LeaF alone right": len(ours),
                "their fall": _mean(ours),
                "others": len(rest),
                "the others' fall": _mean(rest),
                # One question alone says nothing of how much such questions vary.
                "difference": apart(ours, rest, section, one.bases)
                if min(len(ours), len(rest)) > 1
                else None,
            }
            rows.append(Row(labels={"where": one.scope, "of": measure}, cells=cells))
    return Table(
        title="Fall of the share from KD to LeaF, percentage points",
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
