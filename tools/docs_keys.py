"""Every key of a recipe with its values, its default, its limits and its meaning, from the code."""

import inspect
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo

from leaf.recipe import AttributeSection, Choice, OneOf, Recipe, Section, choice_of
from leaf.recipe.detectors import SHIPPED

Row = tuple[str, str, str, str]
"""Key, values that are allowed, default, meaning."""

_PLAIN = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Any: "value",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def sections() -> Iterator[tuple[str, str, list[Row]]]:
    """Yield the heading, what it is about and the keys of each section, in reading order."""
    top = [
        _row(name, field, "")
        for name, field in Recipe.model_fields.items()
        if _section_of(field.annotation) is None
    ]
    yield "## Top level", "", top
    seen: dict[type[Section], str] = {}
    for name, field in Recipe.model_fields.items():
        yield from _section(field.alias or name, field, 2, seen)


def _section(
    key: str, field: FieldInfo, level: int, seen: dict[type[Section], str]
) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield a section and those within it; one of a kind that was there refers to the first."""
    kind = _section_of(field.annotation)
    if kind is None:
        return
    if _is_mapping(field.annotation):
        key = f"{key}.NAME"
    heading = f"{'#' * level} {key}"
    about = inspect.getdoc(kind) or ""
    if kind in seen:
        yield heading, f"{about} The same keys as `{seen[kind]}`.", []
        return
    seen[kind] = key
    fields = kind.model_fields
    base = kind.__bases__[0]
    if base in seen:
        about += f" Every key of `{seen[base]}`, and these:"
        fields = {name: one for name, one in fields.items() if name not in base.model_fields}
    choices = {name: choice_of(one.annotation) for name, one in fields.items()}
    parts = {n: one for n, one in fields.items() if not choices[n] and _section_of(one.annotation)}
    rows = [_row(name, one, f"{key}.") for name, one in fields.items() if name not in parts]
    yield heading, about, rows
    for name, one in parts.items():
        yield from _section(f"{key}.{one.alias or name}", one, level + 1, seen)
    for name, choice in choices.items():
        if choice:
            yield from _options(choice, f"{key}.{name}", level + 1)


def _options(choice: Choice, key: str, level: int) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield a section for each name that takes options of its own."""
    for name in choice.names:
        options, place = choice.options(name), f"{key}.{name}"
        if options.model_fields:
            rows = [
                _row(option, field, f"{place}.") for option, field in options.model_fields.items()
            ]
            yield f"{'#' * level} {place}", inspect.getdoc(options) or "", rows


def _row(name: str, field: FieldInfo, prefix: str) -> Row:
    default = "required"
    if not field.is_required():
        default = f"`{json.dumps(field.default, ensure_ascii=False)}`"
    key = f"`{prefix}{field.alias or name}`"
    return key, values_of(field.annotation, field.metadata), default, field.description or ""


def values_of(annotation: Any, limits: Any = ()) -> str:
    """Return what a value may be, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner, *more = arguments
        found = [one.metadata if isinstance(one, FieldInfo) else [one] for one in more]
        return values_of(inner, [*limits, *(one for part in found for one in part)])
    for limit in limits:
        if isinstance(limit, OneOf | Choice):
            return ", ".join(f"`{name}`" for name in limit.names)
    if origin in {typing.Union, types.UnionType}:
        parts = [one for one in arguments if one is not type(None)]
        null = ["`null`"] * (len(parts) < len(arguments))
        return " or ".join([*(values_of(one, limits) for one in parts), *null])
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in {list, dict}:
        few = any(isinstance(one, annotated_types.MinLen) for one in limits)
        what = "list of" if origin is list else "mapping of names, each to a"
        return f"{what} {values_of(arguments[-1])}" + " (at least one)" * few
    return _PLAIN.get(annotation, "mapping of keys") + _bounded(limits)


def _bounded(limits: Any) -> str:
    found = [
        f"{words} {getattr(limit, name):g}"
        for limit in limits
        for name, words in _BOUNDS.items()
        if getattr(limit, name, None) is not None
    ]
    return f", {', '.join(found)}" if found else ""


def _section_of(annotation: Any) -> type[Section] | None:
    """Return the section that an annotation holds, alone, as an option or in a mapping."""
    if annotation is AttributeSection:
        # Every detector's options are keys of it, whatever a recipe uses.
        return AttributeSection.having(*SHIPPED)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for inner in typing.get_args(annotation):
        found = _section_of(inner)
        if found is not None:
            return found
    return None


def _is_mapping(annotation: Any) -> bool:
    return typing.get_origin(annotation) is dict
