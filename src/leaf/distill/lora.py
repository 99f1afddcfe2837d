"""Low-rank adapters (https://arxiv.org/abs/2106.09685): W x + (alpha / rank) B A x, W frozen."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from leaf.errors import RecipeError, nearest
from leaf.models.adapters import own_names
from leaf.models.plain import own_logits
from leaf.models.quiet import quiet
from leaf.models.tiny import tiny_model
from leaf.recipe import LoraSection


def add_adapters(model: Any, section: LoraSection, *, seed: int) -> None:
    """Put float32 adapters into a model, which learn alone; all else is frozen, the head too.

    B starts as zeros, so the model's outputs are what they were. A is drawn from `seed`.

    Raises:
        RecipeError: a name in `lora.targets` is of no linear layer, or of one that cannot have one.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds

    from leaf.distill.low_rank import adapted

    targets = _targets(model, section)
    model.requires_grad_(False)
    config = LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,  # type: ignore[arg-type]  # a float serves as well
        lora_dropout=section.dropout,
        target_modules=targets,
    )
    config._register_custom_module({nn.Linear: adapted})  # type: ignore[dict-item]
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
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and layer is not head
    }
    uses, unfit = Counter(id(layer.weight) for layer in layers.values()), _unfit(model)
    fit = [
        name
        for name, layer in layers.items()
        if not (uses[id(layer.weight)] > 1 or _is_fused(model, name) or _unnumbered(name) in unfit)
    ]
    if not section.targets:
        return fit
    for target in section.targets:
        named = [name for name in layers if _is_named(name, target)]
        if not named:
            known = list(dict.fromkeys(layer.rpartition(".")[2] for layer in layers))
            raise RecipeError(
                f"distill.lora.targets: the student has no linear layer `{target}`"
                f"{nearest(target, known)} (there are {', '.join(known)}; the head stays as it is)"
            )
        if not set(named) & set(fit):
            raise RecipeError(
                f"distill.lora.targets: {named[0]} can have no adapter: its weight is read past "
                "the layer, or shared by several; leave it out"
            )
    return [name for name in fit if any(_is_named(name, word) for word in section.targets)]


def _is_fused(model: Any, name: str) -> bool:
    """Whether a layer's weight is read past the layer, which an adapter would be lost on.

    The kernels of Mamba and its kin take these weights in with the state space; without a kernel
    some of the layers run like any other, so that a copy would not show it.
    """
    above, _, last = name.rpartition(".")
    mixer = model.get_submodule(above)
    fused = last in ("out_proj", "x_proj", "dt_proj")
    return fused and hasattr(mixer, "A_log") and hasattr(mixer, "D")


def _unfit(model: Any) -> set[str]:
    """Return the layers, without their numbers, that do not run as a product with their weight.

    A tiny copy shows them: what reads a weight past its layer, does more than multiply, or does not
    run on text.
    """
    with torch.device("cpu"), quiet():
        try:
            copy = tiny_model(model.config, kind=type(model))
        except Exception:  # its rehearsal says so: `leaf.models.rehearsal`
            return set()
        every, fit = set(), set()

        def look(name: str, layer: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
            weight_OI = layer.weight.T if isinstance(layer, Conv1D) else layer.weight
            product = functional.linear(inputs[0], weight_OI, layer.bias)
            is_alike = isinstance(output, Tensor) and output.shape == product.shape
            if is_alike and torch.allclose(output, product, rtol=1e-3, atol=1e-3):
                fit.add(name)

        for name, layer in copy.named_modules():
            if isinstance(layer, nn.Linear | Conv1D):
                every.add(_unnumbered(name))
                layer.register_forward_hook(partial(look, _unnumbered(name)))
        with torch.no_grad(), suppress(Exception):
            own_logits(copy, range(9, 29))
            return every - fit
    return set()


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def _is_named(layer: str, target: str) -> bool:
    """Whether a layer's full name is `target` or ends with it."""
    return layer == target or layer.endswith(f".{target}")
