"""Tasks: where problems come from. One file a data set, one line in `TASKS`."""

import inspect
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from leaf.errors import DataError, nearest
from leaf.recipe import DataSection, name_and_options
from leaf.records import Problem
from leaf.tasks.acecode import acecode
from leaf.tasks.aime import aime
from leaf.tasks.gsm8k import gsm8k
from leaf.tasks.gsm_ic import gsm_ic
from leaf.tasks.hotpotqa import hotpotqa
from leaf.tasks.humaneval import humaneval, humaneval_plus
from leaf.tasks.leetcode import leetcode
from leaf.tasks.livecodebench import livecodebench
from leaf.tasks.math import math, math500
from leaf.tasks.mbpp import mbpp, mbpp_plus
from leaf.tasks.musique import musique
from leaf.tasks.nq import nq
from leaf.tasks.numina_math import numina_math
from leaf.tasks.olympiadbench import olympiadbench
from leaf.tasks.paraphrase import paraphrase
from leaf.tasks.playground import playground
from leaf.tasks.popqa import popqa
from leaf.tasks.squad2 import squad2
from leaf.tasks.svamp import svamp
from leaf.tasks.table import table
from leaf.tasks.two_wiki import two_wiki

Task = Callable[[DataSection], list[Problem | DataError]]
"""Reads all problems of a data set in file order, with the task's own `grader` and `after`.

A record that cannot be read stands in the list as the error that names it."""

TASKS: dict[str, Task] = {
    "2wiki": two_wiki,
    "acecode": acecode,
    "aime": aime,
    "gsm8k": gsm8k,
    "gsm_ic": gsm_ic,
    "hotpotqa": hotpotqa,
    "humaneval": humaneval,
    "humaneval_plus": humaneval_plus,
    "leetcode": leetcode,
    "livecodebench": livecodebench,
    "math": math,
    "math500": math500,
    "mbpp": mbpp,
    "mbpp_plus": mbpp_plus,
    "musique": musique,
    "nq": nq,
    "numina_math": numina_math,
    "olympiadbench": olympiadbench,
    "playground": playground,
    "popqa": popqa,
    "squad2": squad2,
    "svamp": svamp,
    "table": table,
}


EVALUATION_SPLITS = {
    "2wiki": "validation",
    "aime": "train",
    "hotpotqa": "validation",
    "musique": "validation",
    "nq": "train",
    "numina_math": "test",
    "olympiadbench": "train",
    "squad2": "validation",
}
"""The split of a task's hub data set that models are scored on, where that is not `test`."""


def about() -> dict[str, Any]:
    """Return what each task is, in one line; in alphabetical order."""
    found = {}
    for name, task in sorted(TASKS.items()):
        text = inspect.getdoc(inspect.getmodule(task)) or ""
        found[name] = " ".join(text.partition("\n\n")[0].split()).rstrip(".")
    return found


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
    found = TASKS[section.task](section)
    refused = [one for one in found if isinstance(one, DataError)]
    problems = [one for one in found if isinstance(one, Problem)]
    if refused and not problems:
        raise refused[0]
    if not problems:
        raise DataError(f"{section.path or section.task}: no record is left of those asked for")
    _refuse_duplicates(problems, section)
    if section.shuffle:
        random.Random(section.seed).shuffle(problems)
    choices = _choices(section)
    chosen = [replace(problem, **choices) for problem in problems[: section.limit]]
    if section.paraphrase is not None:
        chosen, lost = paraphrase(chosen, section.paraphrase)
        refused += lost
    return chosen, refused


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
