"""Spans of candidate units, and questions with spans removed."""

import dataclasses
from collections.abc import Sequence

from leaf.prune.guards import refusal
from leaf.prune.select import Bools, candidates
from leaf.prune.substitute import substitutes
from leaf.recipe import PruneSection
from leaf.records import Counterfactual, Problem, RankedUnits, Span
from leaf.text.units import may_go, pieces, remove


def spans(
    marked_U: Bools,
    scores: RankedUnits,
    question: str,
    *,
    join: bool = True,
    bridge_whitespace: bool = False,
) -> list[Span]:
    """Return the maximal runs of neighbouring candidates, in text order.

    Without `join` each candidate is a span of its own. With `bridge_whitespace`, runs that only
    whitespace units separate are one span.
    """
    runs: list[list[int]] = []
    for unit in range(len(marked_U)):
        if not marked_U[unit]:
            continue
        if join and runs and _adjoin(runs[-1][-1], unit, scores, question, bridge_whitespace):
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return [_span(run, scores, question) for run in runs]


def prune(
    problem: Problem,
    scores: RankedUnits | str,
    section: PruneSection,
    *,
    unit: str = "token",
) -> list[Counterfactual]:
    """Return one problem's counterfactuals, or a single one that says why there is none.

    `span`: each span removed alone. `collective`: all of them removed together. `substitute`: each
    span replaced by a filler. What is made of verified cuts begins with spans as well. A span that
    a guard refuses is a counterfactual that says so.

    Args:
        problem: Whose question is cut.
        scores: A ranking of its units, or why there is none.
        section: Rule, threshold and strategy.
        unit: What the units are. Neighbouring tokens and words are one span; a phrase, clause,
            sentence or paragraph is one by itself, since two of them rarely mislead as one.
    """
    if isinstance(scores, str):
        return [_none(problem, section, scores)]
    marked_U = candidates(scores, problem.question, section)
    found = spans(
        marked_U,
        scores,
        problem.question,
        join=unit in {"token", "word"},
        bridge_whitespace=section.bridge_whitespace,
    )
    if not found:
        return [_none(problem, section, "no candidate token")]
    reasons = [refusal(problem, span, section.whole) for span in found]
    refused = [
        _counterfactual(problem, _strategy(section), number, (span,), reason)
        for number, (span, reason) in enumerate(zip(found, reasons, strict=True))
        if reason
    ]
    allowed = [span for span, reason in zip(found, reasons, strict=True) if not reason]
    singles = [(span,) for span in allowed if section.cuts_spans]
    together = [tuple(allowed)] if "collective" in section.strategies and allowed else []
    made = [
        _counterfactual(problem, "span" if number < len(singles) else "collective", number, group)
        for number, group in enumerate([*singles, *together])
    ]
    if "substitute" in section.strategies:
        made += substitutes(problem, allowed, section)
    return [*made, *refused]


def distinct(found: Sequence[Counterfactual]) -> list[Counterfactual]:
    """Keep one of equal questions of a problem, numbered anew, and every refused span once.

    A reason why there is no span at all stays only where nothing else does.
    """
    kept: dict[object, Counterfactual] = {}
    for item in found:
        places = tuple((span.start, span.end) for span in item.spans)
        if not item.skipped:
            kept.setdefault(item.question, item)
        elif places:
            kept.setdefault((item.strategy, places, item.skipped), item)
    if not kept:
        return list(found[:1])
    numbers: dict[str, int] = {}
    numbered = []
    for item in kept.values():
        what = "no" if item.skipped else _PREFIX.get(item.strategy, "cf")
        number = numbers[what] = numbers.get(what, -1) + 1
        numbered.append(dataclasses.replace(item, id=f"{item.problem_id}/{what}{number}"))
    return numbered


_PREFIX = {"substitute": "sb"}
"""How ids begin; those of removals with `cf`, those of what was refused with `no`."""


def removable(problem: Problem, units: Sequence[str]) -> list[Counterfactual]:
    """Return the question without each piece that may go, whatever any detector says.

    Args:
        problem: Its sentence that asks and what is protected stay.
        units: Kinds of pieces, keys of `leaf.text.units.BORDERS`.
    """
    found = {
        (start, end): Span(start=start, end=end, text=question[start:end], gap=0.0, units=1)
        for question in [problem.question]
        for unit in units
        for start, end in pieces(question, unit)
        if may_go(question[start:end]) and problem.asked.start <= start
    }
    return [
        _counterfactual(problem, "span", number, (span,))
        for number, span in enumerate(found.values())
        if not refusal(problem, span, ())
    ]


def _adjoin(
    last: int, unit: int, scores: RankedUnits, question: str, bridge_whitespace: bool
) -> bool:
    if unit == last + 1:
        return True
    between = question[scores.ends[last] : scores.starts[unit]]
    return bridge_whitespace and between.isspace()


def _span(run: Sequence[int], scores: RankedUnits, question: str) -> Span:
    start, end = scores.starts[run[0]], scores.ends[run[-1]]
    return Span(
        start=start,
        end=end,
        text=question[start:end],
        gap=min(scores.rank_score[unit] for unit in run),
        units=len(run),
    )


def _counterfactual(
    problem: Problem,
    strategy: str,
    number: int,
    group: tuple[Span, ...],
    refused: str | None = None,
) -> Counterfactual:
    question = problem.question if refused else remove(problem.question, group)
    what = "segment" if problem.prompt else "question"
    nothing = None if question.strip() else f"nothing would be left of the {what}"
    return Counterfactual(
        id=f"{problem.id}/{'no' if refused else 'cf'}{number}",
        problem_id=problem.id,
        strategy=strategy,
        spans=group,
        question=question,
        skipped=refused or nothing,
    )


def _none(problem: Problem, section: PruneSection, reason: str) -> Counterfactual:
    return Counterfactual(
        id=f"{problem.id}/none",
        problem_id=problem.id,
        strategy=_strategy(section),
        spans=(),
        question=problem.question,
        skipped=reason,
    )


def _strategy(section: PruneSection) -> str:
    return "span" if section.cuts_spans else section.without()[0]
