"""Skewed Kullback-Leibler divergence (Ko et al. 2024, arXiv:2402.03898, Eq. 3)."""

import math
from functools import partial

import torch
from torch import Tensor

from leaf.errors import UsageError
from leaf.losses._over_positions import over_positions
from leaf.losses.kl import kl_formula


def skew_kl_formula(log_student_BJ: Tensor, log_teacher_BJ: Tensor, *, skew: float = 0.1) -> Tensor:
    """Return KL(p || m) in nats, with m = skew p + (1 - skew) q, p the teacher, q the student.

    0 <= skew < 1; 0 is the forward divergence.
    """
    if not 0.0 <= skew < 1.0:
        raise UsageError(f"skew_kl: skew must be at least 0 and below 1, but is {skew}")
    if skew == 0.0:
        return kl_formula(log_student_BJ, log_teacher_BJ)
    log_mixture_BJ = torch.logaddexp(
        log_teacher_BJ + math.log(skew), log_student_BJ + math.log1p(-skew)
    )
    return kl_formula(log_mixture_BJ, log_teacher_BJ)


def skew_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    skew: float = 0.1,
    shift: bool = True,
    temperature: float = 1.0,
) -> Tensor:
    """Return KL(p || m), m = skew p + (1 - skew) q: as `kl`, but at most -log(skew).

    p is the teacher, q the student, 0 <= skew < 1. The mixture keeps the loss small where the
    student gives a token next to no chance.

    Args:
        student_logits: [.., T, V].
        teacher_logits: [.., T, W]; where W is not V, both are cut to their common first part.
        labels: [.., T], -100 where nothing is learned; None: every position counts.
        skew: Share of the teacher in the mixture, 0 <= skew < 1.
        shift: Whether logits at t predict the label at t + 1; False: the label at t.
        temperature: Divides both models' logits, > 0; the loss is multiplied by its square.

    Returns:
        A scalar in nats, the mean over the positions that count; see `over_positions`.

    Raises:
        UsageError: shapes that do not fit, no position that counts, a temperature or a skew out of
            range.

    Example:
        >>> import torch, leaf.losses
        >>> teacher = torch.tensor([[0.5, 0.5]]).log()
        >>> student = torch.tensor([[0.25, 0.75]]).log()
        >>> bool(leaf.losses.skew_kl(student, teacher) < leaf.losses.kl(student, teacher))
        True
    """
    return over_positions(
        partial(skew_kl_formula, skew=skew),
        student_logits,
        teacher_logits,
        labels,
        shift=shift,
        temperature=temperature,
    )
