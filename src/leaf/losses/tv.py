"""Total variation distance: the largest difference in the chance of any event."""

from torch import Tensor

from leaf.losses._over_positions import over_positions


def tv_formula(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> Tensor:
    """Return 1/2 sum_j |p_j - q_j|, 0 to 1. Where p_j = q_j it has no slope; 0 is taken."""
    return 0.5 * (log_student_BJ.exp() - log_teacher_BJ.exp()).abs().sum(dim=-1)


def tv(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    shift: bool = True,
    temperature: float = 1.0,
) -> Tensor:
    """Return 1/2 sum |p - q|, 0 to 1: insensitive to small probabilities.

    Args:
        student_logits: [.., T, V].
        teacher_logits: [.., T, W]; where W is not V, both are cut to their common first part.
        labels: [.., T], -100 where nothing is learned; None: every position counts.
        shift: Whether logits at t predict the label at t + 1; False: the label at t.
        temperature: Divides both models' logits, > 0; the loss is multiplied by its square.

    Returns:
        A scalar, 0 to 1 at temperature 1, the mean over the positions that count; see
        `over_positions`.

    Raises:
        UsageError: shapes that do not fit, no position that counts, or a temperature that is not
            above 0.

    Example:
        >>> import torch, leaf.losses
        >>> teacher = torch.tensor([[0.5, 0.5]]).log()
        >>> student = torch.tensor([[0.25, 0.75]]).log()
        >>> round(float(leaf.losses.tv(student, teacher)), 4)
        0.25
    """
    return over_positions(
        tv_formula, student_logits, teacher_logits, labels, shift=shift, temperature=temperature
    )
