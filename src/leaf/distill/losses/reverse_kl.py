"""Reverse Kullback-Leibler divergence, KL(student || teacher): the student may skip modes."""

from torch import Tensor


def reverse_kl(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum_j q_j (log q_j - log p_j) in nats and q_j (log q_j - log p_j + 1)."""
    student_BJ = log_student_BJ.exp()
    terms_BJ = (log_student_BJ - log_teacher_BJ).mul_(student_BJ)
    loss_B = terms_BJ.sum(dim=-1)
    return loss_B, terms_BJ.add_(student_BJ)
