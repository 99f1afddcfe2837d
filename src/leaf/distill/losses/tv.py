"""Total variation distance: the largest difference in the chance of any event."""

from torch import Tensor


def tv(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1/2 sum_j |p_j - q_j|, 0 to 1, and 1/2 sign(q_j - p_j) q_j.

    Where p_j = q_j it has no slope; 0 is taken.
    """
    student_BJ = log_student_BJ.exp()
    apart_BJ = student_BJ - log_teacher_BJ.exp()
    loss_B = 0.5 * apart_BJ.abs().sum(dim=-1)
    return loss_B, apart_BJ.sign_().mul_(student_BJ).mul_(0.5)
