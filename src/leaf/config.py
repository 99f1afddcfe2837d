"""The recipe: one YAML file, checked strictly before anything loads.

`load_recipe` reads a shipped recipe by name or a file by path, follows `extends:`, applies `--set`
and returns a frozen `Recipe`. Every mistake is a `RecipeError` of one line that names the file, the
key, the value, what is allowed and the nearest right name.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leaf.errors import RecipeError


class _Loader(yaml.SafeLoader):
    """Reads `1e-5` as the number it is in YAML 1.2 (PyYAML's 1.1 rule takes it for text)."""


class _Dumper(yaml.SafeDumper):
    """Quotes a text that `_Loader` would read as a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """One part of a recipe: unknown keys and wrong types are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class ModelSection(Section):
    """A model and how it is loaded."""

    model: str = Field(description="hub id, local folder or GGUF file")
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="weights while answering and scoring; auto: bfloat16 where it is fast"
    )
    system: str | None = Field(
        None, description="system prompt; null leaves it to the model's own template"
    )


class ColumnsSection(Section):
    """Which column of your own records holds what."""

    question: str = Field("question", description="column with the question")
    answer: str = Field("answer", description="column with the final answer")
    solution: str | None = Field(None, description="column with a worked solution, if there is one")
    id: str | None = Field(None, description="column with a unique id; null numbers the records")


class DataSection(Section):
    """Where problems come from."""

    task: str = Field(description="gsm8k, or table for records of your own")
    path: str | None = Field(
        None, description="local .jsonl, .json or .parquet file, or a hub id; null: the task's own"
    )
    name: str | None = Field(None, description="configuration of a hub data set")
    split: str | None = Field(None, description="split of a hub data set; null: the task's own")
    columns: ColumnsSection = Field(ColumnsSection(), description="columns of a table")
    grader: Literal["numbers", "math"] | None = Field(
        None, description="how answers are judged; null: the task's own"
    )
    before: str | None = Field(None, description="text put before each question, never scored")
    after: str | None = Field(
        None, description="text put after each question, never scored; null: the task's own"
    )
    limit: Count | None = Field(None, description="how many problems; null takes all")
    shuffle: bool = Field(False, description="take the problems in a seeded random order")
    seed: int = Field(0, description="seed of that order")


class GenerateSection(Section):
    """How both models answer: greedily, under their own chat templates."""

    engine: Literal["hf"] = Field("hf", description="who generates")
    max_new_tokens: Count = Field(512, description="longest answer in tokens")
    token_budget: Count = Field(
        32768, description="most tokens (prompt and answer, padding included) in one batch"
    )
    max_batch: Count = Field(64, description="most problems in one batch")


class AttributeSection(Section):
    """Stage 1: who looks where."""

    detector: Literal["gradient"] = Field("gradient", description="how units are scored (Eq. 2)")
    reference: Literal["gold", "teacher"] = Field(
        "gold", description="response y: the data set's solution, or the teacher's right answer"
    )
    token_budget: Count = Field(8192, description="most tokens, padding included, in one batch")


class PruneSection(Section):
    """Stage 1: what is cut."""

    rule: Literal["value", "quantile"] = Field(
        "value", description="value: min-maxed gap <= threshold (Eq. 5); quantile: lowest share"
    )
    threshold: Share = Field(0.10, description="tau of Eq. 5, or the share of the quantile rule")
    strategy: Literal["span", "collective"] = Field(
        "span", description="one counterfactual a span, or one with every span removed"
    )
    bridge_whitespace: bool = Field(
        False, description="join two spans that only whitespace tokens separate"
    )


class VerifySection(Section):
    """Stage 1: which counterfactuals stay."""

    teacher: Literal["always", "if_student_right"] = Field(
        "always",
        description="ask the teacher about every pruned prompt, or only where the student is right"
        " (keeps the same counterfactuals for less)",
    )


class DistillSection(Section):
    """Stage 2: how the student learns."""

    lambda_: Share = Field(
        0.5, alias="lambda", description="weight of the original prompts; the rest is the pruned"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(1.0, description="softens both models")
    loss: Literal["kl"] = Field("kl", description="KL(teacher || student) over the vocabulary")
    batching: Literal["paired", "mixed"] = Field(
        "paired", description="each original beside its counterfactuals, or all shuffled"
    )
    student_wrong_originals: bool = Field(
        True, description="train on originals that the student got wrong (false: an ablation)"
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(1e-5, description="peak learning rate")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(5, description="linear warm-up, then cosine")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="of AdamW")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(1.0, description="gradient clipping")
    epochs: Count = Field(3, description="passes over the training rows")
    max_steps: Count | None = Field(None, description="optimiser steps; null: by epochs")
    batch_size: Count = Field(64, description="rows in one optimiser step")
    token_budget: Count = Field(
        8192, description="most tokens, padding included, in one forward pass"
    )
    cutoff: Count = Field(
        4096, description="longest row in tokens; longer ones are dropped, counted"
    )
    chunk_tokens: Count = Field(128, description="positions whose logits exist at the same time")
    compute_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="of forward and backward; master weights are always float32"
    )
    save_dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="of the saved student; auto: as the student came"
    )
    checkpoint_every: Count = Field(50, description="optimiser steps between checkpoints")
    seed: int = Field(0, description="order of the training rows")


class EvaluateSection(Section):
    """How the students are compared."""

    benchmarks: dict[str, DataSection] = Field(description="name: where its problems come from")
    teacher: bool = Field(False, description="evaluate the teacher as well")
    resamples: Annotated[int, Field(ge=100)] = Field(
        9999, description="bootstrap resamples of the paired difference"
    )
    seed: int = Field(0, description="seed of the bootstrap")


