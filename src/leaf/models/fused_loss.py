"""A loss on the logits of a linear head, chunk by chunk, so that no [R, V] tensor ever exists.

Matrix products want many positions at a time; what is done to every logit wants few, so that they
stay in a CPU's cache. So a chunk's products are computed at once and its losses block by block,
each with a backward of its own: nothing of a block is kept, and one buffer serves all chunks.

Axes: R response positions, C positions of one chunk, B of one block, D hidden width, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from leaf.models.output_head import Head

BlockLoss = Callable[[Tensor, slice], Tensor]
"""(logits [B, V], which positions of those asked for) -> each position's loss [B], differentiable
by autograd. Logits are float32 (float64 for float64 inputs)."""

_BLOCK = 2**18
"""Logits in a block on a CPU: 1 MiB, so that a few such blocks stay in its caches."""

_WINDOW = 128
"""Most positions that a `ChunkLoss` is asked for at once: a teacher's logits of so many exist."""

ChunkLoss = Callable[[slice], BlockLoss]
"""Which of the R positions come next -> the loss of their blocks, whose slices count from there."""


def linear_loss(
    hidden_RD: Tensor, head: Head, chunk_loss: ChunkLoss, weights_R: Tensor, *, chunk: int
) -> tuple[Tensor, Tensor]:
    """Return `sum_r weights_r * loss_r` (differentiable) and the losses [R] (detached).

    The gradients with respect to `hidden_RD` and, where they want one, the head's weight and bias
    are computed in the same sweep. Matrix products run in the dtype of `hidden_RD`, all else in at
    least float32.

    Args:
        hidden_RD: Last hidden states at the positions whose next token is predicted.
        head: The output head.
        chunk_loss: The loss, for some neighbouring positions at a time.
        weights_R: Weight of each position in the sum; float32.
        chunk: Positions whose logits exist at the same time, >= 1.
    """
    weight_VD, bias_V = head.weight, head.bias
    if not torch.is_grad_enabled():
        weight_VD, bias_V = weight_VD.detach(), None
    total, losses = _ChunkedLinearLoss.apply(  # type: ignore[no-untyped-call]
        hidden_RD, weight_VD, bias_V, head, chunk_loss, weights_R, chunk
    )
    return total, losses


def cross_entropy(targets_R: Tensor) -> ChunkLoss:
    """Return the loss -log softmax(logits)[target] in nats."""

    def of_chunk(part: slice) -> BlockLoss:
        targets_C = targets_R[part]
        return lambda logits_BV, block: F.cross_entropy(
            logits_BV, targets_C[block], reduction="none"
        )

    return of_chunk


class _ChunkedLinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_RD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        head: Head,
        chunk_loss: ChunkLoss,
        weights_R: Tensor,
        chunk: int,
    ) -> tuple[Tensor, Tensor]:
        compute_VD = weight_VD.detach().to(hidden_RD.dtype)
        hidden_RD = hidden_RD.detach()
        # Of a model that only looks (validation), neither is wanted.
        grad_hidden_RD = torch.empty_like(hidden_RD) if ctx.needs_input_grad[0] else None
        grad_weight_VD = torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None
        grad_bias_V = None
        if bias_V is not None and ctx.needs_input_grad[2]:
            grad_bias_V = torch.zeros_like(bias_V, dtype=weights_R.dtype)
        learns = any(ctx.needs_input_grad[:3])
        losses_R = torch.empty(len(hidden_RD), dtype=weights_R.dtype, device=hidden_RD.device)
        # One buffer for all chunks: fresh memory costs a CPU as much as the sums done in it.
        buffer = hidden_RD.new_empty(min(chunk, len(hidden_RD)), len(weight_VD))
        with torch.autocast(hidden_RD.device.type, enabled=False):
            for start in range(0, len(hidden_RD), chunk):
                part = slice(start, min(start + chunk, len(hidden_RD)))
                hidden_CD = hidden_RD[part]
                raw_CV = buffer[: len(hidden_CD)]
                torch.mm(hidden_CD, compute_VD.T, out=raw_CV)
                for first in range(start, part.stop, _WINDOW):
                    window = slice(first, min(first + _WINDOW, part.stop))
                    raw_WV = raw_CV[first - start : window.stop - start]
                    block_loss = chunk_loss(window)
                    weights_W = weights_R[window] if learns else None
                    losses_R[window] = _slopes(raw_WV, head, block_loss, weights_W)
                if grad_hidden_RD is not None:
                    torch.mm(raw_CV, compute_VD, out=grad_hidden_RD[part])
                if grad_weight_VD is not None:
                    _add_product(grad_weight_VD, raw_CV, hidden_CD)
                if grad_bias_V is not None:  # it is added to the products, one by one
                    grad_bias_V += raw_CV.sum(dim=0, dtype=grad_bias_V.dtype)
        if grad_bias_V is not None and bias_V is not None:
            grad_bias_V = grad_bias_V.to(bias_V.dtype)
        ctx.save_for_backward(grad_hidden_RD, grad_weight_VD, grad_bias_V)
        ctx.mark_non_differentiable(losses_R)
        return (losses_R * weights_R).sum(), losses_R

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale = grads[0]
        gradients = ctx.saved_tensors
        for gradient in gradients:
            # In place: they are nobody else's, and a head's gradient is as large as the head.
            if gradient is not None:
                gradient.mul_(scale.to(gradient.dtype))
        return *gradients, None, None, None, None


def _slopes(raw_CV: Tensor, head: Head, block_loss: BlockLoss, weights_C: Tensor | None) -> Tensor:
    """Return the losses [C]; turn the products into weights * d loss / d products, in place.

    No block leaves anything behind: small tensors kept between large ones would scatter the memory
    that the next block could use, as much as a chunk's logits in all.

    Args:
        raw_CV: Products with the head's weight.
        head: Makes logits of them.
        block_loss: Of these positions.
        weights_C: Of each position; None where no slope is wanted.
    """
    rows = len(raw_CV)
    if raw_CV.device.type == "cpu":
        # A softmax is shared out by rows: one at least for each thread.
        rows = max(torch.get_num_threads(), _BLOCK // raw_CV.shape[1])
    losses_C = raw_CV.new_empty(len(raw_CV), dtype=torch.promote_types(raw_CV.dtype, torch.float32))
    for first in range(0, len(raw_CV), rows):
        block = slice(first, min(first + rows, len(raw_CV)))
        raw_BV = raw_CV[block].detach().requires_grad_(weights_C is not None)
        with torch.set_grad_enabled(weights_C is not None):
            loss_B = block_loss(head.finish(raw_BV), block)
        losses_C[block] = loss_B.detach()
        if weights_C is not None:
            (slope_BV,) = torch.autograd.grad(loss_B, raw_BV, weights_C[block].to(loss_B.dtype))
            raw_CV[block] = slope_BV
    return losses_C


def _add_product(grad_VD: Tensor, slope_CV: Tensor, hidden_CD: Tensor) -> None:
    """Add the head's gradient of a chunk, slope^T hidden, to `grad_VD`."""
    if grad_VD.dtype is slope_CV.dtype:
        grad_VD.addmm_(slope_CV.T, hidden_CD)
    else:
        grad_VD += slope_CV.T @ hidden_CD
