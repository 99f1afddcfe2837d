"""What would stop or spoil a run, found before hours are spent.

Every check goes on by itself: a fault is a finding, and the next check runs. Model files are
brought to this machine as a run would bring them, but no weights are loaded.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import psutil
import torch
from safetensors import SafetensorError, safe_open

from leaf import models
from leaf.chat import Chat
from leaf.config import ModelSection, Recipe
from leaf.errors import LeafError, ModelError
from leaf.records import Problem
from leaf.tasks import load_problems

T = TypeVar("T")
P = ParamSpec("P")

_MARKS = {"good": "ok  ", "warn": "warn", "bad": "BAD "}

_SAMPLE = "  How many are 2 + 3\u2220?\n"
"""A message whose borders a template may strip and whose symbol takes several bytes."""

_MASTER_BYTES = 16
"""Bytes a student parameter takes in training: float32 weight, gradient and two moments."""

_CHECKPOINT_BYTES = 12
"""Bytes a student parameter takes in a checkpoint: float32 weight and two moments."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    level: Literal["good", "warn", "bad"]
    """`warn`: the run goes through, but look at it; `bad`: this would stop the run."""
    text: str
    """One line."""

    @property
    def mark(self) -> str:
        """Four characters that show the level."""
        return _MARKS[self.level]

    def as_json(self) -> dict[str, str]:
        """Return level and text as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """A model's files as they lie here; its weights are not loaded."""

    role: str
    section: ModelSection
    source: models.Source
    config: Any
    parameters: int
    dtype: torch.dtype

    @property
    def context(self) -> int:
        """Most tokens that it was made for, prompt and answer together."""
        return int(getattr(self.config, "max_position_embeddings", None) or 2**31)

    @property
    def vocabulary(self) -> int:
        """Rows of its output head."""
        return int(self.config.get_text_config().vocab_size)

    @property
    def weights(self) -> int:
        """Bytes of its weights while it answers."""
        return self.parameters * self.dtype.itemsize

    @property
    def cache_bytes(self) -> int:
        """Bytes that one token takes in its attention cache; 0 where it has no such cache."""
        config = self.config.get_text_config()
        heads = getattr(config, "num_attention_heads", None) or 0
        width = getattr(config, "head_dim", None) or config.hidden_size // max(heads, 1)
        kept = getattr(config, "num_key_value_heads", None) or heads
        return int(2 * config.num_hidden_layers * kept * width * self.dtype.itemsize)


def examine(recipe: Recipe) -> list[Finding]:
    """Check a recipe on this machine; faults of any part become findings, in reading order."""
    findings = list(_devices(recipe))
    student = _attempt(findings, _look, recipe.student, "student")
    teacher = _attempt(findings, _look, recipe.teacher, "teacher")
    chats: dict[str, tuple[_Model, Chat]] = {}
    for model in (student, teacher):
        if model:
            findings.extend(_describe(model))
            chat = _attempt(findings, _open_chat, model)
            if chat:
                chats[model.role] = (model, chat)
                findings.append(_template(model, chat))
    if student and teacher:
        findings.append(_vocabularies(student, teacher))
    if len(chats) == 2:
        findings.extend(_guarded(_pair(recipe, chats["student"][1], chats["teacher"][1])))
    train = _attempt(findings, load_problems, recipe.data)
    if train:
        findings.extend(_training_data(recipe, train))
        findings.extend(_guarded(_lengths("training data", train, recipe, chats)))
        if "student" in chats:
            findings.extend(_guarded(_cutoff(recipe, train, chats["student"][1])))
    for name, section in recipe.evaluate.benchmarks.items():
        test = _attempt(findings, load_problems, section)
        if test:
            findings.append(_benchmark(name, test, train or ()))
            findings.extend(_guarded(_lengths(f"benchmark {name}", test, recipe, chats)))
    if student and teacher:
        findings.extend(_memory(recipe, student, teacher))
        findings.append(_disk(recipe, student))
    return findings


def _attempt(
    findings: list[Finding], work: Callable[P, T], *args: P.args, **options: P.kwargs
) -> T | None:
    """Return what `work` gives; where it fails, None and one more finding that says why."""
    try:
        return work(*args, **options)
    except LeafError as error:
        findings.append(Finding("bad", str(error)))
        return None


def _guarded(check: Iterator[Finding]) -> Iterator[Finding]:
    """Pass findings on; a check that fails ends with a finding that says why."""
    try:
        yield from check
    except LeafError as error:
        yield Finding("bad", str(error))