class GradeSection(Section):
    """How answers are judged."""

    time_limit: Annotated[float, Field(gt=0)] = Field(
        2.0, description="seconds for one symbolic comparison, then it counts as not gradable"
    )
    workers: Count = Field(2, description="processes that compare")


class StoreSection(Section):
    """How stage results are kept."""

    shard_size: Count = Field(64, description="problems in a shard; a kill costs at most one shard")


class Recipe(Section):
    """Everything that decides a run."""

    name: str = Field(description="name of the run folder")
    description: str = Field("", description="one sentence for people")
    student: ModelSection = Field(description="the model that learns")
    teacher: ModelSection = Field(description="the model it learns from")
    data: DataSection = Field(description="training problems")
    generate: GenerateSection = Field(GenerateSection(), description="answers")
    grade: GradeSection = Field(GradeSection(), description="grading")
    attribute: AttributeSection = Field(AttributeSection(), description="detection")
    prune: PruneSection = Field(PruneSection(), description="pruning")
    verify: VerifySection = Field(VerifySection(), description="verification")
    distill: DistillSection = Field(DistillSection(), description="distillation")
    evaluate: EvaluateSection = Field(description="evaluation")
    store: StoreSection = Field(StoreSection(), description="store")

    @model_validator(mode="after")
    def _teacher_may_be_enough_context(self) -> "Recipe":
        if self.generate.token_budget <= self.generate.max_new_tokens:
            raise ValueError(
                f"generate.token_budget ({self.generate.token_budget}) must exceed "
                f"generate.max_new_tokens ({self.generate.max_new_tokens})"
            )
        return self


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes, `paper/...` included, sorted."""
    return sorted(_shipped(resources.files("leaf") / "recipes", ""))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by shipped name or file path, apply `key=value` overrides and check it all.

    Raises:
        RecipeError: an unknown recipe, a file that is not YAML, or a key or value out of the rules.
    """
    values = _read(name_or_path, seen=())
    for override in overrides:
        _override(values, override)
    return check_recipe(values, source=name_or_path)


def check_recipe(values: Mapping[str, Any], *, source: str) -> Recipe:
    """Validate plain values into a `Recipe`; `source` is named in errors."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_explain(error, source)) from None


def dump_recipe(recipe: Recipe) -> str:
    """Write a resolved recipe as YAML that `load_recipe` reads back to the same recipe."""
    values = recipe.model_dump(by_alias=True)
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def describe(section: Section, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield `(dotted key, value, meaning)` for every leaf of a recipe, in reading order."""
    for name, field in type(section).model_fields.items():
        key = f"{prefix}{field.alias or name}"
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from describe(value, f"{key}.")
        elif isinstance(value, dict):
            for entry, part in value.items():
                yield from describe(part, f"{key}.{entry}.")
        else:
            yield key, value, field.description or ""


def _shipped(folder: Traversable, prefix: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _shipped(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            yield prefix + entry.name.removesuffix(".yaml")


def _read(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of one recipe file laid over those of the recipe it extends."""
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise RecipeError(f"{name_or_path}: no such recipe file")
        text, base, key = _text(path, name_or_path), path.parent, str(path.resolve())
    elif name_or_path in recipe_names():
        shipped = resources.files("leaf") / "recipes" / f"{name_or_path}.yaml"
        text, base, key = shipped.read_text(encoding="utf-8"), None, name_or_path
    else:
        raise RecipeError(
            f"{name_or_path}: no shipped recipe and no file has this name"
            f"{_nearest(name_or_path, recipe_names())}; `leaf recipes` lists the shipped ones"
        )
    if key in seen:
        raise RecipeError(f"{name_or_path}: `extends` goes round in a circle")
    values = _parse(text, name_or_path)
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise RecipeError(f"{name_or_path}: `extends` must name a recipe, but is {parent!r}")
    if base is not None and parent not in recipe_names():
        parent = str(base / parent)
    return _merge(_read(parent, (*seen, key)), values)


def _text(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{source}: not YAML: byte {error.start} is not UTF-8 text") from None


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        reason = getattr(error, "problem", None) or getattr(error, "reason", error)
        raise RecipeError(f"{place}: not YAML: {reason}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{source}: a recipe is a mapping of keys, but this is {values!r:.60}")
    return values


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`, mapping by mapping; `benchmarks` is replaced as a whole."""
    merged = dict(below)
    for key, value in above.items():
        if key != "benchmarks" and isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override}: must be key=value, as in --set prune.threshold=0.05")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError:
        value = text
    *parents, last = key.split(".")
    place = values
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {override}: `{parent}` is a value, it has no `{last}`")
        place = inner
    place[last] = value


def _explain(error: ValidationError, source: str) -> str:
    """Return the first fault of a recipe as one line, and how many more there are."""
    faults = error.errors()
    # The key that is unknown explains a required one that is missing.
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "extra_forbidden":
        known = _keys_beside(first["loc"])
        text = f"unknown key `{key}`{_nearest(str(first['loc'][-1]), known)}"
    elif first["type"] == "missing":
        text = f"`{key}` is required"
    elif first["type"] == "value_error":
        text = str(first["ctx"]["error"])
    else:
        hint = first["msg"].replace("Input should be", "must be").replace("valid ", "")
        text = f"`{key}` {hint}, but is {first['input']!r}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{source}: {text}{more}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are allowed where `location` points."""
    section: type[Section] = Recipe
    for part in location[:-1]:
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if part in fields:
            inner = _section_of(fields[str(part)].annotation)
            section = inner or section
    return [field.alias or name for name, field in section.model_fields.items()]


def _section_of(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if isinstance(annotation, types.GenericAlias):
        return _section_of(typing.get_args(annotation)[-1])
    return None


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}"
