"""Forward Kullback-Leibler divergence, KL(teacher || student): the paper's loss."""

import torch
from torch import Tensor

from leaf.losses._over_positions import over_positions


def kl_formula(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> Tensor:
    """Return sum_j p_j (log p_j - log q_j) in nats, p the teacher and q the student.

    Computed from log-probabilities: p * log(p) would underflow.
    """
    loss_B: Tensor = torch.linalg.vecdot(log_teacher_BJ.exp(), log_teacher_BJ - log_student_BJ)
    return loss_B


def kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    shift: bool = True,
    temperature: float = 1.0,
) -> Tensor:
    """Return KL(teacher || student): the student must cover all that the teacher may say.

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
        >>> round(float(leaf.losses.kl(student, teacher)), 4)  # 1/2 ln 2 + 1/2 ln 2/3
        0.1438
    """
    return over_positions(
        kl_formula, student_logits, teacher_logits, labels, shift=shift, temperature=temperature
    )
