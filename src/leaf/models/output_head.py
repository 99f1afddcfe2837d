"""The output head of a causal language model, the model without it, and how it attends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leaf.errors import ModelError


@dataclass(frozen=True, slots=True)
class Head:
    """The output head: `finish(hidden @ weight.T)` are the logits."""

    weight: Tensor
    """[V, D]."""
    bias: Tensor | None = None
    """[V]."""
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden_RD: Tensor) -> Tensor:
        """Return the logits [R, V]; hidden states may be wider than the head (Mamba's are)."""
        return self.finish(self._raw(hidden_RD))

    def likeliest(self, hidden_RD: Tensor) -> Tensor:
        """Return the most likely token at each position [R], the first of equal ones."""
        raw_RV = self._raw(hidden_RD)
        if self.bias is not None or self.scale != 1.0 or self.softcap is not None:
            raw_RV = self.finish(raw_RV)
        # A CPU takes four times as long for the same by `argmax`.
        return raw_RV.max(dim=-1).indices

    def _raw(self, hidden_RD: Tensor) -> Tensor:
        return hidden_RD.to(self.weight.dtype) @ self.weight.T

    def finish(self, raw_RV: Tensor) -> Tensor:
        """Turn products with the weight into logits, in at least float32."""
        logits_RV = raw_RV if raw_RV.dtype is torch.float64 else raw_RV.float()
        if self.bias is not None:
            logits_RV = logits_RV + self.bias
        if self.scale != 1.0:
            logits_RV = logits_RV * self.scale
        if self.softcap is not None:
            logits_RV = torch.tanh(logits_RV / self.softcap) * self.softcap
        return logits_RV

    def to(self, device: torch.device) -> "Head":
        """Return the head on a device."""
        bias = None if self.bias is None else self.bias.to(device)
        return Head(self.weight.to(device), bias, self.scale, self.softcap)

    def first(self, vocabulary: int) -> "Head":
        """Return the head cut to its first `vocabulary` entries."""
        bias = None if self.bias is None else self.bias[:vocabulary]
        return Head(self.weight[:vocabulary], bias, self.scale, self.softcap)


def output_head(model: Any) -> Head:
    """Return a causal language model's output head, checked against the model's own logits.

    Raises:
        ModelError: the architecture does something with its logits that `Head` does not know, or
            they are no numbers.
    """
    layer = model.get_output_embeddings()
    if not isinstance(layer.weight, Tensor) or not layer.weight.is_floating_point():
        raise ModelError(
            f"{type(model).__name__}: its output head is quantised ({type(layer).__name__}), which "
            "cannot be used here; leave the head as it was (the layers may be quantised)"
        )
    config = model.config.get_text_config()
    head = Head(
        weight=layer.weight,
        bias=getattr(layer, "bias", None),
        scale=_logit_scale(config),
        softcap=getattr(config, "final_logit_softcapping", None),
    )
    probe = torch.arange(4, device=layer.weight.device)[None]
    with torch.no_grad(), torch.autocast(probe.device.type, enabled=False):
        hidden = backbone(model)(input_ids=probe).last_hidden_state[0]
        by_head = head.finish(hidden @ head.weight.to(hidden.dtype).T)
        # Of the class: a trainer may have put a forward in 16 bits into the instance's place.
        own = type(model).forward(model, input_ids=probe).logits[0]
    if not bool(own.isfinite().all()):
        named = getattr(model.config, "_name_or_path", "") or type(model).__name__
        raise ModelError(
            f"{named}: its logits are not finite ({own.dtype}); it has weights that are NaN or "
            "infinite, or too large for that dtype"
        )
    if not torch.allclose(by_head.float(), own.float(), rtol=2e-2, atol=2e-2 * float(own.std())):
        raise ModelError(
            f"{type(model).__name__}: its logits are not head(hidden), so it cannot be used here"
        )
    return head


@contextmanager
def embedding_as(model: Any, embeddings: Tensor | None) -> Iterator[None]:
    """Let a model read these in place of its tokens' embeddings, for a block.

    It is fed ids all the same: families that look tokens up more than once (an embedding a layer)
    compute otherwise when they are given embeddings alone. None: its own.
    """
    if embeddings is None:
        yield
        return
    hook = model.get_input_embeddings().register_forward_hook(lambda *_: embeddings)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def attention_by(model: Any, name: str) -> Iterator[None]:
    """Let a model attend by another implementation that transformers knows, for a block."""
    own = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(own)


def backbone(model: Any) -> nn.Module:
    """Return the model without its output head: token ids or embeddings to hidden states."""
    return model.base_model  # type: ignore[no-any-return]


def _logit_scale(config: Any) -> float:
    """Return what architectures multiply their logits with, under its various names."""
    if getattr(config, "logits_scaling", None):
        return 1.0 / float(config.logits_scaling)
    scale = getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None)
    return float(scale) if scale else 1.0
