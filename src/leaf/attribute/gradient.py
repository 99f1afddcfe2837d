"""Gradient sensitivity (Eq. 2): how strongly a unit of the question moves the reference's loss.

Axes: B problems of a batch, T tokens (right-padded), D width, R response positions of the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leaf.attribute.batched import BatchedAttributor, Item
from leaf.models.fused_loss import cross_entropy, linear_loss
from leaf.models.output_head import Head
from leaf.models.packing import Packer
from leaf.models.padding import Batch, pad
from leaf.models.prompt_format import EncodedExample, Prompt

_CHUNK = 128
"""Response positions whose logits exist at the same time."""


@dataclass(frozen=True, slots=True)
class Norm:
    """How a gradient becomes a token's value, and the values of several tokens a unit's score."""

    token: Callable[[Tensor, Tensor], Tensor]
    """(gradient [B, T, D], embeddings [B, T, D]) -> values [B, T]."""
    unit: Callable[[Tensor], Tensor]
    """Values of a unit's tokens [T] -> its score, what the norm of all of them together is."""


NORMS = {
    "l2": Norm(lambda gradient, _: gradient.norm(dim=-1), torch.linalg.vector_norm),
    "l1": Norm(lambda gradient, _: gradient.abs().sum(dim=-1), torch.sum),
    # Signed until the unit is whole: g . e is the first-order change when e becomes zero.
    "input_x_gradient": Norm(
        lambda gradient, embedding: (gradient * embedding).sum(dim=-1),
        lambda values: values.sum().abs(),
    ),
}


class GradientAttributor(BatchedAttributor):
    """Scores units by the norm of d loss / d embedding, one backward for a whole batch.

    The loss is the mean cross-entropy of the reference and its end-of-turn token given the prompt
    (Eq. 2, nats per token). A batch's loss is the sum of its problems' means, so each problem's
    gradient is what it is alone. No parameter gradient is computed. `attribute.norm` is the L2 norm
    of the paper, L1, or |g . e| (input x gradient); a unit of several tokens has the norm over all
    their embeddings. Costs a forward and a backward of the conversation, but for the template
    before the question.
    """

    def measure(self, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        """Return gradient norms [B, T] and mean losses [B]."""
        conversations = [item.conversation for item in items]
        return sensitivity(
            self._packer,
            self._head,
            conversations,
            self._section.norm,
            unscored([item.prompt for item in items]),
        )

    def join(self, values_T: Tensor) -> Tensor:
        """Take the norm over all the tokens' embeddings."""
        return NORMS[self._section.norm].unit(values_T)


def unscored(prompts: Sequence[Prompt]) -> int:
    """Return how many first tokens of all prompts come before any unit of a question."""
    return min(min(prompt.units[0].tokens) for prompt in prompts)


def sensitivity(
    packer: Packer,
    head: Head,
    conversations: Sequence[EncodedExample],
    norm: str = "l2",
    free: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the embedding-gradient norms [B, T] and the mean losses [B] of a batch (Eq. 2).

    Both are float32 on the CPU (float64 for a float64 model). Padding and response positions have
    norms too; only those of the prompt mean something, and those of the first `free` tokens only if
    the conversations begin differently. Parameters must be frozen. `norm` is one of `NORMS`.
    """
    batch = pad(conversations, free)
    embeddings_BTD = embeddings_of(packer.model, batch)
    gradient_BTD, losses_B = embedding_gradient(packer, head, batch, embeddings_BTD)
    return NORMS[norm].token(gradient_BTD, embeddings_BTD.to(gradient_BTD.dtype)).cpu(), losses_B


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
