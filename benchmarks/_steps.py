"""One training step of two real models, LeaF's way and the published way, on the same rows.

Both compute in the recipe's `compute_dtype` with float32 master weights, clip and step with the
same optimiser. Axes: B rows, T tokens, R response positions of all rows, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from benchmarks.attribute import matmul_rate, sizes
from leaf.distill.cache import TeacherCache, fill
from leaf.distill.distiller import Distiller
from leaf.distill.keep import keep_states
from leaf.distill.lora import add_adapters
from leaf.distill.optim import make_optimizer
from leaf.distill.rows import original_rows
from leaf.distill.sample import Sample, encode_rows
from leaf.distill.teacher import (
    HiddenTeacher,
    OnlineStates,
    Teacher,
    online_teacher,
    shared_beginning,
)
from leaf.models import load
from leaf.models.files import find
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DataSection, DistillSection, ModelSection
from leaf.tasks import load_problems

CUTOFF = 1024
"""Tokens that the published way pads every row to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A student, its teacher and what they train on."""

    student: str
    """A model's path."""
    teacher: str
    rows: int
    """Rows in a step."""
    micro: int
    """Rows that the published way takes at once: their logits must fit beside both models."""
    data: Path
    """GSM8K's train.jsonl."""
    lora: bool = False
    """Whether adapters alone learn, beside frozen weights in the dtype that computes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A pair in memory, and its rows as tokens."""

    student: Loaded
    """What learns of it is float32."""
    teacher: Loaded
    samples: Sequence[Sample]
    section: DistillSection

    @property
    def tokens(self) -> int:
        """Tokens of all rows; padding does not count."""
        return sum(sample.length for sample in self.samples)


def open_pair(pair: Pair) -> Opened:
    """Load both models and tokenise GSM8K questions with their solutions."""
    section = ModelSection(model=pair.student)
    student = load.load(section, find(section), dtype=None if pair.lora else torch.float32)
    teacher = load.load(ModelSection(model=pair.teacher))
    for loaded in (student, teacher):
        for parameter in loaded.model.parameters():
            # What lies in a file still is read now, not while a step is measured.
            parameter.sum()
    samples = read_samples(pair, PromptFormat(student.tokenizer, name=pair.student))
    training = DistillSection(cutoff=CUTOFF, tuning="lora" if pair.lora else "full")
    if pair.lora:
        add_adapters(student.model, training.lora, seed=0)
    else:
        student.model.requires_grad_(True)
    return Opened(student=student, teacher=teacher, samples=samples, section=training)


def read_samples(pair: Pair, chat: PromptFormat) -> list[Sample]:
    """Return the first rows of the data that are within the cutoff."""
    problems = load_problems(DataSection(task="gsm8k", path=str(pair.data), limit=2 * pair.rows))
    solutions = {problem.id: problem.solution for problem in problems}
    rows = original_rows(problems, solutions, {}, DistillSection())
    return encode_rows(chat, rows, CUTOFF)[0][: pair.rows]


Backward = Callable[[Sequence[Sample]], float]
"""Sets the student's gradients to those of one global batch, and returns its loss in nats."""


class Trainer:
    """A student and its optimiser; `step` trains by any way of computing gradients."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        every = opened.student.model.parameters()
        self.parameters = [parameter for parameter in every if parameter.requires_grad]
        self.optimizer = make_optimizer(self.parameters, opened.section)

    def step(self, backward: Backward, samples: Sequence[Sample] | None = None) -> float:
        """Make one optimiser step and return the loss before it."""
        loss = backward(samples or self.opened.samples)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.opened.section.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss


def ours(opened: Opened) -> Backward:
    """Return LeaF's way with the teacher in memory."""
    items = [sample.tokens for sample in opened.samples]
    return _by_distiller(opened, online_teacher(opened.teacher, shared_beginning(items)))


