"""Checks of the two models: files, templates, tokenizers. No weights are loaded."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from leaf.doctor.finding import Finding
from leaf.errors import ModelError
from leaf.models import load
from leaf.models.files import Source, find
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.models.vocabulary import check_tokenizers
from leaf.recipe import DistillSection, ModelSection, Recipe

_SAMPLE = "  How many are 2 + 3\u2220?\n"
"""A message whose borders a template may strip and whose symbol takes several bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """A model's files as they lie here; its weights are not loaded."""

    role: str
    section: ModelSection
    source: Source
    config: Any
    parameters: int
    dtype: torch.dtype

    @property
    def context(self) -> int:
        """Most tokens that it was made for, prompt and answer together."""
        return load.context_of(self.config)

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
        own = getattr(config, "per_layer_config", None)
        count = config.num_hidden_layers
        layers = [own[at] for at in range(count)] if own else [config] * count
        return sum(map(_kept_numbers, layers)) * self.dtype.itemsize


def _kept_numbers(layer: Any) -> int:
    """Return how many numbers a layer keeps of a token, by its own settings or the model's."""
    heads = getattr(layer, "num_attention_heads", None) or 0
    width = getattr(layer, "head_dim", None) or layer.hidden_size // max(heads, 1)
    return int(2 * (getattr(layer, "num_key_value_heads", None) or heads) * width)


def look(section: ModelSection, role: str) -> ModelFiles:
    """Find a model and read its configuration and the headers of its weights."""
    source = find(section)
    return ModelFiles(
        role=role,
        section=section,
        source=source,
        config=load.load_config(source),
        parameters=_count_parameters(source),
        dtype=load.resolve_dtype(section.dtype, load.best_device()),
    )


def describe(model: ModelFiles) -> Finding:
    """Say how large a model is."""
    return Finding(
        "good",
        f"{model.role} {model.section.model}: {load.size_text(model.parameters)} parameters, "
        f"context of {model.context} tokens, vocabulary of {model.vocabulary} entries",
    )


def open_chat(model: ModelFiles) -> PromptFormat:
    """Load a model's tokenizer and template; raises when a question cannot be located in it."""
    tokenizer = load.load_tokenizer(model.source)
    chat = prompt_format_of(tokenizer, model.section)
    chat.render(_SAMPLE)
    return chat


def check_template(model: ModelFiles, chat: PromptFormat) -> Finding:
    """Say whether there is a template, and the token that ends a response."""
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


def check_thinking(model: ModelFiles, chat: PromptFormat) -> Iterator[Finding]:
    """Say which arguments a template takes, and whether rows are what the model is asked."""
    template = chat.template
    if template.arguments:
        given = ", ".join(f"{name}: {value}" for name, value in template.given.items())
        yield Finding(
            "good",
            f"{model.role}: its chat template takes {', '.join(template.arguments)}; "
            f"{model.role}.template sets {given or 'none of them'}",
        )
    if chat.opening.strip() != chat.suffix.strip():
        yield Finding(
            "warn",
            f"{model.role}: its chat template asks with {chat.suffix!r} and writes a response "
            f"after {chat.opening!r}: so do scores and training rows, and answers do not"
            + _without_thoughts(model.role, chat),
        )


def _without_thoughts(role: str, chat: PromptFormat) -> str:
    """Return the way to answers without thoughts, where the template knows one."""
    switch = next((name for name in chat.template.arguments if "thinking" in name), None)
    return f"; with {role}.template: {{{switch}: false}} they are alike" if switch else ""


def _unlike(student: PromptFormat, teacher: PromptFormat) -> Iterator[Finding]:
    """Warn where one model thinks before it answers and the other does not."""
    if student.thinks == teacher.thinks:
        return
    roles = (("student", student), ("teacher", teacher))
    (who, chat), (other, _) = sorted(roles, key=lambda role: not role[1].thinks)
    yield Finding(
        "warn",
        f"templates: the {who} thinks before it answers, and the {other} does not: lengths, scores "
        "and responses differ for that alone" + _without_thoughts(who, chat),
    )


def describe_self(section: DistillSection) -> Finding:
    """Say who teaches where there is no teacher, and whether its weights are held twice."""
    if not section.needs_teacher:
        how = "cross-entropy on responses, so nobody is asked"
    elif section.tuning == "lora":
        how = "its adapters off, so its weights are held once"
    elif section.teacher == "online":
        how = "a frozen copy in memory (distill.teacher: hidden keeps what it says on disk)"
    else:
        how = "what it says is kept on disk"
    return Finding("good", f"teacher: self, the student as it was: {how}")


def check_vocabularies(student: ModelFiles, teacher: ModelFiles) -> Finding:
    """Compare the output heads, which may be padded beyond the tokenizer."""
    ours, theirs = student.vocabulary, teacher.vocabulary
    if ours == theirs:
        return Finding("good", f"vocabularies: {ours} entries in both output heads")
    return Finding(
        "good",
        f"vocabularies: {ours} entries (student) and {theirs} (teacher); distillation compares "
        f"the common {min(ours, theirs)}",
    )


def check_pair(recipe: Recipe, student: PromptFormat, teacher: PromptFormat) -> Iterator[Finding]:
    """Compare templates and tokenizers; raises when the recipe needs the same tokenizer."""
    line = check_tokenizers(student, teacher, recipe.distill)
    if (student.prefix, student.suffix) == (teacher.prefix, teacher.suffix):
        yield Finding("good", "templates: student and teacher put the same text around a question")
    else:
        yield Finding(
            "warn",
            "templates: student and teacher put different text around a question; each answers "
            "under its own" + (", but distillation shows both the student's" if not line else ""),
        )
    yield from _unlike(student, teacher)
    size = len(student.tokenizer.get_vocab())
    same = f"the same {size} tokens in student and teacher"
    yield Finding("good", f"tokenizers: {line or same}")


def _count_parameters(source: Source) -> int:
    """Count parameters from the headers of safetensors files; the numbers are not read."""
    index = source.folder / "model.safetensors.index.json"
    total = 0
    try:
        if index.is_file():
            files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        else:
            files = {path.name for path in source.folder.glob("*.safetensors")}
        for name in sorted(files):
            with safe_open(source.folder / name, framework="pt") as tensors:
                shapes = [tensors.get_slice(key).get_shape() for key in tensors.keys()]  # noqa: SIM118
            total += sum(math.prod(shape) for shape in shapes)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"{source.name}: its weights cannot be read: {error}") from None
    return total