# Models.


def _devices(recipe: Recipe) -> Iterator[Finding]:
    device = models.best_device()
    yield Finding("good", f"device: {device}")
    chosen = {
        "student.dtype": recipe.student.dtype,
        "teacher.dtype": recipe.teacher.dtype,
        "distill.compute_dtype": recipe.distill.compute_dtype,
    }
    for key, name in chosen.items():
        dtype = models.resolve_dtype(name, device)
        if name == "auto" and dtype is torch.float32:
            yield Finding(
                "warn",
                f"{key}: auto is float32 here, since {device} does not multiply bfloat16: slow, "
                "and twice the memory",
            )
        else:
            yield Finding("good", f"{key}: {name} is {_dtype(dtype)}")


def _look(section: ModelSection, role: str) -> _Model:
    source = models.find(section)
    return _Model(
        role=role,
        section=section,
        source=source,
        config=models.load_config(source),
        parameters=_count_parameters(source.folder),
        dtype=models.resolve_dtype(section.dtype, models.best_device()),
    )


def _count_parameters(folder: Path) -> int:
    """Count parameters from the headers of safetensors files; the numbers are not read."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    else:
        files = {path.name for path in folder.glob("*.safetensors")}
    total = 0
    for name in files:
        try:
            with safe_open(folder / name, framework="pt") as tensors:
                shapes = [tensors.get_slice(key).get_shape() for key in tensors.keys()]  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{folder / name}: cannot be read: {error}") from None
        total += sum(math.prod(shape) for shape in shapes)
    return total


def _describe(model: _Model) -> Iterator[Finding]:
    yield Finding(
        "good",
        f"{model.role} {model.section.model}: {_count(model.parameters)} parameters, "
        f"context of {model.context} tokens, vocabulary of {model.vocabulary} entries",
    )


def _open_chat(model: _Model) -> Chat:
    tokenizer = models.load_tokenizer(model.source)
    chat = Chat(tokenizer, name=model.section.model, system=model.section.system)
    chat.render(_SAMPLE)
    return chat


def _template(model: _Model, chat: Chat) -> Finding:
    end = chat.tokenizer.decode(list(chat.end_of_turn))
    if not chat.has_template:
        return Finding(
            "warn",
            f"{model.role}: no chat template (a base model?): it gets the bare question and a "
            f"newline, and ends a response with {end!r}",
        )
    return Finding(
        "good",
        f"{model.role}: its chat template keeps a question as it is, and ends a response with "
        f"{end!r}",
    )


def _vocabularies(student: _Model, teacher: _Model) -> Finding:
    ours, theirs = student.vocabulary, teacher.vocabulary
    if ours == theirs:
        return Finding("good", f"vocabularies: {ours} entries in both output heads")
    return Finding(
        "good",
        f"vocabularies: {ours} entries (student) and {theirs} (teacher); distillation compares "
        f"the common {min(ours, theirs)}",
    )


def _pair(recipe: Recipe, student: Chat, teacher: Chat) -> Iterator[Finding]:
    names = (recipe.student.model, recipe.teacher.model)
    if (student.prefix, student.suffix) == (teacher.prefix, teacher.suffix):
        yield Finding("good", "templates: student and teacher put the same text around a question")
    else:
        yield Finding(
            "warn",
            "templates: student and teacher put different text around a question; each answers "
            "under its own, but distillation shows both the student's",
        )
    models.check_same_tokenizer(student.tokenizer, teacher.tokenizer, names)
    size = len(student.tokenizer.get_vocab())
    yield Finding("good", f"tokenizers: the same {size} tokens in student and teacher")


# Data.


def _training_data(recipe: Recipe, problems: Sequence[Problem]) -> Iterator[Finding]:
    yield Finding("good", f"training data: {len(problems)} problems")
    if recipe.attribute.reference != "gold":
        return
    bare = sum(not problem.solution for problem in problems)
    if bare == len(problems):
        yield Finding(
            "bad",
            "training data: no problem has a solution, which attribute.reference: gold needs; name "
            "its column in data.columns.solution, or set attribute.reference: teacher",
        )
    elif bare:
        yield Finding(
            "warn",
            f"training data: {bare} of {len(problems)} problems have no solution and are left out "
            "of detection and training (attribute.reference: gold)",
        )


def _lengths(
    label: str,
    problems: Sequence[Problem],
    recipe: Recipe,
    chats: dict[str, tuple[_Model, Chat]],
) -> Iterator[Finding]:
    """Hold prompts, and prompts with the longest answer, against each model's context."""
    room = recipe.generate.max_new_tokens
    for role, (model, chat) in chats.items():
        lengths = [len(chat.prompt_ids(problem.content)) for problem in problems]
        longest = f"{label}: longest prompt for the {role} {max(lengths)} tokens"
        lost = sum(length >= model.context for length in lengths)
        short = sum(length + room > model.context for length in lengths) - lost
        if lost or short:
            yield Finding(
                "warn",
                f"{longest}, context {model.context}: {lost} of {len(problems)} prompts do not fit "
                f"and count as not gradable, {short} leave less than {room} tokens for the answer",
            )
        else:
            yield Finding("good", f"{longest}, with {room} for the answer within {model.context}")


