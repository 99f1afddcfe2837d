"""Skewed Kullback-Leibler divergence (Ko et al. 2024, arXiv:2402.03898, Eq. 3)."""

import math

import torch
from torch import Tensor

from leaf.distill.losses.kl import kl


def skew_kl(
    log_student_BJ: Tensor, log_teacher_BJ: Tensor, *, skew: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Return KL(p || m) in nats, with m = skew p + (1 - skew) q, and -p_j (1 - skew) q_j / m_j.

    p is the teacher, q the student, 0 <= skew < 1. The mixture keeps the loss below -log(skew)
    where the student gives a token next to no chance; 0 is the forward divergence.
    """
    if skew == 0.0:
        return kl(log_student_BJ, log_teacher_BJ)
    own_BJ = log_student_BJ + math.log1p(-skew)
    log_mixture_BJ = torch.logaddexp(log_teacher_BJ + math.log(skew), own_BJ)
    loss_B, slope_BJ = kl(log_mixture_BJ, log_teacher_BJ)
    return loss_B, slope_BJ.mul_((own_BJ - log_mixture_BJ).exp_())
