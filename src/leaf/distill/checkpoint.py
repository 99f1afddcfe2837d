"""Checkpoints: what learns, the optimiser's state and random states, in safetensors and JSON.

Each is written aside, flushed and renamed, so it is there whole or not at all. Where a model is
sharded over processes, each of them calls `save` and `save_best`; the first one writes.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from leaf.distill.optim import put_state, state_of
from leaf.distill.ranks import ranks_here
from leaf.distill.whole import digest, like, whole
from leaf.errors import StoreError
from leaf.store.disk import sha256_of, space_guard, sweep, to_disk

_WEIGHTS = "weights.safetensors"
_OPTIMIZER = "optimizer.safetensors"
_RANDOM = "random.safetensors"
_BEST = "best.safetensors"
_LEFT = ("checkpoint-*", ".checkpoint-*.tmp", f"*{_BEST}*")


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Where a training stands."""

    step: int
    """Optimiser steps that are done."""
    key: str
    """Names the training: all that decides its weights."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What the loop carries on, as JSON values: the best loss so far, ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The weights with the lowest validation loss so far."""

    step: int
    loss: float
    """Nats."""


def save(folder: Path, state: State, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Save a training as it stands; the checkpoint before it is then removed."""
    weights = _learning(model)
    tensors, numbers = state_of(model, optimizer)
    randoms = _random_states(next(model.parameters()).device)
    if not ranks_here().first:
        return
    for old in folder.glob(".checkpoint-*.tmp"):
        shutil.rmtree(old)  # a kill left it
    target = folder / f"checkpoint-{state.step:06d}"
    aside = folder / f".{target.name}.{os.getpid()}.tmp"
    parts = {_WEIGHTS: weights, _OPTIMIZER: tensors, _RANDOM: randoms}
    about: dict[str, Any] = {
        "step": state.step,
        "key": state.key,
        "extra": dict(state.extra),
        "numbers": numbers,
        "tensors": {name: sorted(part) for name, part in parts.items()},
    }
    with space_guard(target):
        aside.mkdir()
        for name, part in parts.items():
            save_file(part, aside / name)
        about["sha256"] = {name: sha256_of(aside / name) for name in parts}
        (aside / "state.json").write_text(json.dumps(about), encoding="utf-8")
        flush(aside)
        aside.replace(target)
    for old in folder.glob("checkpoint-*"):
        if old != target:
            shutil.rmtree(old)


def restore(
    folder: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> State | None:
    """Resume from the newest checkpoint: weights, optimiser and random states; None without one.

    Raises:
        StoreError: it is of another training, cut short, or does not fit the model.
    """
    found = sorted(folder.glob("checkpoint-*"))
    if not found:
        return None
    newest = found[-1]
    about = _read_about(newest)
    state = State(step=about["step"], key=about["key"], extra=about["extra"])
    _check_key(newest, state.key, key)
    weights, tensors, randoms = (
        _read_tensors(newest, name, about["tensors"]) for name in (_WEIGHTS, _OPTIMIZER, _RANDOM)
    )
    for name, sha256 in about.get("sha256", {}).items():
        if sha256_of(newest / name) != sha256:
            raise _damaged(newest, f"{name} is not as it was written")
    _put_weights(newest, weights, model)
    put_state(tensors, about["numbers"], model, optimizer)
    torch.set_rng_state(randoms["cpu"])
    if "cuda" in randoms and torch.cuda.is_available():
        torch.cuda.set_rng_state(randoms["cuda"])
    return state


def save_best(folder: Path, model: nn.Module, *, key: str, step: int, loss: float) -> None:
    """Keep the weights that learn as the best so far, in place of those before."""
    weights = _learning(model)
    if not ranks_here().first:
        return
    target = folder / _BEST
    aside = folder / f".{_BEST}.{os.getpid()}.tmp"
    about = {"key": key, "step": str(step), "loss": repr(loss), "sha256": _digest(weights)}
    with space_guard(target):
        save_file(weights, aside, metadata=about)
        _flush_file(aside)
        aside.replace(target)


def load_best(folder: Path, key: str, model: nn.Module) -> Best | None:
    """Set the weights to the best ones that were kept; None where none were.

    Raises:
        StoreError: they are of another training, cut short, or do not fit the model.
    """
    path = folder / _BEST
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        best = Best(step=int(about["step"]), loss=float(about["loss"]))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, _said(error)) from None
    _check_key(path, about.get("key", ""), key)
    found = _digest(weights)
    if about.get("sha256", found) != found:
        raise _damaged(path, "not as it was written")
    _put_weights(path, weights, model)
    return best


def gathered(model: nn.Module) -> dict[str, Tensor]:
    """Return all weights of a sharded model, each whole, in the first process (collective)."""
    return {name: whole(value.detach()) for name, value in model.state_dict().items()}


def left(folder: Path) -> bool:
    """Whether a training has checkpoints, or what a kill left of them."""
    return any(True for pattern in _LEFT for _ in folder.glob(pattern))


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished training, and what a kill left of them."""
    for pattern in _LEFT:
        sweep(folder, pattern)


def flush(folder: Path) -> None:
    """Bring a folder's files to the disk before it is renamed."""
    for path in folder.iterdir():
        _flush_file(path)


def _flush_file(path: Path) -> None:
    with path.open("rb") as file:
        to_disk(file)


def _learning(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that learn by name, each whole."""
    return {
        name: whole(parameter.detach())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _digest(tensors: Mapping[str, Tensor]) -> str:
    return digest(*(tensors[name] for name in sorted(tensors)))


def _random_states(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _read_about(folder: Path) -> dict[str, Any]:
    kinds = {"step": int, "key": str, "extra": dict, "numbers": dict, "tensors": dict}
    try:
        about = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if not isinstance(about, dict):
            raise TypeError("not an object")
        for name, kind in kinds.items():
            if not isinstance(about[name], kind):
                raise TypeError(f"`{name}` is {about[name]!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"state.json: {_said(error)}") from None
    return about


def _read_tensors(folder: Path, name: str, expected: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        tensors = load_file(folder / name)
        missing = sorted(set(expected[name]) - tensors.keys())
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(folder, f"{name}: {_said(error)}") from None
    if missing:
        raise _damaged(folder, f"{name} lacks {missing[0]}")
    return tensors


def _check_key(place: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise StoreError(
            f"{place}: a checkpoint of another training (key {found}, this one is {wanted}); "
            "delete it to start from the beginning"
        )


def _damaged(place: Path, reason: str) -> StoreError:
    return StoreError(
        f"{place}: damaged checkpoint ({reason}); delete it to start from the beginning"
    )


def _said(error: Exception) -> str:
    """Return the first line of what a library said."""
    if isinstance(error, KeyError):
        return f"no {error}"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@torch.no_grad()
def _put_weights(place: Path, weights: Mapping[str, Tensor], model: nn.Module) -> None:
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name in sorted(weights.keys() | learning.keys()):
        ours, theirs = (
            list(side[name].shape) if name in side else None for side in (weights, learning)
        )
        if ours != theirs:
            raise _damaged(place, f"it has {name} as {ours}, the model as {theirs}")
    for name, parameter in learning.items():
        parameter.copy_(like(weights[name].to(parameter.device), parameter))
