"""How well one ranking of a question's units agrees with what is planted there.

A ranking is a `RankedUnits` whose lowest score is what its detector would cut first. Units of
whitespace alone never count. Axes: U units of one question, S its sentences or phrases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from leaf.records import Problem, RankedUnits
from leaf.text.units import may_go, pieces

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_ROUNDING = 1e-12
"""Mean gaps of pieces that differ by less are equal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """One problem under one detector."""

    auc: float | None
    """Area under the ROC curve, in [0, 1]; None where every unit is planted, or none."""
    units: int
    planted: int
    """Units that hold a character of a planted distractor."""
    marked: int
    """Units that the detector would cut."""
    hits: int
    """Units that are both."""
    sentence_hit: float
    """Whether the sentence ranked first is a planted one, in [0, 1]: among equals, their share."""
    sentence_chance: float
    """What a blind choice of a sentence would hit, in [0, 1]."""
    phrase_hit: float
    """The same of phrases: most distractions of real questions are half a sentence."""
    phrase_chance: float
    """The same of phrases."""
    last_hit: bool | None
    """Whether the last sentence that does not ask is a planted one; None where all ask."""


def agreement(scores: RankedUnits, marked_U: Bools, problem: Problem) -> Agreement:
    """Compare a ranking, and the units marked by it, with a problem's planted distractors."""
    planted_U = holds_planted(scores, problem)
    text_U = has_text(scores, problem.question)
    hit, chance = piece_hit(scores, problem.question, planted_U, "sentence")
    phrase = piece_hit(scores, problem.question, planted_U, "phrase")
    return Agreement(
        auc=auc(np.asarray(scores.rank_score)[text_U], planted_U[text_U]),
        units=int(text_U.sum()),
        planted=int(planted_U.sum()),
        marked=int((marked_U & text_U).sum()),
        hits=int((marked_U & planted_U).sum()),
        sentence_hit=hit,
        sentence_chance=chance,
        phrase_hit=phrase[0],
        phrase_chance=phrase[1],
        last_hit=last_hit(problem),
    )


def last_hit(problem: Problem) -> bool | None:
    """Say whether the last sentence before the question holds a distractor, by place alone."""
    found = [
        place
        for place in pieces(problem.question, "sentence")
        if may_go(problem.question[slice(*place)])
    ]
    if not found:
        return None
    start, end = found[-1]
    return any(
        problem.question[max(start, known.start) : min(end, known.end)].strip()
        for known in problem.distractors
    )


def auc(gap_U: Floats, planted_U: Bools) -> float | None:
    """Return how often a planted unit has a lower gap than another one; a tie counts half."""
    planted = int(planted_U.sum())
    others = len(planted_U) - planted
    if planted == 0 or others == 0:
        return None
    # The rank sum of the planted units is least when they all stand before the others.
    rank_sum = float(stats.rankdata(gap_U)[planted_U].sum())
    least = planted * (planted + 1) / 2
    return 1 - (rank_sum - least) / (planted * others)


def holds_planted(scores: RankedUnits, problem: Problem) -> Bools:
    """Mark units that share a character with a distractor, whitespace apart.

    A token often begins with the space before its word, and a distractor may end with one: to
    share no more than that is to share nothing.
    """
    inside = np.zeros(len(problem.question), dtype=np.bool_)
    for known in problem.distractors:
        inside[known.start : known.end] = True
    inside &= [not character.isspace() for character in problem.question]
    return np.asarray(
        [
            bool(inside[start:end].any())
            for start, end in zip(scores.starts, scores.ends, strict=True)
        ],
        dtype=np.bool_,
    )


def has_text(scores: RankedUnits, question: str) -> Bools:
    """Mark units that are more than whitespace."""
    return np.asarray(
        [
            bool(question[start:end].strip())
            for start, end in zip(scores.starts, scores.ends, strict=True)
        ],
        dtype=np.bool_,
    )


def piece_hit(
    scores: RankedUnits, question: str, planted_U: Bools, unit: str
) -> tuple[float, float]:
    """Rank sentences or phrases by the mean gap of their units.

    Returns:
        The share of planted ones among the pieces ranked first (several where they tie), and among
        all pieces, which is what chance would hit; both in [0, 1].
    """
    gap_U, text_U = np.asarray(scores.rank_score), has_text(scores, question)
    # Pieces tile the question, so that each unit belongs to the last one that starts before it.
    starts_S = [start for start, _ in pieces(question, unit)]
    piece_U = np.searchsorted(starts_S, scores.starts, side="right") - 1
    found_S = np.unique(piece_U[text_U])
    mean_S = np.asarray([gap_U[text_U & (piece_U == number)].mean() for number in found_S])
    holds_S = np.asarray([planted_U[piece_U == number].any() for number in found_S])
    first_S = mean_S <= mean_S.min() + _ROUNDING
    return float(holds_S[first_S].mean()), float(holds_S.mean())
