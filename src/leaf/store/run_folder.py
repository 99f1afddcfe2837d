"""What a run folder keeps: the recipe, rows trained on, each test question's value, the report.

Rows and values are written from records alone, so that a resumed run writes the same bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from leaf.errors import UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.records import STORED_AS, Turn
from leaf.store.parquet import read_file, to_bytes
from leaf.store.store import write_whole

R = TypeVar("R")

MARK = ("leaf.file", "2")
"""Stands in the files' metadata; raised when a column changes its meaning."""

ROWS, VALUES = "rows.parquet", "values.parquet"
"""Names in the run folder; `ROWS` is there after verification, `VALUES` after evaluation."""


ALONE = "model"
"""The arm of a model that `leaf evaluate` scored."""


def rows_name(arm: str) -> str:
    """Name the file of an arm's training rows; those of plain distillation are among LeaF's."""
    return ROWS if arm in ("leaf", "kd") else f"rows-{arm}.parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRow:
    """One prompt with its response; plain distillation trains on the originals among LeaF's."""

    id: str
    """Of the problem, or of the changed question."""
    problem_id: str
    """The problem that it is of, or was made from."""
    strategy: str
    """How the changed question was made: `span`, `transplant` ...; "" of an original."""
    prompt: str
    """The whole user's message."""
    response_prefix: str = field(metadata={STORED_AS: "begun"})
    """How the response begins: context, not trained on; "" but at response level."""
    response: str
    """What is trained on."""
    held_out: bool
    """Whether it serves validation alone."""
    teacher_prompt: str = ""
    """The message that the teacher sees in its place; "" where it sees the same."""
    teacher_prefix: str = ""
    """How the response begins for the teacher; "" where it begins the same."""
    turns: tuple[Turn, ...] = ()
    """The conversation before the user's message."""
    response_tokens: int = 0
    """Tokens of `response` with the end of the turn; 0: written before they were counted."""
    weight: float = 1.0
    """What its tokens weigh beside those of other rows of its kind."""

    @property
    def kind(self) -> str:
        """`original` or `changed`."""
        return "changed" if self.strategy else "original"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionValue:
    """What one model scored on one test question."""

    benchmark: str
    """The benchmark, and the measure's name where it has several."""
    arm: str
    """`before`, `kd`, `leaf` or `teacher`; `model` of `leaf evaluate`."""
    problem_id: str
    question: str
    """A digest of what was asked and what is right: the same in two runs for the same question."""
    base: str
    """The base problem that it is a variant of, "" where it stands by itself."""
    value: float
    """In [0, 1]; of accuracy 0 or 1."""
    measure: str = ""
    """The measure's name, where `benchmark` holds one too."""
    text: str = ""
    """The question itself, by which others' runs know it; "" in files of before."""


def write_records(path: Path, records: Sequence[R], record_type: type[R]) -> None:
    """Write records as Parquet, whole or not at all.

    Raises:
        StoreError: no space is left.
    """
    write_whole(path, to_bytes(records, record_type, dict([MARK])))


def read_records(path: Path, record_type: type[R], way_out: str) -> list[R]:
    """Read what `write_records` wrote; `way_out` says how such a file is written again.

    Raises:
        UsageError: there is no such file, or another version of leaf wrote it.
        StoreError: it is damaged.
    """
    return list(read_file(path, record_type, mark=MARK, way_out=way_out))


def repeat(folder: Path) -> str:
    """Return the command that resumes a run, or writes its files again.

    It is the one that the report names; without a readable report, one for the recipe beside it.
    """
    try:
        command = json.loads((folder / "report.json").read_text(encoding="utf-8"))["command"]
    except (OSError, ValueError, KeyError, TypeError):
        command = None
    if isinstance(command, str):
        return command
    recipe = folder / "recipe.yaml"
    return f"leaf run {recipe if recipe.is_file() else 'RECIPE'} --out {folder}"


def _not_there(path: Path) -> UsageError:
    folder = path.parent
    if folder.is_file():
        return UsageError(f"{folder}: is a file; name the folder that `leaf run` wrote")
    return UsageError(f"{path}: not there; `{repeat(folder)}` writes it")


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of a run.

    Raises:
        UsageError: there is none.
        RecipeError: it is damaged, or of another version of leaf.
    """
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise _not_there(path)
    return load_recipe(str(path))


def report_of(folder: Path) -> dict[str, Any]:
    """Return what report.json holds, of whatever format.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / "report.json"
    if not path.is_file():
        raise _not_there(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        place, what = f"{path}:{error.lineno}", f"not JSON: {error.msg}"
    except UnicodeDecodeError as error:
        place, what = str(path), f"not JSON: byte {error.start} is not UTF-8 text"
    else:
        if isinstance(content, dict):
            return content
        place, what = str(path), f"not a report, but a {type(content).__name__}"
    raise UsageError(f"{place}: {what}; `{repeat(folder)}` writes it again")
