"""The loss of known tokens, forward only.

Axes: B problems of a batch, T tokens (right-padded), R response positions, C of one chunk, D width.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from leaf.models.output_head import Head
from leaf.models.packing import padded_states
from leaf.models.padding import Batch, pad
from leaf.models.paths import paths_of
from leaf.models.prompt_format import EncodedExample

_CHUNK = 256
"""Positions whose logits exist at the same time."""


def surprisal(
    model: Any, head: Head, conversations: Sequence[EncodedExample]
) -> tuple[Tensor, Tensor]:
    """Return -log p of each response token [B, T] and the means [B]; float32 on the CPU.

    Prompt and padding have 0. Forward only; logits exist chunk by chunk.
    """
    batch = pad(conversations)
    losses_R = response_losses(model, head, batch)
    surprisal_BT = torch.zeros(batch.ids_BT.shape, dtype=losses_R.dtype)
    surprisal_BT[batch.rows_R, batch.positions_R + 1] = losses_R
    return surprisal_BT, means(losses_R, batch)


def response_losses(model: Any, head: Head, batch: Batch) -> Tensor:
    """Return -log p of each response token [R], in nats; dtype and device as `token_losses`."""
    with torch.no_grad():
        hidden_RD = padded_states(model, paths_of(model), batch)
    return token_losses(head, hidden_RD, batch.ids_BT[batch.rows_R, batch.positions_R + 1])


def token_losses(head: Head, hidden_RD: Tensor, targets_R: Tensor) -> Tensor:
    """Return -log p of each position's next token [R], in nats; float32 (or 64) on the CPU.

    Args:
        head: The output head.
        hidden_RD: Last hidden states at the positions, on the head's device.
        targets_R: The token after each position, on the CPU.
    """
    wide = torch.float64 if head.weight.dtype is torch.float64 else torch.float32
    losses_R = torch.empty(len(targets_R), dtype=wide)
    with torch.no_grad():
        for start in range(0, len(targets_R), _CHUNK):
            part = slice(start, start + _CHUNK)
            logits_CV = head.logits(hidden_RD[part])
            targets_C = targets_R[part].to(logits_CV.device)
            losses_R[part] = F.cross_entropy(logits_CV, targets_C, reduction="none").cpu()
    return losses_R


def means(losses_R: Tensor, batch: Batch) -> Tensor:
    """Return the mean loss of each row [B], in nats per token."""
    sums_B = torch.zeros(len(batch.lengths), dtype=losses_R.dtype)
    sums_B.index_add_(0, batch.rows_R, losses_R)
    return sums_B / torch.tensor(batch.lengths, dtype=losses_R.dtype)