def cached(opened: Opened, folder: Path) -> Backward:
    """Return LeaF's way with the teacher's hidden states read from a cache, which is filled now."""
    cache = TeacherCache(folder, "benchmark", "hidden")
    items = [sample.tokens for sample in opened.samples]
    states = OnlineStates(opened.teacher, shared_beginning(items))
    fill(cache, items, keep_states(states, token_budget=CUTOFF), lambda _: None)
    teacher = HiddenTeacher(states=cache.states, head=output_head(opened.teacher.model))
    return _by_distiller(opened, teacher)


def student_only(opened: Opened) -> Backward:
    """Return LeaF's way without a teacher: the cross-entropy of the responses."""
    section = opened.section.model_copy(update={"cross_entropy": 1.0})
    return _by_distiller(opened, None, section)


def _by_distiller(
    opened: Opened, teacher: Teacher | None, section: DistillSection | None = None
) -> Backward:
    distiller = Distiller(opened.student, teacher, section or opened.section)
    return lambda samples: distiller.backward(samples, 1.0).loss


def published(opened: Opened, micro: int, *, dtype: torch.dtype, cutoff: int = CUTOFF) -> Backward:
    """Return the published way: rows padded to the cutoff, full logits of both models.

    Args:
        opened: The models.
        micro: Rows at once.
        dtype: Of the computations.
        cutoff: Tokens of every row, padding included.
    """
    student: Any = opened.student.model
    teacher: Any = opened.teacher.model
    device = opened.student.device

    def backward(samples: Sequence[Sample]) -> float:
        count = sum(sample.tokens.response_length for sample in samples)
        total = 0.0
        for first in range(0, len(samples), micro):
            ids_BT, mask_BT, scored_BT = (
                part.to(device) for part in padded(samples[first : first + micro], cutoff)
            )
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
                inputs = {"input_ids": ids_BT, "attention_mask": mask_BT, "use_cache": False}
                student_BTV = student(**inputs).logits
                with torch.no_grad():
                    teacher_BTV = teacher(**inputs).logits
            log_BTV = F.log_softmax(student_BTV.float(), dim=-1)
            teacher_BTV = F.softmax(teacher_BTV.float(), dim=-1)
            kl_BT = F.kl_div(log_BTV, teacher_BTV, reduction="none").sum(dim=-1)
            loss = (kl_BT * scored_BT).sum() / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    return backward


def padded(
    samples: Sequence[Sample], cutoff: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids, mask and which positions predict a response token, each [B, T = cutoff]."""
    ids_BT = torch.zeros(len(samples), cutoff, dtype=torch.long)
    mask_BT, scored_BT = torch.zeros_like(ids_BT), torch.zeros(len(samples), cutoff)
    for row, sample in enumerate(samples):
        tokens = sample.tokens
        ids_BT[row, : len(tokens.ids)] = torch.tensor(tokens.ids)
        mask_BT[row, : len(tokens.ids)] = 1
        scored_BT[row, tokens.prompt_length - 1 : len(tokens.ids) - 1] = 1
    return ids_BT, mask_BT, scored_BT


def operations(opened: Opened) -> tuple[float, float]:
    """Return the least operations of a step by the student and by the teacher.

    6 a parameter and token for the student (forward 2, back to the inputs 2, to the weights 2; 4
    where these are frozen beside adapters) and 2 for the teacher; the head counts at response
    positions alone, attention not at all.
    """
    response = sum(sample.tokens.response_length for sample in opened.samples)
    found = []
    learns = 4.0 if opened.section.tuning == "lora" else 6.0
    for loaded, factor in ((opened.student, learns), (opened.teacher, 2.0)):
        body, head = sizes(loaded.model)
        found.append(factor * (body * opened.tokens + head * response))
    return found[0], found[1]


def bound_seconds(opened: Opened, dtype: torch.dtype) -> float:
    """Return the seconds that a step's operations take at the rate of bare products, measured now.

    Each model's rate is that of the product its layers do most.
    """
    work = zip((opened.student, opened.teacher), operations(opened), strict=True)
    return sum(count / matmul_rate(loaded, dtype) for loaded, count in work)
