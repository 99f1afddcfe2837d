"""How much each response token weighs in the loss of a step.

    share:  lambda L_o + (1 - lambda) L_c     L_o, L_c weighted means over a kind's response tokens
    rows:   one mean over all response tokens, whatever their kind
    add:    L_o + changed_weight L_c

A row's `weight` multiplies its tokens in the sums and in what they are divided by. On top comes
`anchor` times the mean over the tokens of anchored rows. A step without tokens of one kind leaves
all of `share` and `rows` to the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from leaf.distill.rows import TrainingExample
from leaf.recipe import DistillSection, Lambda


@dataclass(frozen=True, kw_only=True, slots=True)
class Amounts:
    """Response tokens of a whole step, each times its row's weight."""

    original: float = 0.0
    changed: float = 0.0
    anchored: float = 0.0
    """Those of anchored originals, which are among `original`."""

    @classmethod
    def of(cls, rows: Iterable[tuple[TrainingExample, int]]) -> "Amounts":
        """Add up rows with their response tokens."""
        original = changed = anchored = 0.0
        for row, tokens in rows:
            amount = row.weight * tokens
            if row.counterfactual:
                changed += amount
            else:
                original += amount
                anchored += amount * row.is_anchored
        return cls(original=original, changed=changed, anchored=anchored)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenWeight:
    """What one response token of a row weighs."""

    loss: float
    """In the loss of its kind, lambda included."""
    anchor: float = 0.0
    """In the anchor."""


NOTHING = TokenWeight(loss=0.0)


def token_weight(
    row: TrainingExample, amounts: Amounts, lambda_: Lambda, section: DistillSection
) -> TokenWeight:
    """Return what a token of a row weighs in a step of so many tokens."""
    kinds = (amounts.original, amounts.changed)
    share = shares(lambda_, kinds, section.changed_weight)[row.counterfactual]
    amount = kinds[row.counterfactual]
    anchored = row.is_anchored and amounts.anchored > 0
    return TokenWeight(
        loss=share * row.weight / amount if amount else 0.0,
        anchor=section.anchor * row.weight / amounts.anchored if anchored else 0.0,
    )


def shares(
    lambda_: Lambda, amounts: tuple[float, float], changed_weight: float
) -> tuple[float, float]:
    """Return what the means over originals and over changed rows weigh in the loss."""
    originals, changed = amounts
    if lambda_ == "add":
        return float(originals > 0), changed_weight * (changed > 0)
    if not changed:
        return 1.0, 0.0
    if not originals:
        return 0.0, 1.0
    if lambda_ == "rows":
        return originals / (originals + changed), changed / (originals + changed)
    return lambda_, 1.0 - lambda_
