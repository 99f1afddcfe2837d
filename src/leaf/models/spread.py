"""A model whose layers lie on several devices, or partly on disk, for answering and scoring."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from leaf.errors import ModelError, UsageError, nearest
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
                f"{section.model}: device_map puts {_said(part)} on {name}, but there are: "
                f"{', '.join(there)}"
            )


def check_map(section: ModelSection, skeleton: Any) -> None:
    """Hold a `device_map` against a model of the same shapes, before weights are loaded.

    Raises:
        UsageError: it names a module that the model lacks, leaves some out, or names one twice.
        ModelError: the output head is on disk, whose weight is read by itself.
    """
    places = section.device_map
    if not isinstance(places, dict):
        return
    modules = [name for name, _ in skeleton.named_modules()]
    for part, place in places.items():
        if part not in modules:
            raise UsageError(
                f"{section.model}: device_map names `{part}`, but the model has no such module"
                f"{nearest(part, modules)}"
            )
        for outer in _holding(part, places):
            if place != places[outer] and {place, places[outer]} & set(_ELSEWHERE):
                raise UsageError(
                    f"{section.model}: device_map puts {_said(part)} on {place}, but "
                    f"{_said(outer)}, which holds it, on {places[outer]}; name modules beside each "
                    "other"
                )
    for weight in skeleton.state_dict():
        if not _holding(weight, places):
            raise UsageError(
                f"{section.model}: device_map leaves out {weight}; name a module that holds it"
            )
    head = skeleton.get_output_embeddings().weight
    named = skeleton.named_parameters(remove_duplicate=False)
    heads = [_holding(name, places) for name, weight in named if weight is head]
    if any(places[max(held, key=len)] == "disk" for held in heads):
        _refuse_head(section.model)


def _said(part: str) -> str:
    return f"`{part}`" if part else "the whole model"


def _holding(name: str, places: dict[str, int | str]) -> list[str]:
    """Return the modules of a map that hold another module or a weight."""
    return [part for part in places if name and (not part or name.startswith(f"{part}."))]


Stay = Callable[[Any], None]
"""Told of the loaded model, which needs its files from now on."""


@contextmanager
def placing(section: ModelSection) -> Iterator[tuple[dict[str, Any], Stay]]:
    """Yield what `from_pretrained` needs to spread a model, and what to call with the model.

    Weights of a mixture of experts are written anew for the disk, under their names in the model:
    each load has a folder of its own, which goes with the model.
    """
    if section.device_map is None:
        yield {}, lambda model: None
        return
    every = cache_folder() / "offload"
    every.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=every)
    stays = False

    def stay(model: Any) -> None:
        nonlocal stays
        stays = True
        weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)

    try:
        yield {"device_map": section.device_map, "offload_folder": folder}, stay
    finally:
        if not stays:
            shutil.rmtree(folder, ignore_errors=True)


def is_spread(model: Any) -> bool:
    """Whether the parts of a model lie in more than one place, or on disk."""
    places = set(getattr(model, "hf_device_map", {}).values())
    return len(places) > 1 or "disk" in places


def on_one_device(section: ModelSection) -> ModelSection:
    """Return a section without its map: weights that learn, and their anchor, have to be whole."""
    return section.model_copy(update={"device_map": None})


def device_of(model: Any, name: str) -> torch.device:
    """Return where a placed model takes its tokens; it needs its output head in memory.

    Raises:
        ModelError: says what to do.
    """
    head: torch.device = model.get_output_embeddings().weight.device
    if head.type == "meta":
        _refuse_head(name)
    # Embeddings that are on disk come to wherever they are asked.
    return head if model.device.type == "meta" else model.device


def _refuse_head(name: str) -> None:
    raise ModelError(
        f"{name}: device_map leaves the output head on disk; keep it in memory (lm_head, or "
        "model.embed_tokens where they are one)"
    )
