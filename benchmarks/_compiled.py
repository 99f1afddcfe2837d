"""Norms and activations of a frozen model through `torch.compile`: what fusing them gains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def _norm(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    wide = states.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * (wide * scale).to(states.dtype)


def _gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.silu(gate) * up


@contextmanager
def compiled(model: Any) -> Iterator[int]:
    """Run a Llama-like model's norms and gates compiled; yields how many modules that are.

    Compiled once for all lengths; the first pass takes the time of the C++ compiler.
    """
    norm: Any = torch.compile(_norm, dynamic=True)
    gated: Any = torch.compile(_gated, dynamic=True)
    patched = []
    for module in model.modules():
        kind = type(module).__name__
        if kind.endswith("RMSNorm"):
            module.forward = _of_norm(norm, module)
        elif kind.endswith("MLP") and "SiLU" in type(module.act_fn).__name__:
            module.forward = _of_gate(gated, module)
        else:
            continue
        patched.append(module)
    try:
        yield len(patched)
    finally:
        for module in patched:
            del module.forward


def _of_norm(norm: Any, module: Any) -> Any:
    return lambda states: norm(states, module.weight, module.variance_epsilon)


def _of_gate(gated: Any, module: Any) -> Any:
    return lambda states: module.down_proj(gated(module.gate_proj(states), module.up_proj(states)))
