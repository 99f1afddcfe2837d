"""Adapters of PEFT beside a model: put on from a folder, laid into one, merged into its weights.

A folder holds adapter_config.json and adapter_model.safetensors, as PEFT writes and reads them. The
metadata of ours hold some of the base's numbers as well, by which another base is told.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from leaf.errors import ModelError
from leaf.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, readable

_PREFIX = "base_model.model."
"""What PEFT puts before the names of the model's own layers."""

_SAME = 0.2
"""How far a base's numbers may lie from those that are noted, as a share of their norm: quantised
files of one model differ by less, and other models by their whole size."""

_NOTED = 64
"""Numbers of the base that are noted."""


def save_adapter(model: Any, folder: Path, *, base: str) -> None:
    """Lay a model's adapters, in bfloat16, into a folder that is there.

    Args:
        model: With adapters that are not merged.
        folder: Where the two files go.
        base: What the model was before, for people.
    """
    from peft import get_peft_model_state_dict

    config = next(iter(model.peft_config.values()))
    found: dict[str, Tensor] = get_peft_model_state_dict(model)
    weights = {
        _PREFIX + name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in found.items()
    }
    noted = {"format": "pt", "base": json.dumps(_numbers(model, sorted(weights)[0]))}
    save_file(weights, folder / ADAPTER_WEIGHTS, metadata=noted)
    values = {**config.to_dict(), "base_model_name_or_path": base, "inference_mode": True}
    for name in ("target_modules", "exclude_modules"):
        if isinstance(values.get(name), set):
            values[name] = sorted(values[name])
    text = json.dumps(values, indent=2, sort_keys=True, default=str)
    (folder / ADAPTER_CONFIG).write_text(text, encoding="utf-8")


def put_on(model: Any, folder: Path, *, name: str) -> None:
    """Merge the LoRA adapter of a folder into a model's weights; those become float32.

    Args:
        model: The base.
        folder: As `leaf.models.files.find` found it.
        name: The base's, for errors.

    Raises:
        ModelError: not such a folder, or an adapter of another base.
    """
    from peft import set_peft_model_state_dict

    weights, other = fit(model, folder, name=name)
    with readable(other):
        loaded: Any = set_peft_model_state_dict(model, weights)
    lost = [*loaded.unexpected_keys, *(key for key in loaded.missing_keys if "lora_" in key)]
    if lost:
        raise ModelError(f"{other}: {len(lost)} of its weights do not fit, such as {min(lost)}")
    with readable(f"{folder}: cannot be merged"):
        merge(model)


def fit(model: Any, folder: Path, *, name: str) -> tuple[dict[str, Tensor], str]:
    """Put layers for the LoRA adapter of a folder into a model, which may be without numbers.

    Args:
        model: The base.
        folder: As `leaf.models.files.find` found it.
        name: The base's, for errors.

    Returns:
        The adapter's weights, and what begins an error that they do not fit.

    Raises:
        ModelError: not such a folder, or an adapter of another base.
    """
    from peft import LoraConfig, PeftConfig, inject_adapter_in_model

    with readable(f"{folder}: not an adapter"):
        config = PeftConfig.from_pretrained(str(folder))
        with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
            noted = (file.metadata() or {}).get("base")
            weights = {key.removeprefix(_PREFIX): file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if not isinstance(config, LoraConfig) or not weights:
        raise ModelError(f"{folder}: holds no LoRA adapter")
    other = f"{folder}: an adapter of another model than {name}"
    if config.base_model_name_or_path:
        other += f" (of {config.base_model_name_or_path})"
    _check_shapes(model, weights, other)
    has_numbers = not next(model.parameters()).is_meta
    known = json.loads(noted) if noted is not None and has_numbers else None
    if known is not None and not _is_near(_numbers(model, min(weights)), known):
        raise ModelError(f"{other}: its weights are others")
    # What they begin with is of no matter, and may take minutes.
    config.init_lora_weights = True
    with readable(other), own_names(model), warnings.catch_warnings():
        # It says of layers that keep their weights transposed (GPT-2) that it noticed.
        warnings.filterwarnings("ignore", message="fan_in_fan_out")
        inject_adapter_in_model(config, model)
    return weights, other


def merge(model: Any) -> None:
    """Add every adapter to its layer's weight, which becomes float32, and take the adapters out.

    What is left is the model as it was loaded, of the same class, with other weights.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            base = layer.get_base_layer()
            # The sum is rounded once, to the dtype that is saved, and not to the frozen weight's.
            base.weight.data = base.weight.data.float()
            layer.merge(safe_merge=True)
            model.set_submodule(name, base)
        elif isinstance(layer, AuxiliaryTrainingWrapper):  # a whole layer that learnt beside them
            whole = layer.unload_and_optionally_merge_module(True, True, None)
            model.set_submodule(name, whole)
    del model.peft_config
    model._hf_peft_config_loaded = False  # else `save_pretrained` would look for adapters


@contextmanager
def own_names(model: Any) -> Iterator[None]:
    """Let PEFT take the names of layers as they are, for a block.

    For mixtures of experts it reads `up_proj` and its like as the experts of transformers 4, which
    are no linear layers any more: they would get adapters, and a dense layer of that name none.
    """
    own = model.config.model_type
    model.config.model_type = "leaf"
    try:
        yield
    finally:
        del model.config.model_type
        if model.config.model_type != own:  # it was the object's, not its class's
            model.config.model_type = own


def _check_shapes(model: Any, weights: dict[str, Tensor], other: str) -> None:
    """Refuse matrices of layers that the model has not, or has in another shape."""
    for key, value in weights.items():
        layer, mark, side = key.removesuffix(".weight").rpartition(".lora_")
        if not mark or side not in ("A", "B"):
            continue  # PEFT knows what it is, or says that it does not fit
        try:
            shape = model.get_submodule(layer).weight.shape
        except AttributeError:
            raise ModelError(f"{other}: this one has no layer {layer}") from None
        width = value.shape[1 if side == "A" else 0]
        if width not in shape:
            raise ModelError(
                f"{other}: {key} is made for a layer {width} wide, but {layer} has the shape "
                f"{list(shape)}"
            )


def _numbers(model: Any, key: str) -> list[float]:
    """Return some numbers of the weight below an adapter's matrix."""
    layer = model.get_submodule(key.removeprefix(_PREFIX).rpartition(".lora_")[0])
    weight: Tensor = getattr(layer, "base_layer", layer).weight
    # From all over it; those of one row alone could be small.
    flat = weight.detach().flatten()
    step = max(1, len(flat) // _NOTED)
    return [round(float(value), 6) for value in flat[::step][:_NOTED].float().cpu()]


def _is_near(ours: list[float], noted: list[float]) -> bool:
    if len(ours) != len(noted):
        return False
    found, known = torch.tensor(ours), torch.tensor(noted)
    return bool((found - known).norm() <= _SAME * known.norm())
