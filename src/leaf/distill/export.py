"""The trained student as a plain Hugging Face folder, with a model card."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

import torch
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from leaf.distill.checkpoint import flush
from leaf.distill.sample import Sample
from leaf.errors import ModelError
from leaf.models.adapters import merge, save_adapter
from leaf.models.files import PACKAGE, Source
from leaf.models.load import DTYPES, Tokenizer, fits, to_dtype
from leaf.models.quiet import quiet
from leaf.progress import visible
from leaf.recipe import DistillSection
from leaf.recipe.names import is_path
from leaf.store.store import space_guard

_LIBRARIES = ("leaf-distill", "torch", "transformers", "peft", "safetensors")

_PLACES = {"served", "tracking"}
"""Parts of the recipe that say where, which is nobody else's business, and not what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a model card says beyond the settings of `distill`."""

    student: str
    """As the recipe names it: a hub name, or a path, whose last part alone is shown."""
    teacher: str
    task: str
    """Name of the training data."""
    originals: int
    """Training rows with the original prompt."""
    counterfactuals: int
    """Training rows with a changed question."""
    steps: int
    """Optimiser steps behind these weights."""


def card_of(
    student: str, teacher: str, task: str, samples: Sequence[Sample], *, steps: int
) -> Card:
    """Return what a card says of a training; `samples` are those that it was shown."""
    changed = sum(sample.row.counterfactual for sample in samples)
    return Card(
        student=student,
        teacher=teacher,
        task=task,
        originals=len(samples) - changed,
        counterfactuals=changed,
        steps=steps,
    )


def export(
    folder: Path,
    model: Any,
    tokenizer: Tokenizer,
    *,
    own: torch.dtype,
    section: DistillSection,
    card: Card,
    end_of_turn: int,
    adapter: Path | None = None,
) -> None:
    """Save a student so that `from_pretrained(folder)` of transformers alone loads it.

    Its `generate` stops where a turn ends, as the student was trained to end it.

    A folder appears whole, in place of one that was there. Adapters are merged and the weights
    rounded to the saved dtype in place: the model is of no more use for training.

    Args:
        folder: Where it goes.
        model: The trained student, with the generation config that it came with.
        tokenizer: With its chat template.
        own: What the student came in, which `save_dtype: auto` saves.
        section: How it was trained.
        card: What else the card says.
        end_of_turn: The token that ends a turn by the chat template.
        adapter: Where the adapters go by themselves, as PEFT saves them; None: nowhere.
    """
    if adapter is not None:
        with _appearing(adapter) as aside:
            save_adapter(model, aside, base=shown_name(card.student))
    round_weights(model, section, own)
    stop_at(model, end_of_turn)
    with _appearing(folder) as aside, quiet():
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        _check_saved(model, aside)
        (aside / "README.md").write_text(model_card(card, section), encoding="utf-8")


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill, which then stands in the place of `folder`."""
    for old in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(old)  # a kill left it
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    with space_guard(folder):
        aside.mkdir(parents=True)
        yield aside
        flush(aside)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)


def stop_at(model: Any, end_of_turn: int) -> None:
    """Let the model's own `generate` end an answer with a turn, besides where it ended before."""
    if model.generation_config is None:
        return  # a model that brings no `generate`
    own = model.generation_config.eos_token_id
    ends = list(own) if isinstance(own, list | tuple) else [] if own is None else [int(own)]
    if end_of_turn not in ends:
        ends.append(end_of_turn)
        model.generation_config.eos_token_id = ends if len(ends) > 1 else end_of_turn


def _check_saved(model: Any, folder: Path) -> None:
    """Refuse a folder with weights that who loads it would pass over, or would have to make up."""
    surplus = fits(Source(name="the student", files=folder, fingerprint=""), type(model))
    if surplus:
        raise ModelError(
            f"{folder}: {len(surplus)} of the weights that were saved are no part of the model, "
            f"such as {min(surplus)}: what it would load is not what was trained"
        )


def round_weights(model: Any, section: DistillSection, own: torch.dtype) -> None:
    """Merge adapters and round to the saved dtype, in place; `own` is what the student came in."""
    if section.tuning == "lora":
        merge(model)
    to_dtype(model, own if section.save_dtype == "auto" else DTYPES[section.save_dtype])


def model_card(card: Card, section: DistillSection) -> str:
    """Return README.md: metadata that the hub reads, and how the student came to be."""
    student, teacher = shown_name(card.student), shown_name(card.teacher)
    about = ModelCardData(
        base_model=student if _is_hub_id(card.student) else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["leaf", "distillation"],
    )
    settings = section.model_dump(mode="json", by_alias=True, exclude=_PLACES)
    if section.tuning != "lora":
        settings.pop("lora")
    made = ModelCard.from_template(
        about,
        template_str=files("leaf.distill").joinpath("card.md").read_text(encoding="utf-8"),
        student=student,
        teacher=teacher,
        # The student as it was is no teacher of its own.
        alone=card.teacher == card.student,
        taught=section.needs_teacher,
        task=_line(card.task),
        card=card,
        settings=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).strip(),
        versions={name: version(name) for name in _LIBRARIES},
    )
    return re.sub(r"\n{3,}", "\n\n", str(made))


def _is_hub_id(name: str) -> bool:
    """Whether the hub may have a model of this name: a card that names another is refused there."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not _is_local(name)


def _is_local(name: str) -> bool:
    return name.startswith(PACKAGE) or is_path(name) or Path(name).expanduser().exists()


def shown_name(name: str) -> str:
    """Return a hub name as it is, and of a path its last part: the rest is about this machine."""
    return _line(PurePath(name.removeprefix(PACKAGE)).name if _is_local(name) else name)


def _line(text: str) -> str:
    """Return a name fit for code marks in Markdown."""
    return " ".join(visible(text).replace("`", "'").split())
