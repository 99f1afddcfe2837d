"""A student and what turns its hidden states into a loss, as one module.

Axes: R response positions of a micro-batch, D width.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from leaf.distill.objective import Objective
from leaf.models.fused_loss import linear_loss
from leaf.models.lent import lent
from leaf.models.output_head import Head, output_head
from leaf.models.packing import Packer
from leaf.models.padding import Batch
from leaf.models.paths import paths_of


class Student(nn.Module):
    """A model in training that says its loss itself, so that sharding sees one whole module."""

    def __init__(
        self, model: Any, dtype: torch.dtype, terms: Mapping[str, nn.Module] | None = None
    ) -> None:
        """Look at `model`, which stays as it is, and compute in `dtype`.

        Args:
            model: Of transformers.
            dtype: Of forward and backward.
            terms: Losses on hidden states, by name; what they learn is trained with the model.
        """
        super().__init__()
        self.model = model
        self.dtype = dtype
        self.terms = nn.ModuleDict(terms or {})
        with lent(model):
            self.head = output_head(model)
            self.paths = paths_of(model)
            self.paths.check("training", type(model).__name__)
            self._packer = Packer(model, dtype, self.paths)
            # The forward may be done again in the backward, where somebody else has switched
            # checkpointing on: then by the attention that is set outside.
            alike = self.paths.learns_packed and not model.is_activation_checkpointing
            self._packer.packs = self._packer.packs and alike
        self.packs = self._packer.packs

    def learn(self, *, checkpointing: bool) -> None:
        """Switch dropout on, and recomputing where `distill.gradient_checkpointing` says so."""
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            if self.packs:
                # The forward is done again in the backward, when nobody sets it for a block.
                self.model.set_attn_implementation("leaf_packed")
        self.model.train()

    def forward(self, batch: Batch, then: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what is made of the last hidden states before each response token [R, D].

        Where weights are sharded they are whole in here alone, so the loss is one of these things.
        """
        device = self.model.device
        mixed = any(parameter.dtype is not self.dtype for parameter in self.model.parameters())
        with torch.autocast(device.type, dtype=self.dtype, enabled=mixed):
            hidden_RD = self._packer.hidden_states(batch).to(self.dtype)
        return then(hidden_RD)

    def loss(
        self,
        hidden_RD: Tensor,
        objective: Objective,
        weights_R: Tensor,
        vocabulary: int,
        chunk: int,
    ) -> Tensor:
        """Return the weighted sum of all positions' losses; to be called within `forward`."""
        head = self._head(vocabulary)
        with torch.no_grad():
            objective.look_at(hidden_RD, head)
        total, _ = linear_loss(hidden_RD, head, objective, weights_R, chunk=chunk)
        if self.terms:
            total = total + (objective.of_hidden(hidden_RD, self.terms) * weights_R).sum()
        return total

    def _head(self, vocabulary: int) -> Head:
        """Return the head as it is now: sharding puts other tensors in its place."""
        layer = self.model.get_output_embeddings()
        head = replace(self.head, weight=layer.weight, bias=getattr(layer, "bias", None))
        return head if len(head.weight) == vocabulary else head.first(vocabulary)
