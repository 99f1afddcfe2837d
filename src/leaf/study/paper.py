"""The paper's Tables 1 to 9, and in what a recipe differs from their setting.

The values stand in `paper.yaml` as they are printed. Figures 1, 7 to 10 and 13 of the paper have no
printed values, so there is nothing of theirs to show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from leaf.recipe import BenchmarkSection, Recipe
from leaf.recipe.reading import describe
from leaf.study.finding import Row, Table, Unit
from leaf.tasks import EVALUATION_SPLITS

AVERAGE = "average"
"""The column over all benchmarks of a table; in ours the row over all those of a recipe."""

_UNITS: dict[str, tuple[Unit, float]] = {
    "percent": ("share", 0.01),
    "hours": ("seconds", 3600.0),
    "count": ("count", 1.0),
    "tokens": ("tokens", 1.0),
}
"""Unit as printed to unit of a `Table`, and what a printed value is multiplied by."""

_OF_BENCHMARKS = ("1 math", "1 code", "2", "3", "5", "6")
"""Tables whose columns are benchmarks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperTable:
    """One table of the paper, or one part of it."""

    name: str
    """As in `paper.yaml`: the number, and the part where it has several."""
    place: str
    title: str
    corpus: Mapping[str, Any]
    """What the students were trained on: `says`, `task` (None: no task holds it), `problems`."""
    headings: Mapping[str, str]
    """Column to its heading; columns of benchmarks are named by task and measure."""
    units: Mapping[str, Unit]
    """Column to the unit of its values."""
    paraphrased: bool
    """Whether the benchmarks' questions are in other words."""
    students: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Student to row to column to value, in the column's unit."""

    @property
    def tasks(self) -> dict[str, str]:
        """Tasks of the columns that are benchmarks, and their headings without the measure."""
        columns = [column for column in self.headings if column != AVERAGE]
        names = {column.split()[0]: self.headings[column].split()[0] for column in columns}
        return names if self.name in _OF_BENCHMARKS else {}


@cache
def paper_table(name: str) -> PaperTable:
    """Return a table by its name in `paper.yaml`, such as `3` or `1 math`.

    Raises:
        KeyError: there is no such table.
    """
    values = _paper()
    one = values["tables"][name]
    columns = list(one["columns"])
    printed = dict(zip(columns, one.get("units", ["percent"] * len(columns)), strict=True))
    return PaperTable(
        name=name,
        place=one["place"],
        title=one["title"],
        corpus=values["corpora"][one["corpus"]],
        headings=one["columns"],
        paraphrased=one.get("paraphrased", False),
        units={column: _UNITS[unit][0] for column, unit in printed.items()},
        students={
            student: {
                row: {
                    column: converted(value, printed[column])
                    for column, value in zip(columns, found, strict=True)
                }
                for row, found in rows.items()
            }
            for student, rows in one["students"].items()
        },
    )


def converted(value: float, unit: str) -> float:
    """Return a printed value in the unit of a `Table`: percent as a share, hours as seconds."""
    return round(value * _UNITS[unit][1], 6)


def printed_table(name: str) -> Table:
    """Return a table of the paper as a finding shows it, for every student of the paper."""
    one = paper_table(name)
    rows = [
        Row(
            labels={"student": student, "row": row},
            cells={one.headings[column]: value for column, value in found.items()},
        )
        for student, of_student in one.students.items()
        for row, found in of_student.items()
    ]
    return Table(
        title=f"{one.place}: {one.title}",
        columns={one.headings[column]: unit for column, unit in one.units.items()},
        rows=tuple(rows),
    )


def of_student(recipe: Recipe, name: str) -> Mapping[str, Mapping[str, float]]:
    """Return the table's rows for the recipe's student; nothing where the paper has another way."""
    return {} if recipe.alone else _of_model(recipe.student.model, name)


def beside(recipe: Recipe, name: str, row: str, label: str) -> float | None:
    """Return the paper's value of a benchmark where student and benchmark are the paper's.

    The row `teacher` goes by the recipe's teacher.

    Args:
        recipe: Names the student and the benchmarks.
        name: The table.
        row: Its row, such as `kd`.
        label: A benchmark with its measure, as in `Results.estimates`; or `AVERAGE`: there is a
            value only if the recipe has all benchmarks of the table and no other.
    """
    if recipe.alone:
        # The paper has a teacher everywhere.
        return None
    model = recipe.teacher.model if row == "teacher" else recipe.student.model
    found = _of_model(model, name).get(row, {})
    one = paper_table(name)
    if label != AVERAGE:
        return found.get(_columns(recipe, one).get(label, ""))
    sections = recipe.evaluate.benchmarks
    same = _same_benchmarks(recipe, one)
    whole = {section.task for section in same.values()} == set(one.tasks)
    return found.get(AVERAGE) if whole and len(same) == len(sections) else None


def nearest_table(recipe: Recipe, *names: str) -> str:
    """Return which of some tables has most benchmarks in common with a recipe; else the first."""
    return max(names, key=lambda name: len(_same_benchmarks(recipe, paper_table(name))))


def shown(recipe: Recipe, name: str) -> tuple[Table, ...]:
    """Return a table as the paper prints it, where the recipe has one of its benchmarks."""
    return (printed_table(name),) if _same_benchmarks(recipe, paper_table(name)) else ()


