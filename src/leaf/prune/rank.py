"""What each detector ranks lowest, on the units that may be cut.

Every detector ends in a `Focus` whose `gap` is 0 for what it would cut first, so that rules, spans,
verification and training are the same for all. Axes: U units of one question.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from leaf.config import AttributeSection, PruneSection
from leaf.prune.select import ROUNDING, candidates, min_max
from leaf.records import Focus, Problem, Sensitivity

_NO_TITLE = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)"
"""The point of these ends no sentence."""

_BORDERS = {
    "word": re.compile(r"\s+"),
    # Not the point of 3.5, nor the comma of 1,000; `...` and `?!` are one border, not several.
    "clause": re.compile(_NO_TITLE + r"[,;:.!?…]++(?![0-9])[\"'”’)\]]*|\n+"),
    "sentence": re.compile(_NO_TITLE + r"[.!?…]++(?![0-9])[\"'”’)\]]*|\n+"),
}
"""What separates words, and what ends clauses and sentences."""


def rank(
    detector: str,
    scores: Focus,
    problem: Problem,
    *,
    unit: str = "token",
    prune: PruneSection,
    attribute: AttributeSection,
    surprisal: Sensitivity | None = None,
) -> tuple[Focus | str, int | None]:
    """Rank one question's units as a detector does, and say how many it marks.

    Args:
        detector: `gradient`, `random`, `perplexity` or `oracle`.
        scores: The gradient's normalised scores of the question's tokens.
        problem: The question; `oracle` takes its known distractors.
        unit: What a candidate token takes along, one of `prune.units`; `oracle` takes nothing.
        prune: The rule by which `random` and `perplexity` count.
        attribute: The seed of `random`.
        surprisal: What `perplexity` goes by: nats of each token under the student.

    Returns:
        The ranking, or why there is none, and how many units are candidates: None leaves that to
        the rule.
    """
    if detector == "oracle":
        return _planted(scores, problem)
    gradient = widen(scores, problem.question, unit)
    if detector == "gradient" or isinstance(gradient, str):
        return gradient, None
    count = int(candidates(gradient, problem.question, prune).sum())
    if detector == "random":
        return _shuffled(gradient, f"{attribute.seed} {problem.id}"), count
    assert surprisal is not None  # noqa: S101 - the pipeline brings it for `perplexity`
    surprising_U = min_max(surprisal.scores)
    if surprising_U is None:
        return surprisal.skipped or "all surprisals are equal", None
    ranked = replace(scores, gap=tuple((1 - surprising_U).tolist()))
    return widen(ranked, problem.question, unit), count


def widen(scores: Focus, question: str, unit: str) -> Focus | str:
    """Join tokens to words, clauses or sentences, or say why these have no ranking.

    A wide unit has the mean sensitivities of its tokens, and so their mean gap, which is min-maxed
    anew over the wide units (Eq. 5). Whitespace tokens do not count; a unit of nothing else has
    gap 1. A token that reaches over a border belongs to the unit in which it begins.
    """
    if unit == "token":
        return scores
    groups = list(_groups(scores, question, _BORDERS[unit]))
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
    return Focus(
        problem_id=scores.problem_id,
        starts=tuple(scores.starts[group[0]] for group in groups),
        ends=tuple(scores.ends[group[-1]] for group in groups),
        teacher=_means(scores.teacher, texts),
        student=_means(scores.student, texts),
        gap=tuple(next(gaps) if text else 1.0 for text in texts),
    )


def _means(values: Sequence[float], texts: Sequence[Sequence[int]]) -> tuple[float, ...]:
    return tuple(fmean(values[token] for token in text) if text else 0.0 for text in texts)


def _groups(scores: Focus, question: str, border: re.Pattern[str]) -> Iterator[list[int]]:
    """Yield the tokens of each wide unit; a token's leading space is no part of its place."""
    ends = [match.end() for match in border.finditer(question)]
    group: list[int] = []
    last = -1
    for token, (start, end) in enumerate(zip(scores.starts, scores.ends, strict=True)):
        text = question[start:end]
        place = start + len(text) - len(text.lstrip())
        number = int(np.searchsorted(ends, place, side="right"))
        if group and number != last:
            yield group
            group = []
        group.append(token)
        last = number
    if group:
        yield group


def _planted(scores: Focus, problem: Problem) -> tuple[Focus | str, int | None]:
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


def _shuffled(scores: Focus, seed: str) -> Focus:
    order: Sequence[int] = range(len(scores.gap))
    order = random.Random(seed).sample(order, len(order))
    last = max(len(order) - 1, 1)
    return replace(scores, gap=tuple(place / last for place in order))
