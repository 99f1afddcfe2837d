"""Forward Kullback-Leibler divergence, KL(teacher || student): the paper's loss."""

import torch
from torch import Tensor


def kl(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum_j p_j (log p_j - log q_j) in nats, p the teacher and q the student, and -p_j.

    Computed from log-probabilities: p * log(p) would underflow.
    """
    teacher_BJ = log_teacher_BJ.exp()
    loss_B = torch.linalg.vecdot(teacher_BJ, log_teacher_BJ - log_student_BJ)
    return loss_B, teacher_BJ.neg_()
