"""Checkpoints: master weights and optimiser state in safetensors, written aside and renamed."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from leaf.errors import StoreError
from leaf.models import Tokenizer
from leaf.store import space_guard

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""AdamW's state of one parameter."""


def save(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Save the state after `step` optimiser steps; the checkpoint before it is then removed."""
    target = folder / f"checkpoint-{step:06d}"
    aside = folder / f".{target.name}.{os.getpid()}.tmp"
    aside.mkdir()
    with space_guard(target):
        save_file(_named_parameters(model), aside / "weights.safetensors")
        save_file(_optimizer_state(model, optimizer), aside / "optimizer.safetensors")
        (aside / "state.json").write_text(json.dumps({"step": step}))
        _flush(aside)
        aside.replace(target)
    for old in folder.glob("checkpoint-*"):
        if old != target:
            shutil.rmtree(old)


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the newest checkpoint, if there is one; return how many steps it had done."""
    found = sorted(folder.glob("checkpoint-*"))
    if not found:
        return 0
    newest = found[-1]
    try:
        state = json.loads((newest / "state.json").read_text())
        weights = load_file(newest / "weights.safetensors")
        moments = load_file(newest / "optimizer.safetensors")
    except (OSError, ValueError) as error:
        raise StoreError(f"{newest}: damaged checkpoint ({error}); delete it to go on") from None
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
            optimizer.state[parameter] = {
                moment: moments[f"{moment}.{name}"].to(
                    parameter.device if moment != "step" else "cpu"
                )
                for moment in _MOMENTS
            }
    return int(state["step"])


def export(folder: Path, model: Any, tokenizer: Tokenizer) -> None:
    """Save a student as a plain Hugging Face folder that appears whole."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    with space_guard(folder):
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        _flush(aside)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished training."""
    for old in folder.glob("checkpoint-*"):
        shutil.rmtree(old)


def _named_parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in model.named_parameters()
        for moment in _MOMENTS
    }


def _flush(folder: Path) -> None:
    """Bring a folder's files to the disk before it is renamed."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
