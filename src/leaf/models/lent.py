"""A model that belongs to somebody else: used for a block, and given back as it came."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def lent(model: nn.Module) -> Iterator[None]:
    """Freeze a model and switch its dropout off for a block, whatever state it is in.

    Afterwards every submodule is in the mode that it was in, every parameter learns or not as
    before and has the gradient that it had, and the model attends by the same implementation, also
    where the block raises.
    """
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(each, each.requires_grad, each.grad) for each in model.parameters()]
    attention = [(config, config._attn_implementation) for config in _configs(model)]
    try:
        model.eval()
        for parameter, learns, _ in parameters:
            if learns:
                parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, learns, gradient in parameters:
            if parameter.requires_grad is not learns:
                parameter.requires_grad_(learns)
            if parameter.grad is not gradient:
                parameter.grad = gradient
        for config, implementation in attention:
            # Not by its property, which sets those of the configurations inside as well.
            config._attn_implementation_internal = implementation


def _configs(model: nn.Module) -> list[Any]:
    """Return every configuration that says how a part of the model attends, each once."""
    waiting = [module.config for module in model.modules() if hasattr(module, "config")]
    found: dict[int, Any] = {}
    while waiting:
        config = waiting.pop()
        if id(config) in found or not hasattr(config, "_attn_implementation"):
            continue
        found[id(config)] = config
        inner = (getattr(config, name, None) for name in getattr(config, "sub_configs", ()))
        waiting += [each for each in inner if each is not None]
    return list(found.values())
