"""Integrated gradients (Sundararajan et al., 2017) as a detector: a path to nothing.

    leaf run demo --set attribute.plugins=[examples/integrated_gradients.py] \
        --set attribute.detector=integrated_gradients

It shipped with LeaF 0.1.0 and was no better than chance at 16 times the gradient's cost
(docs/results.md). Axes: B problems of a batch, T tokens (right-padded), D width.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from leaf.attribute import MeasuredModel, detector
from leaf.attribute.batched import BatchedDetector, Item
from leaf.attribute.embedding_gradient import embedding_gradient, embeddings_of, unscored
from leaf.attribute.surprise import means, response_losses
from leaf.models.output_head import Head
from leaf.models.packing import Packer
from leaf.models.padding import pad
from leaf.recipe import Section
from leaf.recipe.base import Count


@detector
class IntegratedGradients(BatchedDetector):
    """How much of the reference's loss a unit accounts for, in nats per token: teacher - student.

    The path goes straight from zero embeddings of the question's units to their own; template and
    reference stay. A unit has the absolute value of its tokens' sum. Costs `steps` forwards and
    backwards of the whole conversation.
    """

    name = "integrated_gradients"
    measurement = "integrated gradients"
    formerly: ClassVar[Mapping[str, str]] = {"steps": "steps"}

    class Options(Section):
        """How finely the path is cut."""

        steps: Count = Field(16, description="points on the path")

    def values(self, model: MeasuredModel, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        """Return signed attributions [B, T] and mean losses [B]."""
        return integrated_gradients(model.packer, model.head, items, self.options.steps)

    def join(self, values_T: Tensor) -> Tensor:
        """Add attributions, then forget the sign: how strongly, not which way."""
        return values_T.sum().abs()


def integrated_gradients(
    packer: Packer, head: Head, items: Sequence[Item], steps: int
) -> tuple[Tensor, Tensor]:
    """Return the signed integrated gradients of the mean loss [B, T] and the mean losses [B].

    a_i = e_i . mean over k of dl/de_i at alpha_k = (k - 1/2) / steps (midpoint rule). They are 0
    outside the units and add up, but for the rule's error, to l(question) - l(question at zero).
    Both are float32 on the CPU (float64 for a float64 model).
    """
    batch = pad([item.conversation for item in items], unscored(items))
    embeddings_BTD = embeddings_of(packer.model, batch)
    inside_BT1 = torch.zeros(*batch.ids_BT.shape, 1, dtype=torch.bool)
    for row, item in enumerate(items):
        inside_BT1[row, [token for unit in item.prompt.units for token in unit.tokens]] = True
    inside_BT1 = inside_BT1.to(embeddings_BTD.device)
    wide = torch.float64 if embeddings_BTD.dtype is torch.float64 else torch.float32
    total_BTD = torch.zeros_like(embeddings_BTD, dtype=wide)
    for step in range(steps):
        alpha = (step + 0.5) / steps
        on_path_BTD = torch.where(inside_BT1, alpha * embeddings_BTD, embeddings_BTD)
        total_BTD += embedding_gradient(packer, head, batch, on_path_BTD)[0]
    values_BT = (total_BTD / steps * embeddings_BTD * inside_BT1).sum(dim=-1)
    return values_BT.cpu(), means(response_losses(packer.model, head, batch), batch)