def differs(
    recipe: Recipe, name: str, *, swept: Sequence[str] = (), trains: bool = True
) -> tuple[str, ...]:
    """Say in what a recipe differs from the setting of a table, one sentence each.

    Args:
        recipe: What is compared.
        name: The table.
        swept: Keys that the study itself changes.
        trains: Whether the study's numbers depend on how students are trained.
    """
    one = paper_table(name)
    lines = [*_models(recipe, one), *_data(recipe, one)]
    if one.tasks:
        lines += _benchmarks(recipe, one)
    return (*lines, *_settings(recipe, swept, trains=trains))


def last_part(model: str) -> str:
    """Return a model's name without its owner or folder, in small letters."""
    return model.rstrip("/").rpartition("/")[2].lower()


@cache
def _paper() -> dict[str, Any]:
    text = files("leaf.study").joinpath("paper.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def _of_model(model: str, name: str) -> Mapping[str, Mapping[str, float]]:
    for student, rows in paper_table(name).students.items():
        if student.lower() == last_part(model):
            return rows
    return {}


def _columns(recipe: Recipe, one: PaperTable) -> dict[str, str]:
    """Return label of a result to the table's column."""
    found = {}
    for name, section in _same_benchmarks(recipe, one).items():
        for column in one.headings:
            task, _, measure = column.partition(" ")
            if task == section.task:
                found[f"{name} {measure}".rstrip()] = column
    return found


def _same_benchmarks(recipe: Recipe, one: PaperTable) -> dict[str, BenchmarkSection]:
    """Return the recipe's benchmarks that are a table's: same task, part and wording."""
    return {
        name: section
        for name, section in recipe.evaluate.benchmarks.items()
        if section.task in one.tasks and _same_questions(section, one)
    }


def _same_questions(section: BenchmarkSection, one: PaperTable) -> bool:
    if (section.paraphrase is not None) != one.paraphrased:
        return False
    split = EVALUATION_SPLITS.get(section.task, "test")
    # gsm8k alone has another part as its own; a file is taken at its word.
    by_itself = section.split is None and section.task != "gsm8k"
    return by_itself or section.split == split or section.path is not None


def _models(recipe: Recipe, one: PaperTable) -> list[str]:
    teachers: dict[str, str] = _paper()["teachers"]
    lines = []
    students = [student for student in one.students if student in teachers]
    known = {student.lower(): student for student in students}
    student = known.get(last_part(recipe.student.model))
    if student is None:
        lines.append(f"The student is {recipe.student.model}; the paper's: {', '.join(students)}.")
    wanted = list(dict.fromkeys([teachers[student]] if student else teachers.values()))
    if recipe.alone:
        lines.append(f"There is no teacher; the paper's: {', '.join(wanted)}.")
    elif last_part(recipe.teacher.model) not in [teacher.lower() for teacher in wanted]:
        lines.append(f"The teacher is {recipe.teacher.model}; the paper's: {', '.join(wanted)}.")
    return lines


def _data(recipe: Recipe, one: PaperTable) -> list[str]:
    count = _asked_for(recipe)
    if recipe.data.task == one.corpus["task"] and count == one.corpus["problems"]:
        return []
    of = recipe.data.path or recipe.data.task
    mine = f"all problems of {of}" if count is None else f"at most {count} problems of {of}"
    return [f"Training is on {mine}; the paper's students learned from {one.corpus['says']}."]


def _asked_for(recipe: Recipe) -> int | None:
    """Return how many training problems a recipe asks for; None: all that there are."""
    data = recipe.data
    if data.limit is not None:
        return data.limit
    if data.task == "playground":
        return data.world.size
    if data.sources and data.per_source:
        return len(data.sources) * data.per_source
    return None


def _benchmarks(recipe: Recipe, one: PaperTable) -> list[str]:
    sections = recipe.evaluate.benchmarks
    same = _same_benchmarks(recipe, one)
    lines = []
    there = {section.task for section in same.values()}
    missing = [heading for task, heading in one.tasks.items() if task not in there]
    if missing:
        lines.append(f"Benchmarks of the paper that the recipe lacks: {', '.join(missing)}.")
    if more := [name for name in sections if name not in same]:
        lines.append(f"Benchmarks that this table of the paper lacks: {', '.join(more)}.")
    if fewer := [f"{name} ({one.limit})" for name, one in same.items() if one.limit is not None]:
        lines.append(f"Not all questions of a benchmark: {', '.join(fewer)}.")
    return lines


def _settings(recipe: Recipe, swept: Sequence[str], *, trains: bool) -> list[str]:
    """Say which of the settings that the paper names are others here."""
    wanted: dict[str, Any] = {**(_paper()["training"] if trains else {}), **_paper()["detection"]}
    if trains and last_part(recipe.student.model).startswith("qwen"):
        wanted["distill.batch_size"] = 32
    mine = {key: value for key, value, _ in describe(recipe)}
    others = [
        f"{key} is {_plain(mine[key])} (paper: {_plain(value)})"
        for key, value in wanted.items()
        if key not in swept and mine[key] != value
    ]
    if trains and recipe.distill.max_steps is not None:
        others.append(f"distill.max_steps is {recipe.distill.max_steps} (paper: by epochs)")
    return [f"Settings: {'; '.join(others)}."] if others else []


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
