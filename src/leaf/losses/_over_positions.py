"""From logits and labels to one number: what every loss does besides its formula.

Axes: T positions, V vocabulary of the student, W of the teacher, B positions that count, J
outcomes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from leaf.errors import UsageError

Formula = Callable[[Tensor, Tensor], Tensor]
"""(log-probabilities of the student [B, J], of the teacher [B, J]) -> loss of each position [B] in
nats, differentiable by autograd. Both are float32 or wider and stay as they are."""

IGNORED = -100
"""The label of a position where nothing is learned."""

_IMPOSSIBLE = -1e300
"""Stands for log 0 in float64: its exponential is 0, and differences of two are no NaN."""


def over_positions(
    formula: Formula,
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    shift: bool = True,
    temperature: float = 1.0,
) -> Tensor:
    """Return the mean of a formula over the positions that count, times temperature squared.

    A logit may be -inf, which gives its token no chance: 0 log 0 is 0, and a loss is inf where it
    must be (`kl` where the student excludes what the teacher may say), never NaN.

    Args:
        formula: The loss.
        student_logits: [.., T, V].
        teacher_logits: [.., T, W]; where W is not V, both are cut to their common first part.
        labels: [.., T], -100 where nothing is learned; None: every position counts.
        shift: Whether logits at t predict the label at t + 1, as models of transformers take them;
            False: the label at t, since both are aligned already.
        temperature: Divides both models' logits, > 0.

    Returns:
        A scalar in nats, differentiable; float32, or float64 where the student's logits are.

    Raises:
        UsageError: shapes that do not fit each other, or no position that counts, or a temperature
            that is not above 0.

    Example:
        >>> import torch
        >>> from leaf.losses import over_positions
        >>> def hellinger(log_student, log_teacher):
        ...     return 1 - (0.5 * (log_student + log_teacher)).exp().sum(-1)
        >>> logits = torch.zeros(1, 3, 5)
        >>> round(float(over_positions(hellinger, logits, logits)), 4)
        0.0
    """
    if not 0 < temperature < math.inf:
        raise UsageError(f"temperature must be above 0, but is {temperature}")
    if student_logits.shape[:-1] != teacher_logits.shape[:-1]:
        raise UsageError(
            "student_logits and teacher_logits must have the same positions, but are "
            f"{list(student_logits.shape)} and {list(teacher_logits.shape)}"
        )
    counted = _counted(student_logits, labels, shift=shift)
    vocabulary = min(student_logits.shape[-1], teacher_logits.shape[-1])
    wide = torch.promote_types(student_logits.dtype, torch.float32)
    # Autocast would compute the formula's products in 16 bits.
    with torch.autocast(student_logits.device.type, enabled=False):
        log_student_BV, log_teacher_BV = (
            torch.log_softmax(logits[counted][:, :vocabulary].to(wide) / temperature, dim=-1)
            for logits in (student_logits, teacher_logits)
        )
        if log_student_BV.isneginf().any() or log_teacher_BV.isneginf().any():
            loss_B = _with_excluded(formula, log_student_BV, log_teacher_BV).to(wide)
        else:
            loss_B = formula(log_student_BV, log_teacher_BV)
        return loss_B.mean() * temperature**2


def _counted(logits: Tensor, labels: Tensor | None, *, shift: bool) -> Tensor:
    """Return which positions [.., T] count."""
    counted = torch.ones(logits.shape[:-1], dtype=torch.bool, device=logits.device)
    if labels is not None:
        if labels.shape != counted.shape:
            raise UsageError(
                f"labels must be {list(counted.shape)}, one for each position of the logits, but "
                f"are {list(labels.shape)}"
            )
        counted = labels != IGNORED
        if shift:
            nothing = torch.zeros_like(counted[..., :1])
            counted = torch.cat([counted[..., 1:], nothing], dim=-1)
    if not bool(counted.any()):
        raise UsageError(f"no position counts: every label that is predicted is {IGNORED}")
    return counted


def _with_excluded(formula: Formula, log_student_BV: Tensor, log_teacher_BV: Tensor) -> Tensor:
    """Return a formula's losses where some tokens have no chance, float64 [B]."""
    log_student_BV, log_teacher_BV = (
        torch.where(log_BV.isneginf(), _IMPOSSIBLE, log_BV.double())
        for log_BV in (log_student_BV, log_teacher_BV)
    )
    loss_B = formula(log_student_BV, log_teacher_BV)
    # Only a probability times `_IMPOSSIBLE` is as large. The sum keeps the slope.
    return loss_B + torch.where(loss_B > 1e100, math.inf, 0.0)
