"""Generalised Jensen-Shannon divergence (Agarwal et al. 2024, arXiv:2306.13649, Eq. 1)."""

import math

import torch
from torch import Tensor


def jsd(
    log_student_BJ: Tensor, log_teacher_BJ: Tensor, *, beta: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Return beta KL(p || m) + (1 - beta) KL(q || m) in nats, with m = beta p + (1 - beta) q.

    p is the teacher, q the student, 0 < beta < 1; bounded, and the plain Jensen-Shannon divergence
    at 1/2. The slope is (1 - beta) q_j (log q_j - log m_j): what changes through m cancels.
    """
    log_mixture_BJ = torch.logaddexp(
        log_teacher_BJ + math.log(beta), log_student_BJ + math.log1p(-beta)
    )
    slope_BJ = (log_student_BJ - log_mixture_BJ).mul_(log_student_BJ.exp()).mul_(1.0 - beta)
    of_teacher_BJ = (log_teacher_BJ - log_mixture_BJ).mul_(log_teacher_BJ.exp())
    return beta * of_teacher_BJ.sum(dim=-1) + slope_BJ.sum(dim=-1), slope_BJ
