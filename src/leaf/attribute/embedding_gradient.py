"""Gradient sensitivity (Eq. 2): how strongly a unit of the question moves the reference's loss.

Axes: B problems of a batch, T tokens (right-padded), D width, R response positions of the batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from leaf.attribute.batched import Item
from leaf.models.fused_loss import cross_entropy, linear_loss
from leaf.models.output_head import Head
from leaf.models.packing import Packer
from leaf.models.padding import Batch, pad
from leaf.models.prompt_format import EncodedExample

_CHUNK = 128
"""Response positions whose logits exist at the same time."""


def unscored(items: Sequence[Item]) -> int:
    """Return how many first tokens of all prompts come before any unit of a question."""
    return min(min(item.prompt.units[0].tokens) for item in items)


def sensitivity(
    packer: Packer, head: Head, conversations: Sequence[EncodedExample], free: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the embedding-gradient L2 norms [B, T] and the mean losses [B] of a batch (Eq. 2).

    The loss of a batch is the sum of its problems' means, so that each problem's gradient is what
    it is alone; no parameter gradient is computed. Both are float32 on the CPU (float64 for a
    float64 model). Padding and response positions have norms too; only those of the prompt mean
    something, and those of the first `free` tokens only if the conversations begin differently.
    Parameters must be frozen.
    """
    batch = pad(conversations, free)
    embeddings_BTD = embeddings_of(packer.model, batch)
    gradient_BTD, losses_B = embedding_gradient(packer, head, batch, embeddings_BTD)
    return gradient_BTD.norm(dim=-1).cpu(), losses_B


def embeddings_of(model: Any, batch: Batch) -> Tensor:
    """Return the input embeddings of a batch [B, T, D], in the model's dtype on its device."""
    embed = model.get_input_embeddings()
    embeddings_BTD: Tensor = embed(batch.ids_BT.to(embed.weight.device)).detach()
    return embeddings_BTD


def embedding_gradient(
    packer: Packer, head: Head, batch: Batch, embeddings_BTD: Tensor
) -> tuple[Tensor, Tensor]:
    """Return d loss / d embedding [B, T, D] of a batch and its mean losses [B].

    The gradient is float32 on the model's device, the losses float32 on the CPU (float64 for a
    float64 model). `embeddings_BTD` stand for the batch's tokens.
    """
    device = head.weight.device
    rows_R = batch.rows_R
    targets_R = batch.ids_BT[rows_R, batch.positions_R + 1].to(device)
    wide = torch.float64 if head.weight.dtype is torch.float64 else torch.float32
    weights_R = (1 / torch.tensor(batch.lengths, dtype=wide))[rows_R].to(device)

    embeddings_BTD = embeddings_BTD.detach().requires_grad_()
    with torch.enable_grad():
        hidden_RD = packer.hidden_states(batch, embeddings_BTD)
        loss, losses_R = linear_loss(
            hidden_RD, head, cross_entropy(targets_R), weights_R, chunk=_CHUNK
        )
        (gradient_BTD,) = torch.autograd.grad(loss, embeddings_BTD)
    losses_B = torch.zeros(len(batch.lengths), dtype=wide)
    losses_B.index_add_(0, rows_R, (losses_R * weights_R).cpu())
    return gradient_BTD.to(wide), losses_B
