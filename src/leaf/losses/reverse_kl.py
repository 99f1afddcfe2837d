"""Reverse Kullback-Leibler divergence, KL(student || teacher): the student may skip modes."""

from torch import Tensor

from leaf.losses._over_positions import over_positions
from leaf.losses.kl import kl_formula


def reverse_kl_formula(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> Tensor:
    """Return sum_j q_j (log q_j - log p_j) in nats, p the teacher and q the student."""
    return kl_formula(log_teacher_BJ, log_student_BJ)


def reverse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    shift: bool = True,
    temperature: float = 1.0,
) -> Tensor:
    """Return KL(student || teacher): a small student concentrates on what it can say well.

    Arguments, result and errors are those of `over_positions`.

    Example:
        >>> import torch, leaf.losses
        >>> teacher = torch.tensor([[0.5, 0.5]]).log()
        >>> student = torch.tensor([[0.25, 0.75]]).log()
        >>> round(float(leaf.losses.reverse_kl(student, teacher)), 4)  # 1/4 ln 1/2 + 3/4 ln 3/2
        0.1308
    """
    return over_positions(
        reverse_kl_formula,
        student_logits,
        teacher_logits,
        labels,
        shift=shift,
        temperature=temperature,
    )
