"""From measured scores to units in the order of suspicion: Eq. 3, 4 and 5, one function each.

Axes: U units of one question.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leaf.records import Attribution, NormalisedScores, RankedUnit, RankedUnits, Sensitivity
from leaf.text.units import Piece, ends

if TYPE_CHECKING:
    from leaf.attribute.detector import Detector, Evidence

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Scores in [0, 1] that differ by less are equal: what is left is rounding."""


def ranked_units(
    detector: "Detector", evidence: "Evidence", unit: str = "token"
) -> list[RankedUnit] | str:
    """Return a question's units in text order with their suspicion, or why there is no ranking.

    Args:
        detector: Who ranks.
        evidence: What it goes by.
        unit: One of `leaf.text.units.UNITS`; `oracle` always marks tokens.
    """
    ranked = detector.rank_units(evidence, "token" if detector.exact else unit)
    if isinstance(ranked, str):
        return ranked
    places = zip(ranked.starts, ranked.ends, ranked.rank_score, strict=True)
    return [RankedUnit(start=start, end=end, score=1 - score) for start, end, score in places]


def min_max(scores_U: Sequence[float] | Floats, *, resolution: float = 0.0) -> Floats | None:
    """Scale scores to [0, 1] (Eq. 3); None when all are equal, since there is no ranking then.

    Args:
        scores_U: Scores of any scale.
        resolution: Scores that all lie within this of each other count as equal.
    """
    values_U = np.asarray(scores_U, dtype=np.float64)
    if len(values_U) == 0:
        return None
    low, high = values_U.min(), values_U.max()
    if high - low <= resolution:
        return None
    scaled_U: Floats = (values_U - low) / (high - low)
    return scaled_U


def sensitivity_gap(teacher_U: Floats, student_U: Floats) -> Floats:
    """Teacher minus student, both min-maxed (Eq. 4): low where only the student looks."""
    return teacher_U - student_U


def normalise_scores(attribution: Attribution) -> NormalisedScores | str:
    """Normalise one problem's scores (Eq. 3 to 5), or say why they give no ranking."""
    if attribution.skipped:
        return attribution.skipped
    teacher_U, student_U = min_max(attribution.teacher), min_max(attribution.student)
    if teacher_U is None:
        return "all teacher scores are equal"
    if student_U is None:
        return "all student scores are equal"
    gap_U = min_max(sensitivity_gap(teacher_U, student_U), resolution=ROUNDING)
    if gap_U is None:
        return "teacher and student scores differ by the same everywhere"
    return NormalisedScores(
        problem_id=attribution.problem_id,
        starts=attribution.starts,
        ends=attribution.ends,
        teacher=tuple(teacher_U.tolist()),
        student=tuple(student_U.tolist()),
        gap=tuple(gap_U.tolist()),
    )


def of_kind(measured: Sensitivity | Attribution, unit: str) -> Sensitivity | Attribution:
    """Return what was measured of one kind of unit; of the first kind where it was not.

    Where one kind alone was measured, that is all there is.
    """
    if not measured.kinds:
        return measured
    kind = unit if unit in measured.kinds else measured.kinds[0]
    at = [number for number, name in enumerate(measured.kinds) if name == kind]

    def chosen(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[number] for number in at)

    starts, ends = chosen(measured.starts), chosen(measured.ends)
    if isinstance(measured, Sensitivity):
        scores = chosen(measured.scores)
        return replace(measured, kinds=(), starts=starts, ends=ends, scores=scores)
    teacher, student = chosen(measured.teacher), chosen(measured.student)
    return replace(measured, kinds=(), starts=starts, ends=ends, teacher=teacher, student=student)


def by_gap(measured: Sensitivity | Attribution | None) -> RankedUnits | str:
    """Rank by Eq. 3 to 5, whatever was measured of both models in place of Eq. 2."""
    assert isinstance(measured, Attribution)  # noqa: S101 - who needs both models has both
    scores = normalise_scores(measured)
    return scores if isinstance(scores, str) else ranked(scores, scores.gap)


def by_suspicion(
    places: Sensitivity | Attribution, suspicion_U: Sequence[float] | Floats, what: str
) -> RankedUnits | str:
    """Rank the units of `places`, the most suspicious first; `what` their scores are, for people.

    Suspicion has any scale; where it is equal everywhere there is no ranking.
    """
    suspicious_U = min_max(suspicion_U)
    if suspicious_U is None:
        return places.skipped or f"all {what} are equal"
    return ranked(places, (1 - suspicious_U).tolist())


def ranked(
    places: Sensitivity | Attribution | NormalisedScores, rank_score: Sequence[float]
) -> RankedUnits:
    """Give the units of what was measured their place in a ranking."""
    return RankedUnits(
        problem_id=places.problem_id,
        starts=places.starts,
        ends=places.ends,
        rank_score=tuple(rank_score),
    )


def widen(tokens: RankedUnits, question: str, unit: str) -> RankedUnits | str:
    """Join tokens to words, phrases, clauses or sentences, or say why these have no ranking.

    A wide unit has the mean of its tokens, and the means are min-maxed anew over the wide units
    (Eq. 5): as sensitivities' means and their gap are. Whitespace tokens do not count; a unit of
    nothing else comes last. A token that reaches over a border belongs to the unit in which it
    begins.
    """
    if unit == "token":
        return tokens
    groups = list(_groups(list(zip(tokens.starts, tokens.ends, strict=True)), question, unit))
    texts = [
        [token for token in group if question[tokens.starts[token] : tokens.ends[token]].strip()]
        for group in groups
    ]
    score_U = min_max(
        [fmean(tokens.rank_score[token] for token in text) for text in texts if text],
        resolution=ROUNDING,
    )
    if score_U is None:
        return f"every {unit} has the same gap"
    scores = iter(score_U.tolist())
    return RankedUnits(
        problem_id=tokens.problem_id,
        starts=tuple(tokens.starts[group[0]] for group in groups),
        ends=tuple(tokens.ends[group[-1]] for group in groups),
        rank_score=tuple(next(scores) if text else 1.0 for text in texts),
    )


def units_of(tokens: Sequence[Piece], question: str, unit: str) -> list[Piece]:
    """Return a question's units, each made of whole tokens."""
    if unit == "token":
        return list(tokens)
    return [
        (tokens[group[0]][0], tokens[group[-1]][1]) for group in _groups(tokens, question, unit)
    ]


def text_start(question: str, place: Piece) -> int:
    """Return where the text of a token begins: a leading space is no part of it."""
    start, end = place
    return end - len(question[start:end].lstrip())


def _groups(tokens: Sequence[Piece], question: str, unit: str) -> Iterator[list[int]]:
    """Yield the numbers of the tokens of each wide unit."""
    borders = ends(question, unit)
    group: list[int] = []
    last = -1
    for token, place in enumerate(tokens):
        number = int(np.searchsorted(borders, text_start(question, place), side="right"))
        if group and number != last:
            yield group
            group = []
        group.append(token)
        last = number
    if group:
        yield group
