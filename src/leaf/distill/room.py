"""What training keeps of a student in memory and on disk, counted before any weight is loaded."""

from dataclasses import dataclass

import torch

from leaf.distill.lora import count_adapters
from leaf.errors import OutOfMemoryError
from leaf.models.files import Source
from leaf.models.load import dtype_of, resolve_dtype, skeleton
from leaf.recipe import DistillSection
from leaf.store.memory import memory_of, size_of

_FLOAT = 4
"""Bytes of a number in float32."""

_MOMENTS = {"adamw": 8, "adamw_8bit": 2}
"""Bytes of both moments of one parameter that learns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """How many numbers a student in training has."""

    learning: int
    frozen: int


def student_dtype(section: DistillSection, own: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype to load a student in, whose files came in the dtype `own`.

    All that learns is float32, since an optimiser's steps are too small for bfloat16. Frozen
    weights beside adapters stay as they came where forward and backward multiply that dtype.
    """
    compute = resolve_dtype(section.compute_dtype, device)
    frozen = section.tuning == "lora" and own is compute and own is not torch.float16
    return own if frozen else torch.float32


def count_parameters(source: Source, section: DistillSection) -> Parameters:
    """Count what learns and what is frozen, adapters included, without reading any number.

    Raises:
        RecipeError: a name in `lora.targets` is of no layer.
    """
    model = skeleton(source)
    counts = [0, 0]
    for parameter in model.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    if section.tuning == "lora":
        # Not by putting them on: PEFT takes seconds to import.
        return Parameters(learning=count_adapters(model, section.lora), frozen=sum(counts))
    return Parameters(learning=counts[True], frozen=counts[False])


def training_bytes(parameters: Parameters, section: DistillSection, dtype: torch.dtype) -> int:
    """Return the bytes of weights, gradients and optimiser while a student is trained.

    Activations come on top; they follow the tokens of a batch.

    Args:
        parameters: Of the student.
        section: How it is trained.
        dtype: Of frozen weights (`student_dtype`).
    """
    each = 2 * _FLOAT + _MOMENTS[section.optimizer]
    return parameters.learning * each + parameters.frozen * dtype.itemsize


def checkpoint_bytes(parameters: Parameters, section: DistillSection) -> int:
    """Return the bytes of a checkpoint and of the best weights beside it."""
    best = _FLOAT if section.validation.share else 0
    return parameters.learning * (_FLOAT + _MOMENTS[section.optimizer] + best)


def check_room(source: Source, section: DistillSection, device: torch.device) -> None:
    """Hold what training needs against the memory that is free now, before the student is loaded.

    Raises:
        OutOfMemoryError: it does not fit; says both numbers and what takes less.
    """
    dtype = student_dtype(section, dtype_of(source), device)
    needed = training_bytes(count_parameters(source, section), section, dtype)
    total, free = memory_of(device)
    if needed > free:
        raise OutOfMemoryError(
            f"training {source.name} takes {needed} bytes ({size_of(needed)}) for weights, "
            f"gradients and optimiser, but {free} ({size_of(free)}) of {size_of(total)} are free "
            f"on {device}: {less_room(section)}"
        )


def less_room(section: DistillSection) -> str:
    """Say what takes less memory than these settings."""
    ways = ["take smaller models"]
    if section.optimizer == "adamw":
        ways.insert(0, "distill.optimizer: adamw_8bit")
    if section.tuning == "full":
        ways.insert(0, "distill.tuning: lora")
    return " or ".join(ways)
