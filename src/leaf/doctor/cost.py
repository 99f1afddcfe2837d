"""What stage 2 will about take: time, and disk for what a teacher says."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from leaf.doctor.files import ModelFiles
from leaf.doctor.finding import Finding
from leaf.models import load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DistillSection, Recipe
from leaf.recipe.reading import trained_arms
from leaf.records import Problem
from leaf.report.formats import duration
from leaf.store.memory import size_of

_TOP_BYTES = 8
"""Of one kept token: its id and its log-probability."""

_TINY = 5e6
"""Parameters below which a step is mostly not matrix products."""

_MEASURED = 0.3
"""Seconds that the products are tried for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCounts:
    """The original training rows within the cutoff; changed questions are not known yet."""

    count: int
    tokens: int
    """Of prompts and responses."""
    responses: int
    """Tokens of the responses, ends of turns included."""
    known: bool
    """False where the teacher writes the responses: they are then taken to be the longest."""


def count_rows(recipe: Recipe, problems: Sequence[Problem], chat: PromptFormat) -> RowCounts:
    """Count the original training rows and their tokens under the student's template."""
    gold = recipe.attribute.reference == "gold"
    longest = 0 if gold else recipe.generate.max_new_tokens
    items = [
        chat.encode(
            problem.content,
            problem.solution if gold and problem.solution else "",
            turns=problem.turns,
        )
        for problem in problems
        if problem.solution or not gold
    ]
    kept = [item for item in items if len(item.ids) <= recipe.distill.cutoff]
    return RowCounts(
        count=len(kept),
        tokens=sum(len(item.ids) + longest for item in kept),
        responses=sum(item.response_length + longest for item in kept),
        known=gold,
    )


def kept_bytes(section: DistillSection, teacher: ModelFiles, responses: int) -> tuple[int, int]:
    """Return the bytes of what is kept of so many response tokens, and of the teacher's head."""
    if section.teacher != "hidden":
        return responses * section.top_k * _TOP_BYTES, 0
    width = int(teacher.config.get_text_config().hidden_size) * teacher.dtype.itemsize
    return responses * width, teacher.vocabulary * width


def training_operations(
    section: DistillSection, rows: RowCounts, student: ModelFiles, teacher: ModelFiles
) -> float:
    """Return how many operations one student takes.

    A token costs 2 N_s forward and 4 N_s backward (2 N_s with adapters: frozen weights have no
    gradient), 2 N_s more where activations are computed again, and 2 N_t for a teacher in memory.
    """
    each = 4 if section.tuning == "lora" else 6
    a_token = (each + 2 * section.gradient_checkpointing) * student.parameters
    if section.teacher == "online" and section.needs_teacher:
        a_token += 2 * teacher.parameters
    if section.max_steps is not None:
        tokens = section.max_steps * section.batch_size * rows.tokens / rows.count
    else:
        tokens = section.max_tokens or section.epochs * rows.tokens
    return float(a_token * tokens)


def students(recipe: Recipe) -> str:
    """Say how many students a recipe trains."""
    count = len(trained_arms(recipe))
    return f"{'two' if count == 2 else count} students"


def check_cost(
    recipe: Recipe,
    student: ModelFiles,
    teacher: ModelFiles,
    problems: Sequence[Problem],
    chat: PromptFormat,
) -> Iterator[Finding]:
    """Estimate what stage 2 takes, from the original rows and a measured rate of this device."""
    section = recipe.distill
    rows = count_rows(recipe, problems, chat)
    if not rows.count:
        return
    device = load.best_device()
    learns = load.resolve_dtype(section.compute_dtype, device)
    if section.teacher != "online" and section.needs_teacher:
        yield _check_kept(section, teacher, rows)
        if section.teacher != "served":
            seconds = 2 * teacher.parameters * rows.tokens / product_rate(device, teacher.dtype)
            yield Finding("good", f"time, {_what(section)}: about {duration(seconds)}, once")
    rate = product_rate(device, learns)
    count = len(trained_arms(recipe))
    seconds = count * training_operations(section, rows, student, teacher) / rate
    longer = ""
    if section.max_steps is None and section.max_tokens is None:
        longer = "; longer by their changed questions"
    if student.parameters < _TINY:
        longer += "; a model this small takes several times as long (`--total` measures it)"
    yield Finding(
        "good",
        f"time, training: about {duration(seconds)} for {students(recipe)} on {rows.count} "
        f"original rows at {rate / 1e12:.2g} trillion operations a second{longer}",
    )


def _check_kept(section: DistillSection, teacher: ModelFiles, rows: RowCounts) -> Finding:
    """Hold what is kept of a teacher against the free space of the current folder."""
    here = Path.cwd()
    kept, head = kept_bytes(section, teacher, rows.responses)
    free = shutil.disk_usage(here).free
    most = "about" if rows.known else "at most"
    beside = f", and {size_of(head)} for its head" if head else ""
    text = (
        f"disk, {_what(section)}: {most} {size_of(kept)} for {rows.count} original rows{beside}; "
        "a changed question adds as much as its original"
    )
    if kept + head > free:
        way = "distill.teacher: online" if section.teacher == "hidden" else "a lower distill.top_k"
        return Finding("bad", f"{text}; {here} has {size_of(free)} free: take {way}")
    return Finding("good", f"{text}; {size_of(free)} are free in {here}")


def _what(section: DistillSection) -> str:
    return f"teacher's {'hidden states' if section.teacher == 'hidden' else 'likeliest tokens'}"


@cache
def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measure, once in a process, how many operations a second matrix products do here."""
    size = 1024 if device.type == "cpu" else 8192
    matrix = torch.ones(size, size, dtype=dtype, device=device)

    def multiply() -> None:
        # Reading a number waits for the device.
        (matrix @ matrix)[0, 0].item()

    multiply()
    begun, done = time.monotonic(), 0
    while time.monotonic() - begun < _MEASURED:
        multiply()
        done += 1
    return 2 * size**3 * done / (time.monotonic() - begun)