def _cutoff(recipe: Recipe, problems: Sequence[Problem], chat: Chat) -> Iterator[Finding]:
    """Count training rows beyond the cutoff; a teacher's responses are not known before the run."""
    cutoff = recipe.distill.cutoff
    gold = recipe.attribute.reference == "gold"
    rows = [problem for problem in problems if problem.solution or not gold]
    if not rows:
        return
    responses = [problem.solution if gold else "" for problem in rows]
    lengths = [
        len(chat.conversation(problem.content, response).ids)
        for problem, response in zip(rows, responses, strict=True)
    ]
    longer = sum(length > cutoff for length in lengths)
    what = "rows" if gold else "rows without their response (the teacher writes it)"
    text = f"training {what}: longest {max(lengths)} tokens, distill.cutoff {cutoff}"
    if longer:
        yield Finding("warn", f"{text}: {longer} of {len(rows)} are longer and left out")
    else:
        yield Finding("good", f"{text}: none is longer")


def _benchmark(name: str, test: Sequence[Problem], train: Sequence[Problem]) -> Finding:
    known = {problem.question for problem in train}
    shared = sum(problem.question in known for problem in test)
    text = f"benchmark {name}: {len(test)} problems"
    if shared:
        return Finding("warn", f"{text}, {shared} of them are in the training data word for word")
    return Finding("good", f"{text}, none of them in the training data word for word")


# The machine.


def _memory(recipe: Recipe, student: _Model, teacher: _Model) -> Iterator[Finding]:
    tokens = recipe.generate.token_budget
    for model in (student, teacher):
        cache = model.cache_bytes * tokens
        yield _memory_for(
            f"{model.role} answering", model.weights, cache, f"a cache of {tokens} tokens"
        )
    masters = student.parameters * _MASTER_BYTES
    training = masters + teacher.weights
    yield _memory_for("training", training, training // 10, "activations")


def _memory_for(what: str, fixed: int, extra: int, extra_name: str) -> Finding:
    """Hold what must fit (`fixed`) and what shrinks with the batch (`extra`) against memory."""
    device = models.best_device()
    total, free = _memory_of(device)
    text = f"memory, {what}: about {_size(fixed)}, and {_size(extra)} for {extra_name}"
    if fixed > total:
        return Finding("bad", f"{text}; {device} has {_size(total)}: take smaller models")
    if fixed + extra > free:
        return Finding("warn", f"{text}; only {_size(free)} of {_size(total)} are free on {device}")
    return Finding("good", f"{text}; {_size(free)} are free on {device}")


def _memory_of(device: torch.device) -> tuple[int, int]:
    """Return total and free bytes where models live."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total, free
    memory = psutil.virtual_memory()
    return memory.total, memory.available


def _disk(recipe: Recipe, student: _Model) -> Finding:
    """Hold checkpoints and students against the free space of the current folder."""
    here = Path.cwd()
    saved = models.DTYPES.get(recipe.distill.save_dtype) or _own_dtype(student.config)
    # While a checkpoint is written, the one before it is still there.
    need = student.parameters * (2 * _CHECKPOINT_BYTES + 2 * saved.itemsize)
    free = shutil.disk_usage(here).free
    text = f"disk: about {_size(need)} for checkpoints and two students"
    if need > free:
        return Finding("bad", f"{text}, but {here} has {_size(free)} free: name another --out")
    return Finding("good", f"{text}, of {_size(free)} free in {here}")


def _own_dtype(config: Any) -> torch.dtype:
    return config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.0f} M" if parameters >= 10**6 else str(parameters)


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
