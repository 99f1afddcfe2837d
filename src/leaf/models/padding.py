"""Conversations as one right-padded batch.

Axes: B rows, T tokens (right-padded), R response positions of all rows, in row order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from leaf.models.prompt_format import EncodedExample


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids and, for each response token, the position that predicts it."""

    ids_BT: Tensor
    mask_BT: Tensor
    """1 for a token, 0 for padding."""
    rows_R: Tensor
    """Row of each response token."""
    positions_R: Tensor
    """Position before each response token: the last prompt token predicts the first of them."""
    lengths: list[int]
    """Response tokens of each row, end-of-turn token included."""
    shared: int = 0
    """How many first tokens are the same in all rows and need no gradient."""


def pad(items: Sequence[EncodedExample], free: int = 0) -> Batch:
    """Lay conversations side by side; causal models see no difference from each one alone.

    The first `free` tokens need no gradient: they are `Batch.shared` if all rows have the same.

    Raises:
        ValueError: `free` reaches to a prompt's last token, which predicts the response.
    """
    if free and free >= min(item.prompt_length for item in items):
        raise ValueError(f"`free` ({free}) must be less than every prompt has tokens")
    ids_BT, mask_BT = pad_ids([item.ids for item in items])
    lengths = [item.response_length for item in items]
    return Batch(
        ids_BT=ids_BT,
        mask_BT=mask_BT,
        rows_R=torch.arange(len(items)).repeat_interleave(torch.tensor(lengths)),
        positions_R=torch.cat(
            [torch.arange(item.prompt_length - 1, len(item.ids) - 1) for item in items]
        ),
        lengths=lengths,
        shared=free if len({item.ids[:free] for item in items}) == 1 else 0,
    )


def pad_ids(rows: Sequence[Sequence[int]], *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Lay token ids side by side: ids and mask [B, T], int64, 0 where there is padding."""
    side = "left" if left else "right"
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    ones = [torch.ones_like(row) for row in ids]
    return (
        pad_sequence(ids, batch_first=True, padding_side=side),
        pad_sequence(ones, batch_first=True, padding_side=side),
    )
