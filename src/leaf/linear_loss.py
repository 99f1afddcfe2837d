"""A loss on the logits of a linear head, chunk by chunk, so that no [R, V] tensor ever exists.

Axes: R response positions, C positions of one chunk, D hidden width, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from leaf.heads import Head

ChunkLoss = Callable[[Tensor, slice], Tensor]
"""(float32 logits [C, V], which positions) -> loss of each position [C]; differentiable."""


def linear_loss(
    hidden_RD: Tensor, head: Head, chunk_loss: ChunkLoss, weights_R: Tensor, *, chunk: int
) -> tuple[Tensor, Tensor]:
    """Return `sum_r weights_r * loss_r` (differentiable) and the losses [R] (detached).

    Logits exist for `chunk` positions at a time, in float32 (float64 for float64 inputs); the
    gradients with respect to `hidden_RD` and, where it wants one, `head.weight` are computed in the
    same sweep. Matrix products run in the dtype of `hidden_RD`.

    Args:
        hidden_RD: Last hidden states at the positions whose next token is predicted.
        head: The output head.
        chunk_loss: The loss of a chunk's positions.
        weights_R: Weight of each position in the sum; float32.
        chunk: Positions in a chunk, >= 1.
    """
    total, losses = _ChunkedLinearLoss.apply(  # type: ignore[no-untyped-call]
        hidden_RD, head.weight, head, chunk_loss, weights_R, chunk
    )
    return total, losses


class _ChunkedLinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_RD: Tensor,
        weight_VD: Tensor,
        head: Head,
        chunk_loss: ChunkLoss,
        weights_R: Tensor,
        chunk: int,
    ) -> tuple[Tensor, Tensor]:
        compute_VD = weight_VD.detach().to(hidden_RD.dtype)
        grad_hidden_RD = torch.empty_like(hidden_RD)
        grad_weight_VD = torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None
        losses_R = torch.empty(len(hidden_RD), dtype=weights_R.dtype, device=hidden_RD.device)
        with torch.autocast(hidden_RD.device.type, enabled=False):
            for start in range(0, len(hidden_RD), chunk):
                part = slice(start, start + chunk)
                hidden_CD = hidden_RD[part].detach()
                with torch.enable_grad():
                    raw_CV = (hidden_CD @ compute_VD.T).requires_grad_()
                    loss_C = chunk_loss(head.finish(raw_CV), part)
                    (grad_CV,) = torch.autograd.grad((loss_C * weights_R[part]).sum(), raw_CV)
                losses_R[part] = loss_C.detach()
                grad_hidden_RD[part] = grad_CV @ compute_VD
                if grad_weight_VD is not None:
                    grad_weight_VD += grad_CV.T @ hidden_CD
        ctx.save_for_backward(grad_hidden_RD, grad_weight_VD)
        ctx.mark_non_differentiable(losses_R)
        return (losses_R * weights_R).sum(), losses_R

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden_RD, grad_weight_VD = ctx.saved_tensors
        scale = grads[0]
        grad_hidden = grad_hidden_RD * scale.to(grad_hidden_RD.dtype)
        grad_weight = None if grad_weight_VD is None else grad_weight_VD * scale
        return grad_hidden, grad_weight, None, None, None, None
