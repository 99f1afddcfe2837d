"""The changed prompts that one detector led to, removals and transplants apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from leaf.records import Counterfactual, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What was tried, and what was refused before it could be."""

    removals: Sequence[Counterfactual]
    """Those with a filler in place included: they are verified alike."""
    transplants: Sequence[Counterfactual]
    """Made while removals are verified, so there are none before."""
    verdicts: Mapping[str, Verdict] | None
    """By counterfactual; None before verification."""
    refused: Sequence[Counterfactual] = ()
    """No questions to answer: `skipped` says why."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Response-level problem to the problem whose response it begins."""

    def problem(self, item: Counterfactual) -> str:
        """Return the id of the problem that was asked, whichever of its texts was changed."""
        return self.origins.get(item.problem_id, item.problem_id)

    def verdict(self, item: Counterfactual) -> Verdict | None:
        """Return what both models' answers said of it; None where they were not asked yet."""
        return (self.verdicts or {}).get(item.id)

    def kept(self, items: Iterable[Counterfactual]) -> list[Counterfactual]:
        """Return those that verification kept, in their order."""
        return [item for item in items if (verdict := self.verdict(item)) and verdict.kept]


def changes(
    counterfactuals: Sequence[Counterfactual],
    verdicts: Sequence[Verdict] | None,
    origins: Mapping[str, str] | None = None,
) -> Changes:
    """Sort counterfactuals by what was done; `verdicts` is None before verification."""
    tried = [item for item in counterfactuals if item.skipped is None]
    return Changes(
        removals=[item for item in tried if item.strategy != "transplant"],
        transplants=[item for item in tried if item.strategy == "transplant"],
        refused=[item for item in counterfactuals if item.skipped is not None],
        verdicts=None if verdicts is None else {v.counterfactual_id: v for v in verdicts},
        origins=origins or {},
    )
