"""A model whose layers lie on several devices, or partly on disk, for answering and scoring."""

from typing import Any

import torch

from leaf.errors import ModelError, UsageError
from leaf.models.files import cache_folder
from leaf.recipe import ModelSection

_ELSEWHERE = ("cpu", "disk")


def check_places(section: ModelSection) -> None:
    """Refuse a `device_map` that names a device which is not here, or comes with an adapter.

    Raises:
        UsageError: says which, and what there is.
    """
    places = section.device_map
    if places is None:
        return
    if section.adapter is not None:
        raise UsageError(
            f"{section.model}: device_map with an adapter cannot be had; merge the adapter first"
        )
    if isinstance(places, str):
        return
    count = torch.cuda.device_count()
    there = [*_ELSEWHERE, *(f"cuda:{at}" for at in range(count))]
    for part, place in places.items():
        name = f"cuda:{place}" if isinstance(place, int) else place
        if name not in there and not (name == "cuda" and count):
            raise UsageError(
                f"{section.model}: device_map puts `{part}` on {name}, but there are: "
                f"{', '.join(there)}"
            )


def how_to_place(section: ModelSection) -> dict[str, Any]:
    """Return what `from_pretrained` needs to spread a model."""
    if section.device_map is None:
        return {}
    folder = cache_folder() / "offload"
    return {"device_map": section.device_map, "offload_folder": str(folder)}


def is_spread(model: Any) -> bool:
    """Whether the parts of a model lie in more than one place."""
    return len(set(getattr(model, "hf_device_map", {}).values())) > 1


def check_head(model: Any, name: str) -> None:
    """Refuse a spread model whose output head is not in memory: its weight is read by itself.

    Raises:
        ModelError: says what to do.
    """
    if is_spread(model) and model.get_output_embeddings().weight.device.type == "meta":
        raise ModelError(
            f"{name}: device_map leaves the output head on disk; keep it in memory (lm_head, or "
            "model.embed_tokens where they are one)"
        )
