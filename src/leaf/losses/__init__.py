"""Losses between two next-token distributions, each usable alone.

    loss = leaf.losses.kl(student_logits, teacher_logits, labels)
    loss.backward()

Each file has one plain formula, from log-probabilities to a loss a position. Two things follow from
it: the function above, which takes whole logits, and training, which takes the formula block by
block so that no [T, V] tensor exists (`leaf.models.fused_loss`).

A loss on hidden states is a module in `HIDDEN_LOSSES`; `distill.hidden: {NAME: WEIGHT}` adds it to
the loss over the vocabulary.

To add one: a formula, here or in a script of yours, and its line in `LOSSES`; a recipe may then say
`distill.loss: NAME`, and gives keyword arguments of the formula in `distill.loss_options`.
"""

from collections.abc import Callable

from torch import Tensor, nn

from leaf.losses._over_positions import Formula, over_positions
from leaf.losses.cosine import Cosine
from leaf.losses.jsd import jsd, jsd_formula
from leaf.losses.kl import kl, kl_formula
from leaf.losses.reverse_kl import reverse_kl, reverse_kl_formula
from leaf.losses.skew_kl import skew_kl, skew_kl_formula
from leaf.losses.tv import tv, tv_formula

LOSSES: dict[str, Callable[..., Tensor]] = {
    "kl": kl_formula,
    "reverse_kl": reverse_kl_formula,
    "jsd": jsd_formula,
    "skew_kl": skew_kl_formula,
    "tv": tv_formula,
}
"""Name in a recipe to formula: a `Formula`, which may have keyword options besides."""

HIDDEN_LOSSES: dict[str, Callable[[int, int], nn.Module]] = {"cosine": Cosine}
"""Name in `distill.hidden` to a module made of both models' widths: (last hidden states of the
student [R, D], of the teacher [R, E]) -> loss of each position [R]. What it learns is trained with
the student, checkpointed, and no part of the student that is saved."""

__all__ = [
    "HIDDEN_LOSSES",
    "LOSSES",
    "Formula",
    "jsd",
    "kl",
    "over_positions",
    "reverse_kl",
    "skew_kl",
    "tv",
]


def __dir__() -> list[str]:
    return __all__
