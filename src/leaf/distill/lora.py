"""Low-rank adapters (https://arxiv.org/abs/2106.09685): W x + (alpha / rank) B A x, W frozen."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from leaf.errors import RecipeError, nearest
from leaf.models.adapters import own_names
from leaf.recipe import LoraSection


def add_adapters(model: Any, section: LoraSection, *, seed: int) -> None:
    """Put float32 adapters into a model, which learn alone; all else is frozen, the head too.

    B starts as zeros, so the model's outputs are what they were. A is drawn from `seed`.

    Raises:
        RecipeError: a name in `lora.targets` is of no linear layer, or of one that cannot have one.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds

    targets = _targets(model, section)
    model.requires_grad_(False)
    config = LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,  # type: ignore[arg-type]  # a float serves as well
        lora_dropout=section.dropout,
        target_modules=targets,
    )
    with torch.random.fork_rng(devices=[]), own_names(model), warnings.catch_warnings():
        torch.default_generator.manual_seed(seed)
        # It says of layers that keep their weights transposed (GPT-2) that it noticed.
        warnings.filterwarnings("ignore", message="fan_in_fan_out")
        inject_adapter_in_model(config, model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def count_adapters(model: Any, section: LoraSection) -> int:
    """Count what `add_adapters` would let learn: rank (in + out) numbers a layer.

    Raises:
        RecipeError: as there.
    """
    layers = (model.get_submodule(name) for name in _targets(model, section))
    return sum(section.rank * sum(layer.weight.shape) for layer in layers)


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Let a model compute without its adapters for a block: as it was before they learnt."""
    layers = [(layer, layer._disable_adapters) for layer in _adapted(model)]
    try:
        for layer, _ in layers:
            # Not by PEFT's switch, which also freezes them: sharding keeps the flags it saw first.
            layer._disable_adapters = True
        yield
    finally:
        for layer, disabled in layers:
            layer._disable_adapters = disabled


def has_adapters(model: Any) -> bool:
    """Whether a model has adapters that lie beside its weights, and none that is part of them."""
    layers = _adapted(model)
    return bool(layers) and not any(layer.merged for layer in layers)


def _adapted(model: Any) -> list[Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [each for each in model.modules() if isinstance(each, BaseTunerLayer)]


def _targets(model: Any, section: LoraSection) -> list[str]:
    """Return the full names of the layers that get an adapter."""
    head = model.get_output_embeddings()
    layers = [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and layer is not head
    ]
    fused = {name for name in layers if _is_fused(model, name)}
    if not section.targets:
        return [name for name in layers if name not in fused]
    for target in section.targets:
        if not any(_is_named(layer, target) for layer in layers):
            known = list(dict.fromkeys(layer.rpartition(".")[2] for layer in layers))
            raise RecipeError(
                f"distill.lora.targets: the student has no linear layer `{target}`"
                f"{nearest(target, known)} (there are {', '.join(known)}; the head stays as it is)"
            )
    chosen = [name for name in layers if any(_is_named(name, word) for word in section.targets)]
    if fused & set(chosen):
        raise RecipeError(
            f"distill.lora.targets: {min(fused & set(chosen))} can have no adapter: a state space "
            "multiplies with its bare weight; leave it out"
        )
    return chosen


def _is_fused(model: Any, name: str) -> bool:
    """Whether a layer's weight is read past the layer, which an adapter would be lost on.

    The kernels of Mamba and its kin take the weight of `out_proj` in with the state space.
    """
    above, _, last = name.rpartition(".")
    mixer = model.get_submodule(above)
    return last == "out_proj" and hasattr(mixer, "A_log") and hasattr(mixer, "D")


def _is_named(layer: str, target: str) -> bool:
    """Whether a layer's full name is `target` or ends with it."""
    return layer == target or layer.endswith(f".{target}")
