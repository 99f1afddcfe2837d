"""Checks of this machine: device, dtypes, memory, disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from leaf.distill.room import (
    Parameters,
    checkpoint_bytes,
    less_room,
    student_dtype,
    training_bytes,
)
from leaf.doctor.cost import kept_bytes, students
from leaf.doctor.files import ModelFiles
from leaf.doctor.finding import Finding
from leaf.models import load, threads
from leaf.pipeline.requirements import missing_to_train
from leaf.recipe import Recipe
from leaf.recipe.reading import trained_arms
from leaf.store.memory import memory_of, size_of
from leaf.store.ray import missing_ray


def check_devices(recipe: Recipe) -> Iterator[Finding]:
    """Say where the models will run and in which dtypes."""
    device = load.best_device()
    yield Finding("good", f"device: {device}")
    chosen = {
        "student.dtype": recipe.student.dtype,
        "teacher.dtype": recipe.teacher.dtype,
        "distill.compute_dtype": recipe.distill.compute_dtype,
    }
    if recipe.alone:
        del chosen["teacher.dtype"]
    for key, name in chosen.items():
        dtype = load.resolve_dtype(name, device)
        if name == "auto" and dtype is torch.float32:
            yield Finding(
                "warn",
                f"{key}: auto is float32 here, since {device} does not multiply bfloat16: slow, "
                "and twice the memory",
            )
        else:
            yield Finding("good", f"{key}: {name} is {load.dtype_name(dtype)}")


def check_threads() -> Iterator[Finding]:
    """Say how many threads will compute on this machine's cores, and whether these are free."""
    if load.best_device().type != "cpu":
        return
    count, every, most = torch.get_num_threads(), threads.cores(), threads.quota()
    text = f"threads: {count} on {every} core{'s' * (every != 1)}"
    if most is not None:
        text += f", of which this container may use {most:g} at a time"
    short = most is not None and most < 1
    yield Finding("warn" if short else "good", text + (": everything is slow" if short else ""))
    if advice := threads.watch.advice(count):
        yield Finding("warn", f"threads: {advice}")


def check_runner(recipe: Recipe) -> Iterator[Finding]:
    """Say who works on stage 1, where it is not this process, and whether that can be had."""
    if recipe.runner == "ray":
        missing = missing_ray()
        where = os.environ.get("RAY_ADDRESS") or "this machine"
        text = f"runner: ray with {recipe.ray.workers} workers on {where}, each with its own model"
        yield Finding("bad", missing) if missing else Finding("good", text)


def check_extras(recipe: Recipe) -> Iterator[Finding]:
    """Name what training needs beyond the plain installation and does not find here."""
    yield from (Finding("bad", missing) for missing in missing_to_train(recipe.distill))


def check_memory(
    recipe: Recipe, student: ModelFiles, teacher: ModelFiles, trained: Parameters
) -> Iterator[Finding]:
    """Hold answering (one model at a time) and training against the memory."""
    tokens = recipe.generate.token_budget
    for model in (student,) if recipe.alone else (student, teacher):
        loaded = recipe.student if model is student else recipe.teaching
        if loaded.device_map is not None:
            yield Finding(
                "good",
                f"memory, {model.role} answering: spread by device_map ({size_of(model.weights)})",
            )
            continue
        cache = model.cache_bytes * tokens
        yield _memory_for(
            f"{model.role} answering", model.weights, cache, f"a cache of {tokens} tokens"
        )
    section = recipe.distill
    dtype = student_dtype(section, load.own_dtype(student.config), load.best_device())
    training = training_bytes(trained, section, dtype) + _beside(recipe, student, teacher)
    yield _memory_for(
        "training", training, training // 10, "activations", way_out=less_room(section)
    )


def _beside(recipe: Recipe, student: ModelFiles, teacher: ModelFiles) -> int:
    """Return the bytes of teacher and anchor that are in memory while the student learns."""
    section = recipe.distill
    anchor = 0
    is_teacher = recipe.alone and section.cross_entropy < 1.0
    if section.anchor and section.tuning == "full" and not is_teacher:
        hidden = section.model_copy(update={"teacher": "hidden"})
        held = section.teacher == "online"
        anchor = student.weights if held else kept_bytes(hidden, student, 0)[1]
    return anchor + _of_teacher(recipe, teacher)


def _of_teacher(recipe: Recipe, teacher: ModelFiles) -> int:
    section = recipe.distill
    if recipe.alone and section.tuning == "lora" and section.teacher == "online":
        return 0  # its own weights without the adapters
    if not section.needs_teacher or section.teacher in ("topk", "served"):
        return 0
    return teacher.weights if section.teacher == "online" else kept_bytes(section, teacher, 0)[1]


def _memory_for(
    what: str, fixed: int, extra: int, extra_name: str, way_out: str = "take smaller models"
) -> Finding:
    """Hold what must fit (`fixed`) and what shrinks with the batch (`extra`) against memory."""
    device = load.best_device()
    total, free = memory_of(device)
    text = f"memory, {what}: about {size_of(fixed)}, and {size_of(extra)} for {extra_name}"
    if fixed > total:
        return Finding("bad", f"{text}; {device} has {size_of(total)}: {way_out}")
    if fixed + extra > free:
        return Finding(
            "warn", f"{text}; only {size_of(free)} of {size_of(total)} are free on {device}"
        )
    return Finding("good", f"{text}; {size_of(free)} are free on {device}")


def check_disk(recipe: Recipe, student: ModelFiles, trained: Parameters) -> Finding:
    """Hold checkpoints and students against the free space of the current folder."""
    here = Path.cwd()
    saved = load.DTYPES.get(recipe.distill.save_dtype) or load.own_dtype(student.config)
    # While a checkpoint is written, the one before it is still there.
    kept = len(trained_arms(recipe)) * student.parameters * saved.itemsize
    need = 2 * checkpoint_bytes(trained, recipe.distill) + kept
    free = shutil.disk_usage(here).free
    text = f"disk: about {size_of(need)} for checkpoints and {students(recipe)}"
    if need > free:
        return Finding("bad", f"{text}, but {here} has {size_of(free)} free: name another --out")
    return Finding("good", f"{text}, of {size_of(free)} free in {here}")
