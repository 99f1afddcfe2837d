"""Whether detection beats chance: every detector's removals on the same problems, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from leaf.records import STORED_AS
from leaf.report.changes import Changes
from leaf.report.readings import reading
from leaf.statistics import Comparison, Interval, mcnemar, wilson


@dataclass(frozen=True, kw_only=True, slots=True)
class Share(Interval):
    """A count among `n` > 0 as a share, with its 95% Wilson interval."""

    value: float = field(metadata={STORED_AS: "mean"})
    low: float
    high: float
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """The recipe's detector against this one: who freed a problem that the other did not."""

    comparison: Comparison
    """Wins are problems that only the recipe's detector freed; there is no interval."""
    reading: str
    """`equal`, `open`, `higher` (the recipe's detector freed more) or `lower`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    """What one detector's removals came to; transplants do not count."""

    detector: str
    own: bool
    """Whether it is the recipe's own detector; the others are controls."""
    problems: int
    """Problems that it cut in."""
    tried: int
    """Changed prompts."""
    removed_characters: float | None
    """Mean characters taken out of a prompt; None where there is no prompt."""
    verified: Share | None
    """Changed prompts that both models answered right; None before verification."""
    freed: Share | None
    """Problems with at least one of those, among all that entered detection."""
    against: Against | None
    """None for the recipe's own detector, and before verification."""


def detectors(cuts: Mapping[str, Changes], *, own: str, entered: int) -> list[Detector]:
    """Describe every detector; `own` is the recipe's, `entered` counts problems in detection."""
    return [_detector(name, found, cuts, own, entered) for name, found in cuts.items()]


def _detector(
    name: str, found: Changes, cuts: Mapping[str, Changes], own: str, entered: int
) -> Detector:
    sizes = [sum(span.end - span.start for span in cut.spans) for cut in found.removals]
    kept = found.kept(found.removals)
    freed = {found.problem(cut) for cut in kept}
    verified = found.verdicts is not None
    return Detector(
        detector=name,
        own=name == own,
        problems=len({found.problem(cut) for cut in found.removals}),
        tried=len(sizes),
        removed_characters=sum(sizes) / len(sizes) if sizes else None,
        verified=_share(len(kept), len(sizes)) if verified else None,
        freed=_share(len(freed), entered) if verified else None,
        against=_against(cuts[own], freed, entered) if verified and name != own else None,
    )


def _share(count: int, n: int) -> Share | None:
    if n == 0:
        return None
    low, high = wilson(count, n)
    return Share(count=count, n=n, value=count / n, low=low, high=high)


def _against(own: Changes, theirs: set[str], entered: int) -> Against | None:
    if entered == 0:
        return None
    ours = {own.problem(cut) for cut in own.kept(own.removals)}
    wins, losses = len(ours - theirs), len(theirs - ours)
    comparison = Comparison(
        n=entered,
        wins=wins,
        losses=losses,
        value=(wins - losses) / entered,
        low=None,
        high=None,
        p_value=mcnemar(wins, losses),
    )
    return Against(comparison=comparison, reading=reading(comparison))
