"""Whether detection beats chance: every detector's removals on the same problems, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from leaf.records import STORED_AS
from leaf.report.counts import changes, origins
from leaf.report.readings import reading
from leaf.statistics import Comparison, Interval, mcnemar, wilson
from leaf.store.ledger import Entry
from leaf.store.results import Results


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
    """Changed questions."""
    removed_characters: float | None
    """Mean characters taken out of a prompt; None where there is no prompt."""
    verified: Share | None
    """Changed questions that both models answered right; None before verification."""
    freed: Share | None
    """Problems with at least one of those, among all that entered detection."""
    against: Against | None
    """None for the recipe's own detector, and before verification."""


def detectors(results: Results, entries: Sequence[Entry], own: str) -> list[Detector]:
    """Describe every detector; `own` is the recipe's."""
    entered = len({entry.origin for entry in entries if entry.entered})
    removals = {name: changes(entries, name, "removal") for name in results.cuts}
    freed = {
        name: origins([(entry, item) for entry, item in cut if item.kept])
        for name, cut in removals.items()
    }
    described = []
    for name, cut in removals.items():
        sizes = [sum(len(span.text) for span in item.spans) for _, item in cut]
        kept = sum(item.kept for _, item in cut)
        verified = results.cuts[name].verdicts is not None
        compared = verified and name != own
        described.append(
            Detector(
                detector=name,
                own=name == own,
                problems=len(origins(cut)),
                tried=len(cut),
                removed_characters=sum(sizes) / len(sizes) if sizes else None,
                verified=share(kept, len(cut)) if verified else None,
                freed=share(len(freed[name]), entered) if verified else None,
                against=_against(freed[own], freed[name], entered) if compared else None,
            )
        )
    return described


def share(count: int, n: int) -> Share | None:
    """Return `count / n` with its interval; None of nothing."""
    if n == 0:
        return None
    low, high = wilson(count, n)
    return Share(count=count, n=n, value=count / n, low=low, high=high)


def _against(own: set[str], control: set[str], entered: int) -> Against | None:
    if entered == 0:
        return None
    wins, losses = len(own - control), len(control - own)
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
