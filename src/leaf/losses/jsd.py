"""Generalised Jensen-Shannon divergence (Agarwal et al. 2024, arXiv:2306.13649, Eq. 1)."""

import math
from functools import partial

import torch
from torch import Tensor

from leaf.errors import UsageError
from leaf.losses._over_positions import over_positions
from leaf.losses.kl import kl_formula


def jsd_formula(log_student_BJ: Tensor, log_teacher_BJ: Tensor, *, beta: float = 0.5) -> Tensor:
    """Return beta KL(p || m) + (1 - beta) KL(q || m) in nats, with m = beta p + (1 - beta) q.

    p is the teacher, q the student, 0 < beta < 1.
    """
    if not 0.0 < beta < 1.0:
        raise UsageError(
            f"jsd: beta must lie between 0 and 1, but is {beta}; `kl` and `reverse_kl` are what it "
            "tends to at the ends"
        )
    log_mixture_BJ = torch.logaddexp(
        log_teacher_BJ + math.log(beta), log_student_BJ + math.log1p(-beta)
    )
    of_teacher_B = kl_formula(log_mixture_BJ, log_teacher_BJ)
    return beta * of_teacher_B + (1.0 - beta) * kl_formula(log_mixture_BJ, log_student_BJ)


def jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    beta: float = 0.5,
    shift: bool = True,
    temperature: float = 1.0,
) -> Tensor:
    """Return beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q: bounded.

    p is the teacher, q the student, 0 < beta < 1; at 1/2 the plain Jensen-Shannon divergence, at
    most ln 2.

    Args:
        student_logits: [.., T, V].
        teacher_logits: [.., T, W]; where W is not V, both are cut to their common first part.
        labels: [.., T], -100 where nothing is learned; None: every position counts.
        beta: Share of the teacher in the mixture, 0 < beta < 1.
        shift: Whether logits at t predict the label at t + 1; False: the label at t.
        temperature: Divides both models' logits, > 0; the loss is multiplied by its square.

    Returns:
        A scalar in nats, the mean over the positions that count; see `over_positions`.

    Raises:
        UsageError: shapes that do not fit, no position that counts, a temperature or a beta out of
            range.

    Example:
        >>> import torch, leaf.losses
        >>> teacher = torch.tensor([[0.5, 0.5]]).log()
        >>> student = torch.tensor([[0.25, 0.75]]).log()
        >>> round(float(leaf.losses.jsd(student, teacher)), 4)
        0.0338
    """
    return over_positions(
        partial(jsd_formula, beta=beta),
        student_logits,
        teacher_logits,
        labels,
        shift=shift,
        temperature=temperature,
    )
