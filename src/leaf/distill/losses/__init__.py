"""Losses between two distributions. To add one: one file here, one line in `LOSSES`.

Axes: B positions, J outcomes (the vocabulary, or the outcomes that are told apart).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from leaf.distill.losses.jsd import jsd
from leaf.distill.losses.kl import kl
from leaf.distill.losses.loss import Loss
from leaf.distill.losses.reverse_kl import reverse_kl
from leaf.distill.losses.skew_kl import skew_kl
from leaf.distill.losses.tv import tv
from leaf.recipe import DistillSection

LOSSES: dict[str, Callable[[DistillSection], Loss]] = {
    "kl": lambda _: kl,
    "reverse_kl": lambda _: reverse_kl,
    "jsd": lambda section: partial(jsd, beta=section.jsd_beta),
    "skew_kl": lambda section: partial(skew_kl, skew=section.skew),
    "tv": lambda _: tv,
}


def differentiable(formula: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """Make a loss of a plain formula; PyTorch finds its slope, which costs a little more.

    Args:
        formula: (log-probabilities of the student [B, J], of the teacher [B, J]) -> losses [B].
    """

    def loss(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf_BJ = log_student_BJ.detach().requires_grad_()
            loss_B = formula(leaf_BJ, log_teacher_BJ)
            (slope_BJ,) = torch.autograd.grad(loss_B.sum(), leaf_BJ)
        return loss_B.detach(), slope_BJ

    return loss


__all__ = ["LOSSES", "differentiable", "jsd", "kl", "reverse_kl", "skew_kl", "tv"]
