"""Forward Kullback-Leibler divergence, KL(teacher || student)."""

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor


def kl(student_RV: Tensor, teacher_RV: Tensor) -> Tensor:
    """Return sum_v p_T (log p_T - log p_S) of each position, in nats; 0 where both agree.

    Computed from log-softmax: p * log(p) would underflow.

    Args:
        student_RV: Student logits, float32 or wider.
        teacher_RV: Teacher logits over the same vocabulary.
    """
    log_student_RV = F.log_softmax(student_RV, dim=-1)
    log_teacher_RV = F.log_softmax(teacher_RV, dim=-1)
    return F.kl_div(log_student_RV, log_teacher_RV, reduction="none", log_target=True).sum(-1)
