"""Forward Kullback-Leibler divergence, KL(teacher || student): the paper's loss."""

from torch import Tensor


def kl(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum_j p_j (log p_j - log q_j) in nats, p the teacher and q the student, and -p_j.

    Computed from log-probabilities: p * log(p) would underflow.
    """
    teacher_BJ = log_teacher_BJ.exp()
    loss_B = (log_teacher_BJ - log_student_BJ).mul_(teacher_BJ).sum(dim=-1)
    return loss_B, teacher_BJ.neg_()
