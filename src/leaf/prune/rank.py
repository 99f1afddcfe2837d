"""What each detector ranks lowest, on the units that may be cut.

Every detector ends in a `NormalisedScores` whose `gap` is 0 for what it would cut first, so that
rules, spans, verification and training are the same for all. Axes: U units of one question.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from leaf.prune.select import ROUNDING, candidates, min_max, normalise_scores
from leaf.recipe import AttributeSection, PruneSection
from leaf.records import Attribution, NormalisedScores, Problem, Sensitivity
from leaf.text.units import BORDERS, Piece, may_go, pieces


def rank(
    detector: str,
    scores: NormalisedScores,
    problem: Problem,
    *,
    unit: str = "token",
    prune: PruneSection,
    attribute: AttributeSection,
    measured: Sensitivity | Attribution | None = None,
) -> tuple[NormalisedScores | str, int | None]:
    """Rank one question's units as a detector does, and say how many it marks.

    Args:
        detector: One of `leaf.recipe.Detector`.
        scores: The gradient's normalised scores of the question's tokens.
        problem: The question; `oracle` takes its known distractors.
        unit: What a candidate token takes along, one of `prune.units`; `oracle` takes nothing.
        prune: The rule by which `random` and `perplexity` count.
        attribute: The seed of `random`.
        measured: What a detector goes by other than the gradient: both models' scores, or for
            `perplexity` the nats of each token under the student.

    Returns:
        The ranking, or why there is none, and how many units are candidates: None leaves that to
        the rule.
    """
    if detector == "oracle":
        return _planted(scores, problem)
    if detector in {"random", "perplexity"}:
        gradient = widen(scores, problem.question, unit)
        if isinstance(gradient, str):
            return gradient, None
        count = int(candidates(gradient, problem.question, prune).sum())
        if detector == "random":
            return _shuffled(gradient, f"{attribute.seed} {problem.id}"), count
        assert isinstance(measured, Sensitivity)  # noqa: S101 - the pipeline brings it
        ranked = _surprising(scores, measured)
    else:
        assert not isinstance(measured, Sensitivity)  # noqa: S101 - see above
        ranked, count = RANKINGS[detector](scores, problem.question, measured), None
    if isinstance(ranked, str):
        return ranked, None
    return widen(ranked, problem.question, unit), count


Ranking = Callable[[NormalisedScores, str, Any], NormalisedScores | str]
"""(the gradient's scores, the question, both models' scores) -> the ranking, or why none."""


def by_gap(
    _scores: NormalisedScores, _question: str, measured: Attribution
) -> NormalisedScores | str:
    """Rank by Eq. 3 to 5, whatever was measured in place of Eq. 2."""
    return normalise_scores(measured)


def _by_effect(
    scores: NormalisedScores, question: str, measured: Attribution
) -> NormalisedScores | str:
    """Rank tokens by what their pieces do for both models' reference, least first.

    A token in no measured piece ranks last: it asks, or was not proposed.
    """
    if measured.skipped:
        return measured.skipped
    effects = np.asarray([measured.teacher, measured.student])
    scaled = [min_max(row) for row in (*effects, effects.sum(axis=0))]
    if scaled[-1] is None:
        return "taking away any piece has the same effect"
    piece_U = _containing(scores, question, measured)
    teacher_U, student_U, gap_U = (
        [1.0 if row is None or piece < 0 else float(row[piece]) for piece in piece_U]
        for row in scaled
    )
    return replace(scores, teacher=tuple(teacher_U), student=tuple(student_U), gap=tuple(gap_U))


RANKINGS: dict[str, Ranking] = {
    "gradient": lambda scores, _question, _measured: scores,
    "teacher": lambda scores, _question, _measured: replace(scores, gap=scores.teacher),
    "attention": by_gap,
    "integrated_gradients": by_gap,
    "ablation": _by_effect,
}
"""How detectors rank; the rule then says how many are candidates.

