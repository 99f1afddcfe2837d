"""What detectors return, checked before anybody goes by it: a detector may be anybody's own."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from leaf.attribute.ranking import of_kind
from leaf.errors import LeafError
from leaf.records import Problem, RankedUnits, Sensitivity


def check_ranking(detector: str, problem: Problem, ranking: Any) -> RankedUnits | str:
    """Return a ranking of a question's units, or why there is none.

    Raises:
        LeafError: it is neither; names the detector, the problem and the rule.
    """
    if isinstance(ranking, str) and ranking:
        return ranking
    if isinstance(ranking, RankedUnits):
        fault = _units_fault(problem, ranking.starts, ranking.ends, ranking.rank_score)
        if not fault and not all(0 <= score <= 1 for score in ranking.rank_score):
            fault = "`rank_score` must lie in [0, 1] (0: cut first)"
        if not fault and not ranking.starts:
            fault = "it names no unit; return a text that says why"
        if not fault:
            return ranking
    else:
        fault = f"it must be `RankedUnits`, or a text that says why not, but is {ranking!r:.60}"
    raise LeafError(f"detector `{detector}`: its ranking of problem {problem.id}: {fault}")


def check_measured(detector: str, problems: Sequence[Problem], measured: Any) -> list[Sensitivity]:
    """Return what was measured of each problem.

    Raises:
        LeafError: it is none, or not one a problem; names the detector, the problem and the rule.
    """
    if not isinstance(measured, Sequence) or len(measured) != len(problems):
        what = len(measured) if isinstance(measured, Sequence) else f"{measured!r:.60}"
        raise LeafError(
            f"detector `{detector}`: `measure` must return one `Sensitivity` a problem, "
            f"{len(problems)} here, but returned {what}"
        )
    for problem, one in zip(problems, measured, strict=True):
        if not isinstance(one, Sensitivity):
            fault = f"it must be a `Sensitivity`, but is {one!r:.60}"
        elif one.skipped:
            continue
        else:
            fault = _measure_fault(problem, one)
        if fault:
            raise LeafError(f"detector `{detector}`: its measure of problem {problem.id}: {fault}")
    return list(measured)


def _measure_fault(problem: Problem, one: Sensitivity) -> str:
    """Say what is wrong with what was measured of a problem, kind by kind; "" where nothing is."""
    if len(one.kinds) not in (0, len(one.starts)):
        return f"{len(one.kinds)} kinds of {len(one.starts)} units: must be as many, or none"
    for kind in dict.fromkeys(one.kinds) or [""]:
        part = of_kind(one, kind)
        assert isinstance(part, Sensitivity)  # noqa: S101 - as `one`
        if fault := _units_fault(problem, part.starts, part.ends, part.scores):
            return fault
    return ""


def _units_fault(
    problem: Problem, starts: Sequence[int], ends: Sequence[int], scores: Sequence[float]
) -> str:
    """Say what is wrong with units and their scores; "" where nothing is."""
    if not len(starts) == len(ends) == len(scores):
        return f"{len(starts)} starts, {len(ends)} ends and {len(scores)} scores: must be as many"
    last = 0
    for start, end in zip(starts, ends, strict=True):
        if not last <= start <= end <= len(problem.question):
            return (
                f"unit {start}:{end} must lie in the question (0:{len(problem.question)}), in text "
                "order and not over another one"
            )
        last = end
    for score in scores:
        if not isinstance(score, Real) or not math.isfinite(score):
            return f"a score must be a finite number, but is {score!r:.60}"
    return ""
