"""Optimisers. Their state lives between steps, so it decides what fits beside the student."""

import logging
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from leaf.distill.whole import like, whole
from leaf.errors import UsageError
from leaf.recipe import DistillSection

# It warns about kernels for 4-bit inference, which nothing here uses.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def make_optimizer(
    parameters: Iterable[nn.Parameter], section: DistillSection
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the parameters that learn; frozen ones are left out.

    `adamw_8bit` (https://arxiv.org/abs/2110.02861) keeps both moments in 8 bits, in blocks of 256
    with a scale each; parameters of fewer than 4,096 numbers keep theirs in float32.

    Raises:
        UsageError: `adamw_8bit` without bitsandbytes, or of a sharded student.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    rate, decay = section.learning_rate, section.weight_decay
    if section.optimizer == "adamw":
        # One kernel for each parameter: on a CPU 1.5 times as fast as the default.
        return torch.optim.AdamW(learning, rate, weight_decay=decay, fused=True)
    missing = missing_8bit()
    if missing:
        raise UsageError(missing)
    if any(isinstance(parameter, DTensor) for parameter in learning):
        raise UsageError(
            "distill.optimizer: adamw_8bit cannot work on a student sharded over processes; take "
            "adamw, whose state is sharded too, or start one process alone"
        )
    from bitsandbytes.optim import AdamW8bit

    made: torch.optim.Optimizer = AdamW8bit(learning, rate, weight_decay=decay)
    return made


def missing_8bit() -> str | None:
    """Return the line that says what `adamw_8bit` lacks here and how to install it, else None."""
    if find_spec("bitsandbytes"):
        return None
    return (
        "distill.optimizer: adamw_8bit needs bitsandbytes, which is not installed: "
        'pip install "leaf-distill[8bit]"'
    )


def state_of(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Return the tensors and the numbers of an optimiser's state, named `<what>.<parameter>`."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, float] = {}
    places: set[int] = set()
    for name, parameter in model.named_parameters():
        for what, value in optimizer.state.get(parameter, {}).items():
            if not isinstance(value, Tensor):
                numbers[f"{what}.{name}"] = value
                continue
            tensor = whole(value)
            # 8-bit states share one table of values, and safetensors refuses shared memory.
            shared = tensor.data_ptr() in places
            places.add(tensor.data_ptr())
            tensors[f"{what}.{name}"] = tensor.clone() if shared else tensor
    return tensors, numbers


def put_state(
    tensors: Mapping[str, Tensor],
    numbers: Mapping[str, float],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Set an optimiser's state to what `state_of` returned."""
    states: dict[str, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *numbers.items()]:
        what, _, parameter_name = name.partition(".")
        states.setdefault(parameter_name, {})[what] = value
    names = {parameter: name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        # As torch does: a count without axes lies beside its parameter for such kernels alone.
        beside = bool(group.get("fused") or group.get("capturable"))
        for parameter in group["params"]:
            optimizer.state[parameter] = {
                what: _placed(value, parameter, beside=beside)
                for what, value in states.get(names[parameter], {}).items()
            }


def _placed(value: Tensor | float, parameter: Tensor, *, beside: bool) -> Tensor | float:
    """Bring one value of an optimiser's state where its parameter is."""
    if not isinstance(value, Tensor) or (value.ndim == 0 and not beside):
        return value
    value = value.to(parameter.device)
    return like(value, parameter) if value.shape == parameter.shape else value
