"""What tasks that ask for a program share: the request, the reference as a model would say it."""

import ast
import datetime
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Protected
from leaf.tasks.reading import Row

REQUEST = (
    "Please provide a self-contained Python script that solves the following problem in a markdown"
    " code block:\n```\n"
)
"""Before a function's problem: with `REQUEST_END`, what EvalPlus asks chat models."""

REQUEST_END = "\n```\n"

CONTEST = (
    "You are an expert Python programmer. You will be given a question (problem specification) and"
    " will generate a correct Python program that matches the specification and passes all tests."
    "\n\n### Question:\n"
)
"""Before a problem of a contest: with `contest_end`, what LiveCodeBench asks chat models."""

_CONTEST_ANSWER = "\n```\n\n### Answer: (use the provided format with backticks)\n\n"


def contest_end(starter: str) -> str:
    """Return what follows the problem of a contest.

    Args:
        starter: The class to complete; "" asks for a program that reads standard input.
    """
    if starter:
        return (
            "\n\n### Format: You will use the following starter code to write the solution to the"
            " problem and enclose your code within delimiters.\n```python\n"
            f"{starter.rstrip()}{_CONTEST_ANSWER}"
        )
    return (
        "\n\n### Format: Read the inputs from stdin solve the problem and write the answer to"
        " stdout (do not directly test on the sample inputs). Enclose your code within delimiters"
        " as follows. Ensure that when the python program runs, it reads the inputs, runs the"
        " algorithm and writes output to STDOUT.\n```python\n# YOUR CODE HERE"
        f"{_CONTEST_ANSWER}"
    )


def as_answer(code: str) -> str:
    """Return a program as a chat model would say it: in a block; "" where there is none."""
    plain = textwrap.dedent(unix(code)).strip()
    return f"```python\n{plain}\n```" if plain else ""


def unix(text: str) -> str:
    """Return a text with plain line ends: some records have those of Windows."""
    return text.replace("\r\n", "\n")


def program_of(row: Row, column: str) -> str:
    """Return a column that holds the Python that judges a program (not parsed: it may be long).

    Raises:
        DataError: it is missing or empty.
    """
    code = row.values.get(column)
    if not isinstance(code, str) or not code.strip():
        raise DataError(f"{row.place}: column `{column}` is empty: a program needs tests")
    return unix(code).strip("\n")


def lines_of(row: Row, column: str) -> list[str]:
    """Return a column that holds a list of texts, such as assertions; [] where it is empty.

    Raises:
        DataError: it is missing or something else.
    """
    lines = row.values.get(column)
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise DataError(
            f"{row.place}: column `{column}` must hold a list of texts, but is {lines!r:.60}"
        )
    return [unix(line).strip() for line in lines if line.strip()]


def assertions_of(row: Row, column: str) -> list[str]:
    """Return a column that holds the list of assertions that judge a program.

    Raises:
        DataError: there are none, or they are not Python.
    """
    lines = lines_of(row, column)
    if not lines:
        raise DataError(f"{row.place}: column `{column}` is empty: a program needs tests")
    parsed("\n".join(lines), f"{row.place}: column `{column}`")
    return lines


def called_by(assertions: Sequence[str], code: str, place: str) -> str:
    """Return the name that assertions call most often: the entry point.

    Args:
        assertions: Python.
        code: The reference program, whose names alone count; "" where there is none: all but
            Python's own then.
        place: For the error.

    Raises:
        DataError: no name is called.
    """
    defined = {
        node.name
        for node in parsed(code, f"{place}: the reference program").body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    calls = Counter(
        node.func.id
        for node in ast.walk(parsed("\n".join(assertions), f"{place}: the tests"))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    names = [
        name
        for name, _count in calls.most_common()
        if name in defined or (not defined and name not in _PYTHONS_OWN)
    ]
    if not names:
        raise DataError(f"{place}: its tests call no function that a program could define")
    return names[0]


def parsed(code: str, what: str) -> ast.Module:
    """Parse Python of the data set, never of a model: a crafted text can be slow or fill memory.

    Raises:
        DataError: it is not Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes such as "\d" are the data set's
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{what} is not Python: {str(error).splitlines()[0]}") from None


def names_in(text: str, name: str, start: int = 0) -> tuple[Protected, ...]:
    """Return the places from `start` on where a text says the entry point's name."""
    found = re.compile(rf"\b{re.escape(name)}\b").finditer(text, start)
    return tuple(Protected(what="entry point", start=at.start(), end=at.end()) for at in found)


def is_published(section: DataSection, found: Any, place: str) -> bool:
    """Whether a record was published within `section.since` (included) and `before_date` (not).

    Args:
        section: With both null everything is.
        found: `2024-08-01`, with or without a time of day; or seconds since 1970, UTC.
        place: For the error.

    Raises:
        DataError: a date of the section, or the record's, cannot be read.
    """
    if section.since is None and section.before_date is None:
        return True
    try:
        if isinstance(found, int):
            day = datetime.datetime.fromtimestamp(found, datetime.UTC).date()
        else:
            day = datetime.datetime.fromisoformat(found).date()
    except (TypeError, ValueError, OverflowError, OSError):
        raise DataError(
            f"{place}: has no readable date ({found!r:.30}), so `since` and `before_date` cannot"
            " be kept; leave them out"
        ) from None
    since = _day(section.since, "since") or datetime.date.min
    before = _day(section.before_date, "before_date")
    return since <= day and (before is None or day < before)


def _day(text: str | None, key: str) -> datetime.date | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise DataError(f"data.{key} must be a day such as 2024-08-01, but is {text!r}") from None


_PYTHONS_OWN = frozenset(dir(__import__("builtins"))) | {"isclose", "Counter", "deque", "math"}
"""What an assertion may call besides the entry point."""
