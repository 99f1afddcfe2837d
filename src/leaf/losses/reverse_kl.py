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

    Args:
        student_logits: [.., T, V].
        teacher_logits: [.., T, W]; where W is not V, both are cut to their common first part.
        labels: [.., T], -100 where nothing is learned; None: every position counts.
        shift: Whether logits at t predict the label at t + 1; False: the label at t.
        temperature: Divides both models' logits, > 0; the loss is multiplied by its square.

    Returns:
        A scalar in nats, the mean over the positions that count; see `over_positions`.

    Raises:
        UsageError: shapes that do not fit, no position that counts, or a temperature that is not
            above 0.

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
