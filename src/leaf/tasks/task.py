"""What a task is: one file, one function that a decorator puts in the table."""

import functools
from collections.abc import Callable, Iterable

from leaf.errors import DataError
from leaf.recipe import BenchmarkSection, DataSection
from leaf.records import Problem
from leaf.tasks.passages import AFTER, Asked, passage_problems
from leaf.tasks.reading import Row, each, read_rows

Task = Callable[[DataSection], list[Problem | DataError]]
"""Reads all problems of a data set in file order, with the task's own `grader` and `after`.

A record that cannot be read stands in the list as the error that names it."""

TASKS: dict[str, Task] = {}
"""Every task by its name; those that ship stand in the modules beside this one."""

EVALUATION_SPLITS: dict[str, str] = {}
"""The split of a task's hub data set that models are scored on, where that is not `test`."""


def task(name: str, *, evaluation: str = "test") -> Callable[[Task], Task]:
    """Put what reads a whole data set in the table.

    Args:
        name: What a recipe calls it.
        evaluation: The split that models are scored on.
    """

    def register(read: Task) -> Task:
        TASKS[name] = read
        if evaluation != "test":
            EVALUATION_SPLITS[name] = evaluation
        return read

    return register


def record_task(
    name: str,
    hub: str,
    *,
    config: str | None = None,
    split: str = "train",
    evaluation: str = "test",
) -> Callable[[Callable[[Row], Problem | None]], Task]:
    """Make a task of a function from a record to its problem, and put it in the table.

    The function returns None for a record that is no part of the task, and raises `DataError` for a
    bad one.

    Args:
        name: What a recipe calls it.
        hub: Id of the data set that is read where a recipe names no `path`.
        config: Its configuration where a recipe names none.
        split: Its split where a recipe names none.
        evaluation: The split that models are scored on.
    """

    def register(make: Callable[[Row], Problem | None]) -> Task:
        @functools.wraps(make)
        def read(section: DataSection) -> list[Problem | DataError]:
            return each(rows_of(section, hub, config=config, split=split), make)

        return task(name, evaluation=evaluation)(read)

    return register


def passage_task(
    name: str,
    hub: str = "",
    *,
    needs: str = "",
    config: str | None = None,
    split: str = "train",
    evaluation: str = "test",
    flatten: Callable[[Row], Iterable[Row | DataError]] = lambda row: [row],
    after: str = AFTER,
) -> Callable[[Callable[[Row], Asked | None]], Task]:
    """Make a task of a function from a record to what it asks, as `record_task` does.

    Args:
        name: What a recipe calls it.
        hub: Id of the data set; "" where there is none.
        needs: What is said where there is none and a recipe names no `path`.
        config: Its configuration where a recipe names none.
        split: Its split where a recipe names none.
        evaluation: The split that models are scored on.
        flatten: Gives the questions of a record that holds several.
        after: The request.
    """

    def register(make: Callable[[Row], Asked | None]) -> Task:
        @functools.wraps(make)
        def read(section: DataSection) -> list[Problem | DataError]:
            if not hub and section.path is None:
                raise no_path(name, section, needs)
            flat: list[Row | DataError] = []
            for row in rows_of(section, hub, config=config, split=split):
                flat.extend(flatten(row) if isinstance(row, Row) else [row])
            return passage_problems(flat, section, name, make, after)

        return task(name, evaluation=evaluation)(read)

    return register


def key_of(section: DataSection) -> str:
    """Return the key of a recipe that a section is; a benchmark's name it does not know."""
    return "evaluate.benchmarks.NAME" if isinstance(section, BenchmarkSection) else "data"


def no_path(name: str, section: DataSection, needs: str) -> DataError:
    """Return the error of a task that has no data set of the hub, where a recipe has no path."""
    return DataError(f"task `{name}` needs `path` ({key_of(section)}.path): {needs}")


def rows_of(
    section: DataSection, hub: str, *, config: str | None = None, split: str = "train"
) -> list[Row | DataError]:
    """Read the records that a section asks for; see `record_task`."""
    return read_rows(
        section.path or hub,
        name=section.name or config,
        split=section.split or split,
        encoding=section.encoding,
    )
