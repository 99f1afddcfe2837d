"""What is wrong with a recipe, in people's words: the key, the value, what is allowed there."""

import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from leaf.errors import nearest
from leaf.recipe import Choice, Section, choice_of

_FAULTS = 10
"""Most faults of a recipe that are told at a time."""


def explain(error: ValidationError, source: str, root: type[Section]) -> str:
    """Return the faults of a recipe, one a line."""
    # The key that is unknown explains a required one that is missing.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    lines = [f"{source}: {_fault(fault, root)}" for fault in faults[:_FAULTS]]
    more = len(faults) - _FAULTS
    return "\n".join(lines) + (f" (and {more} more)" if more > 0 else "")


def _fault(fault: ErrorDetails, root: type[Section]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(fault["loc"], root)
        return f"unknown key `{key}`{nearest_of(str(fault['loc'][-1]), known)}"
    if fault["type"] == "missing":
        return f"`{key}` is required"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    rule = re.sub(" after validation.*|valid ", "", fault["msg"])
    rule = rule.replace("Input should be", "must be").replace("List should", "must")
    rule = re.sub("a dictionary or instance of .*", "a mapping of its keys", rule)
    return f"`{key}` {rule}, but is {fault['input']!r}".removeprefix("`` ")


def _keys_beside(location: tuple[int | str, ...], section: type[Section]) -> list[str]:
    """Return the keys that are allowed where `location` points, from a section on."""
    choice: Choice | None = None
    for part in location[:-1]:
        if isinstance(part, int):
            continue  # of a list
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if choice is not None:
            section, choice = choice.options(str(part)), None
        elif part in fields:
            field = fields[str(part)]
            choice = choice_of(field.annotation)
            section = section_of(field.annotation) or section
        else:
            section = section.inner_section(str(part)) or section
    return section.known_keys()


def section_of(annotation: Any) -> type[Section] | None:
    """Return the section that a field holds, alone or as the values of a mapping; else None."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if isinstance(annotation, types.GenericAlias):
        return section_of(typing.get_args(annotation)[-1])
    return None


def nearest_of(word: str, known: Sequence[str]) -> str:
    """Return what to write instead of an unknown word: the nearest known one, else all."""
    return nearest(word, known) or f"; known here: {', '.join(known)}"
