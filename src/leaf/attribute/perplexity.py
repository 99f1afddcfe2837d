"""Surprisal: how little a model expects each unit of the question; a control, not a detector.

Axes: B problems of a batch, T tokens (right-padded), R tokens that have one before them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from leaf.attribute.batched import BatchedAttributor, Item
from leaf.attribute.surprise import means, response_losses
from leaf.models.output_head import Head
from leaf.models.padding import pad
from leaf.models.prompt_format import EncodedExample, Prompt
from leaf.records import Problem


class PerplexityAttributor(BatchedAttributor):
    """Scores units by -log p given all that stands before them, in nats; a unit is their sum.

    References play no part. `loss` is the mean over the whole prompt, nats per token.
    """

    def tokens(self, problem: Problem, prompt: Prompt, reference: str) -> EncodedExample | str:
        """Return the prompt alone; every token but the first counts as a response."""
        return EncodedExample(ids=prompt.ids, prompt_length=1)

    def measure(self, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        """Return surprisals [B, T] and their means [B]."""
        return surprisal(self._loaded.model, self._head, [item.conversation for item in items])

    def join(self, values_T: Tensor) -> Tensor:
        """Add surprisals: those of the pieces of a symbol make the symbol's."""
        return values_T.sum()


def surprisal(
    model: torch.nn.Module, head: Head, conversations: Sequence[EncodedExample]
) -> tuple[Tensor, Tensor]:
    """Return -log p of each response token [B, T] and the means [B]; float32 on the CPU.

    Prompt and padding have 0. Forward only; logits exist chunk by chunk.
    """
    batch = pad(conversations)
    losses_R = response_losses(model, head, batch)
    surprisal_BT = torch.zeros(batch.ids_BT.shape, dtype=losses_R.dtype)
    surprisal_BT[batch.rows_R, batch.positions_R + 1] = losses_R
    return surprisal_BT, means(losses_R, batch)
