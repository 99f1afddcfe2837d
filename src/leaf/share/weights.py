"""What a row's response tokens weigh, so that a trainer without lambda learns as LeaF does.

With weights w of n tokens t in all, `sum(w_t * loss_t) / n` is the recipe's loss of all rows as one
batch, lambda L_o + (1 - lambda) L_c (`leaf.distill.weights`).
"""

from collections.abc import Sequence

from leaf.distill.weights import shares
from leaf.recipe import DistillSection, Lambda


def token_weights(
    rows: Sequence[tuple[bool, int, float]], section: DistillSection | None
) -> list[float]:
    """Return what a response token of each row weighs.

    Args:
        rows: Of each, whether it is a changed question, its response tokens, and its own weight.
        section: Its `lambda`, whose mean counts where it moves; None: every token weighs its row's
            own weight.

    Returns:
        1.0 for all where every token weighs the same (`lambda: rows`).
    """
    if section is None:
        return [weight for _, _, weight in rows]
    amounts = [0.0, 0.0]
    for changed, tokens, weight in rows:
        amounts[changed] += tokens * weight
    share = shares(_mean_lambda(section), (amounts[0], amounts[1]), section.changed_weight)
    whole = sum(tokens for _, tokens, _ in rows)
    return [
        share[changed] * weight * whole / amounts[changed] if amounts[changed] else 0.0
        for changed, _, weight in rows
    ]


def _mean_lambda(section: DistillSection) -> Lambda:
    """Return lambda, or where it moves in a straight line, its middle."""
    if section.lambda_end is None or isinstance(section.lambda_, str):
        return section.lambda_
    return (section.lambda_ + section.lambda_end) / 2