A detector of your own has its line here and, where it measures models, one of the same name in
`leaf.attribute.DETECTORS`, whose scores under both models are `measured` (else None).
"""


def propose(scores: NormalisedScores, question: str, unit: str, count: int) -> tuple[Piece, ...]:
    """Return the pieces of a question with the lowest mean gap, in text order, at most `count`.

    Args:
        scores: The gradient's normalised scores of the question's tokens.
        question: The text; pieces that ask are never proposed.
        unit: `token`, `word`, `clause` or `sentence`.
        count: How many.
    """
    tokens = list(zip(scores.starts, scores.ends, strict=True))
    every = tokens if unit == "token" else pieces(question, unit)
    text_U = np.asarray([bool(question[slice(*token)].strip()) for token in tokens])
    place_U, gap_U = np.asarray(_places(scores, question)), np.asarray(scores.gap)

    def mean_gap(piece: Piece) -> float:
        inside_U = (piece[0] <= place_U) & (place_U < piece[1]) & text_U
        return float(gap_U[inside_U].mean()) if inside_U.any() else 1.0

    found = [piece for piece in every if may_go(question[slice(*piece)])]
    return tuple(sorted(sorted(found, key=mean_gap)[:count]))


def widen(scores: NormalisedScores, question: str, unit: str) -> NormalisedScores | str:
    """Join tokens to words, clauses or sentences, or say why these have no ranking.

    A wide unit has the mean sensitivities of its tokens, and so their mean gap, which is min-maxed
    anew over the wide units (Eq. 5). Whitespace tokens do not count; a unit of nothing else has
    gap 1. A token that reaches over a border belongs to the unit in which it begins.
    """
    if unit == "token":
        return scores
    groups = list(_groups(scores, question, BORDERS[unit]))
    texts = [
        [token for token in group if question[scores.starts[token] : scores.ends[token]].strip()]
        for group in groups
    ]
    gap_U = min_max(
        [fmean(scores.gap[token] for token in text) for text in texts if text], resolution=ROUNDING
    )
    if gap_U is None:
        return f"every {unit} has the same gap"
    gaps = iter(gap_U.tolist())
    return NormalisedScores(
        problem_id=scores.problem_id,
        starts=tuple(scores.starts[group[0]] for group in groups),
        ends=tuple(scores.ends[group[-1]] for group in groups),
        teacher=_means(scores.teacher, texts),
        student=_means(scores.student, texts),
        gap=tuple(next(gaps) if text else 1.0 for text in texts),
    )


def _means(values: Sequence[float], texts: Sequence[Sequence[int]]) -> tuple[float, ...]:
    return tuple(fmean(values[token] for token in text) if text else 0.0 for text in texts)


def _groups(
    scores: NormalisedScores, question: str, border: re.Pattern[str]
) -> Iterator[list[int]]:
    """Yield the tokens of each wide unit."""
    ends = [match.end() for match in border.finditer(question)]
    group: list[int] = []
    last = -1
    for token, place in enumerate(_places(scores, question)):
        number = int(np.searchsorted(ends, place, side="right"))
        if group and number != last:
            yield group
            group = []
        group.append(token)
        last = number
    if group:
        yield group


def _places(scores: NormalisedScores, question: str) -> list[int]:
    """Return where each token's text begins: a leading space is no part of its place."""
    found = []
    for start, end in zip(scores.starts, scores.ends, strict=True):
        text = question[start:end]
        found.append(start + len(text) - len(text.lstrip()))
    return found


def _containing(scores: NormalisedScores, question: str, measured: Attribution) -> list[int]:
    """Return the number of the measured piece in which each token begins, -1 for none."""
    found = []
    for place in _places(scores, question):
        number = int(np.searchsorted(measured.starts, place, side="right")) - 1
        found.append(number if number >= 0 and place < measured.ends[number] else -1)
    return found


def _surprising(scores: NormalisedScores, surprisal: Sensitivity) -> NormalisedScores | str:
    surprising_U = min_max(surprisal.scores)
    if surprising_U is None:
        return surprisal.skipped or "all surprisals are equal"
    return replace(scores, gap=tuple((1 - surprising_U).tolist()))


def _planted(
    scores: NormalisedScores, problem: Problem
) -> tuple[NormalisedScores | str, int | None]:
    if not problem.distractors:
        return "the data name no distractor", None
    inside = [
        any(
            # Text, not the space alone that a distractor ends with and the next token begins with.
            problem.question[max(start, known.start) : min(end, known.end)].strip()
            for known in problem.distractors
        )
        for start, end in zip(scores.starts, scores.ends, strict=True)
    ]
    return replace(scores, gap=tuple(0.0 if found else 1.0 for found in inside)), sum(inside)


def _shuffled(scores: NormalisedScores, seed: str) -> NormalisedScores:
    order: Sequence[int] = range(len(scores.gap))
    order = random.Random(seed).sample(order, len(order))
    last = max(len(order) - 1, 1)
    return replace(scores, gap=tuple(place / last for place in order))
