"""Tasks: where problems come from. One file each, beside this one."""

import hashlib
import inspect
import json
import pkgutil
import random
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from leaf.errors import DataError, nearest
from leaf.recipe import DataSection, name_and_options
from leaf.records import Problem
from leaf.tasks.paraphrase import paraphrase
from leaf.tasks.shots import with_shots
from leaf.tasks.task import EVALUATION_SPLITS, TASKS, Task

# The modules beside this one are the tasks, so that a new one is its file alone.
for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
_tasks = sorted(TASKS.items())
TASKS.clear()
TASKS.update(_tasks)

__all__ = ["EVALUATION_SPLITS", "TASKS", "Task", "about", "load_problems", "read_problems"]


def about() -> dict[str, Any]:
    """Return what each task is, in one line; in alphabetical order."""
    lines = {}
    for name, task in sorted(TASKS.items()):
        text = inspect.getdoc(inspect.getmodule(task)) or ""
        lines[name] = " ".join(text.partition("\n\n")[0].split()).rstrip(".")
    return lines


def load_problems(section: DataSection) -> list[Problem]:
    """Read problems as `read_problems` does, where no record may be bad.

    Raises:
        DataError: besides what that raises, the first record that cannot be read.
    """
    problems, refused = read_problems(section)
    if refused:
        raise refused[0]
    return problems


def read_problems(section: DataSection) -> tuple[list[Problem], list[DataError]]:
    """Read the problems that a recipe's `data` section asks for, and the records that are bad.

    The section's `grader`, `before` and `after` replace the task's own; `shuffle` orders by `seed`
    before `limit` takes the first ones. A limit beyond what there is takes all. `paraphrase` comes
    last: what has no paraphrase stands among the bad ones.

    Raises:
        DataError: an unknown task, data that cannot be read, no good record, or two with one id.
    """
    if section.task not in TASKS:
        raise DataError(
            f"task `{section.task}` is unknown{nearest(section.task, TASKS) or ';'} "
            f"there are: {', '.join(TASKS)}"
        )
    records = TASKS[section.task](section)
    refused = [record for record in records if isinstance(record, DataError)]
    problems = [record for record in records if isinstance(record, Problem)]
    if refused and not problems:
        raise refused[0]
    if not problems:
        raise DataError(f"{section.path or section.task}: no record is left of those asked for")
    _refuse_duplicates(problems, section)
    if section.part is not None:
        problems = _part(problems, section)
    if section.shuffle:
        random.Random(section.seed).shuffle(problems)
    choices = _choices(section)
    chosen = [replace(problem, **choices) for problem in problems[: section.limit]]
    if section.shots is not None:
        chosen = with_shots(chosen, section.shots, section, lambda own: read_problems(own)[0])
    if section.paraphrase is not None:
        chosen, lost = paraphrase(chosen, section.paraphrase)
        refused += lost
    return chosen, refused


def _part(problems: Sequence[Problem], section: DataSection) -> list[Problem]:
    """Return the problems whose question falls into `section.part`: the same in every run.

    A question's place is its hash in [0, 1), so that two records of one question stay together.
    """
    low, high = section.part or (0.0, 1.0)

    def place(problem: Problem) -> float:
        text = "".join(problem.question[problem.asked].split()).casefold()
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32

    kept = [problem for problem in problems if low <= place(problem) < high]
    if not kept:
        raise DataError(
            f"{section.path or section.task}: no question falls into data.part {section.part}"
        )
    return kept


def _refuse_duplicates(problems: Sequence[Problem], section: DataSection) -> None:
    first_seen: dict[str, int] = {}
    for number, problem in enumerate(problems, start=1):
        if problem.id in first_seen:
            raise DataError(
                f"{section.path or section.task}: records {first_seen[problem.id]} and {number} "
                f"both have the id `{problem.id}`; ids must be unique, or leave `columns.id` out"
            )
        first_seen[problem.id] = number


def _choices(section: DataSection) -> dict[str, Any]:
    """Return what the section sets of every problem."""
    chosen: dict[str, Any] = {
        name: value
        for name, value in (("before", section.before), ("after", section.after))
        if value is not None
    }
    if section.grader is not None:
        chosen["grader"], options = name_and_options(section.grader)
        chosen["grader_options"] = json.dumps(options, sort_keys=True) if options else ""
    return chosen
