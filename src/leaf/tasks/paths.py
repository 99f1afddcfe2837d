"""Finds a value inside a record by a column's name or a path: `answers.text`, `turns[0].value`."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from leaf.errors import DataError, nearest

_NUMBER = re.compile(r"\[(-?\d+)\]")
_INDEX = re.compile(r"-?\d+")


def value_at(values: Mapping[str, Any], path: str, place: str) -> Any:
    """Return a column, or what a path leads to, from a record.

    A step is a key, or the number (from 0, or from the end as -1) of a list's item; a key on a list
    takes it of every item. JSON in a text is read on the way.

        {"answers": [{"text": "4"}, {"text": "four"}]}    answers.text -> ["4", "four"]

    Raises:
        DataError: there is no such column, key or item; names what there is.
    """
    if path in values:
        return values[path]
    value: Any = values
    steps = _NUMBER.sub(r".\1", path).split(".")
    for done, step in enumerate(steps):
        try:
            value = _step(value, step)
        except (KeyError, IndexError, TypeError):
            raise DataError(_missing(place, steps[:done], step, value)) from None
    return value


def decoded(value: Any) -> Any:
    """Return what the JSON in a text says where it is an object or a list; all else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _step(value: Any, step: str) -> Any:
    value = decoded(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value[int(step)] if _INDEX.fullmatch(step) else [_step(one, step) for one in value]
    if isinstance(value, Mapping):
        return value[step]
    raise TypeError


def _missing(place: str, before: Sequence[str], step: str, value: Any) -> str:
    if not before and isinstance(value, Mapping):
        known = ", ".join(value) or "none"
        return f"{place}: no column `{step}`{nearest(step, value) or ';'} this record has: {known}"
    value = decoded(value)
    has = ", ".join(map(str, value)) if isinstance(value, Mapping) else f"{value!r:.60}"
    return f"{place}: no `{step}` in `{'.'.join(before)}`, which has: {has or 'nothing'}"
