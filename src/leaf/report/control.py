"""Whether a cut frees the student more than any cut would: placebos, samples, and the truth."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from leaf.recipe import Recipe
from leaf.records import Counterfactual, Outcome, Problem
from leaf.report.detectors import Share, share
from leaf.statistics import Comparison, compare_values
from leaf.store.ledger import Entry, Variant
from leaf.store.results import Cuts, Results

PLANTED = 0.5
"""Share of a cut's characters, spaces aside, that lie in distractors where it is planted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fewer:
    """Cuts that had fewer placebos than asked for."""

    reason: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Excess:
    """Cuts against their placebos, paired by problem: each has the mean of its cuts."""

    by_cuts: float
    """Share of right answers without what was cut, in [0, 1]."""
    by_placebos: float
    """The same without a placebo."""
    excess: Comparison
    """Of the two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """Of the cuts that are kept the share that is planted, where the data name what distracts."""

    greedy: Share | None
    """Kept by the models' greedy answers; None where there is none."""
    controlled: Share | None
    """Kept in the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Controlled:
    """What control made of one detector's cuts."""

    detector: str
    greedy: int
    """Cuts that both models answered right."""
    kept: int
    """Those of them that stayed."""
    placebos: int
    """How many were asked."""
    fewer: list[Fewer]
    excess: Excess | None
    """None without placebos."""
    chosen: bool
    """Whether only cuts that free were held against placebos, which makes the excess too large."""
    precision: Precision | None
    """None where the data do not say what distracts."""


def controlled(results: Results, entries: Sequence[Entry], recipe: Recipe) -> list[Controlled]:
    """Describe what control made of each detector's cuts; nothing where there was no control."""
    found = []
    for name, cuts in results.cuts.items():
        of = {entry.problem_id: entry.made(name, "removal") for entry in entries}
        items = [item for each in of.values() for item in each if item.control]
        if not items:
            continue
        few = Counter(item.control.why_few for item in items if item.control)
        found.append(
            Controlled(
                detector=name,
                greedy=sum(item.control.greedy for item in items if item.control),
                kept=sum(item.kept for item in items),
                placebos=len(cuts.placebos),
                fewer=[Fewer(reason=why, count=n) for why, n in few.items() if why],
                excess=_excess(of, results, recipe),
                chosen=recipe.verify.placebos_of == "kept" and not recipe.verify.samples,
                precision=precision(results, name),
            )
        )
    return found


def _excess(of: Mapping[str, Sequence[Variant]], results: Results, recipe: Recipe) -> Excess | None:
    pairs = {name: list(_pairs(items)) for name, items in of.items()}
    cuts = {name: fmean(cut for cut, _ in found) for name, found in pairs.items() if found}
    placebos = {name: fmean(one for _, one in found) for name, found in pairs.items() if found}
    if not cuts:
        return None
    compared = compare_values(
        cuts,
        placebos,
        base_of=_bases(results),
        resamples=recipe.evaluate.resamples,
        seed=recipe.evaluate.seed,
    )
    return Excess(
        by_cuts=fmean(cuts.values()), by_placebos=fmean(placebos.values()), excess=compared
    )


def _pairs(items: Sequence[Variant]) -> Iterator[tuple[float, float]]:
    """Yield each cut's share of right answers, and that of its placebos."""
    for item in items:
        if item.control and item.control.freed is not None and item.student:
            right = float(item.student.outcome is Outcome.RIGHT)
            yield right if item.control.rate is None else item.control.rate, item.control.freed


def _bases(results: Results) -> dict[str, str]:
    """Return what is drawn as one: variants of a problem, and what its response was cut into."""
    bases = {problem.id: problem.base for problem in results.problems or ()}
    within = {
        item.id: bases.get(origin) or origin
        for origin, found in results.segments.items()
        for item in found
    }
    return {**bases, **within}


def planted(problem: Problem, cut: Counterfactual) -> bool:
    """Whether a cut takes out what the data name as a distractor, and little else.

    At least `PLANTED` of its characters lie in `Problem.distractors`, spaces aside.
    """
    removed = {
        at
        for span in cut.spans
        for at in range(span.start, span.end)
        if not problem.question[at].isspace()
    }
    known = {at for one in problem.distractors for at in range(one.start, one.end)}
    return bool(removed) and len(removed & known) >= PLANTED * len(removed)


def precision(results: Results, detector: str) -> Precision | None:
    """Return which share of a detector's kept cuts is planted; None where no data say so.

    Cuts of whole questions count, and of these those that have nothing in their place.
    """
    problems = {problem.id: problem for problem in results.problems or ()}
    cuts = results.cuts[detector]
    if not any(problem.distractors for problem in problems.values()) or cuts.verdicts is None:
        return None
    greedy, kept = [], []
    for item, by_greedy, in_the_end in _judged(cuts):
        if item.problem_id in problems:
            right = planted(problems[item.problem_id], item)
            greedy += [right] * by_greedy
            kept += [right] * in_the_end
    return Precision(greedy=share(sum(greedy), len(greedy)), controlled=share(sum(kept), len(kept)))


def _judged(cuts: Cuts) -> Iterator[tuple[Counterfactual, bool, bool]]:
    """Yield removals, whether greedy answers keep each, and whether it is kept in the end."""
    for item, verdict in zip(cuts.tried, cuts.verdicts or (), strict=True):
        if item.strategy in ("span", "collective"):
            control = cuts.controls.get(item.id)
            greedy = control.greedy if control else verdict.kept
            yield item, greedy, verdict.kept


def in_lines(results: Results, recipe: Recipe) -> list[str]:
    """Say what control made of each detector's cuts, a line each."""
    return [in_words(found) for found in controlled(results, list(results.entries()), recipe)]


def in_words(found: Controlled) -> str:
    """Say in one line what control made of a detector's cuts."""
    line = f"{found.detector} under control: {found.kept} of {found.greedy} cuts stay"
    if found.placebos:
        line += f", held against {found.placebos} placebos"
    if found.excess:
        points = found.excess.excess
        line += (
            f"; freed by cuts {found.excess.by_cuts:.1%}, by placebos "
            f"{found.excess.by_placebos:.1%}, excess {100 * points.value:+.1f} points"
        )
        if points.low is not None and points.high is not None:
            line += f" ({100 * points.low:+.1f} to {100 * points.high:+.1f})"
        line += f" over {points.n} problems"
        if found.chosen:
            line += " (at most: these cuts were chosen for freeing)"
    if found.precision and found.precision.greedy and found.precision.controlled:
        shares = found.precision.greedy, found.precision.controlled
        line += "; planted: " + ", ".join(
            f"{one.count} of {one.n} {name}"
            for one, name in zip(shares, ("by greedy answers", "under control"), strict=True)
        )
    return line
