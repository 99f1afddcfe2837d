"""A name of a table, with options of its own: `qa`, or `{close: {relative: 0.01}}`."""

import typing
from dataclasses import dataclass
from importlib import import_module
from types import GenericAlias
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from leaf.recipe.base import Section


@dataclass(frozen=True)
class Choice:
    """Allows the names of a table, as in `Annotated[Chosen, Choice("leaf.grade:GRADERS")]`.

    The table's values are classes. The options that one takes are the fields of its `Options`, a
    `Section`; they are checked as every key of a recipe is.
    """

    table: str
    """`module:NAME` of a dict; loaded when a value is checked: it may be a floor above."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return every name that is allowed now, those that a script added among them."""
        return tuple(self._table())

    def options(self, name: str) -> type[Section]:
        """Return the options that a name takes; none where nobody has that name."""
        options: type[Section] = getattr(self._table().get(name), "Options", Section)
        return options

    def _table(self) -> dict[str, Any]:
        module, _, table = self.table.partition(":")
        found: dict[str, Any] = getattr(import_module(module), table)
        return found

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def _check(self, value: Any) -> "Chosen":
        name, names = value, self.names
        if isinstance(value, dict):
            if len(value) != 1:
                raise PydanticCustomError(
                    "one_name", "Input should be one name, alone or with its options"
                )
            ((name, options),) = value.items()
            value = {name: {} if options is None else options}
        if name not in names:
            *most, last = map(repr, names)
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(most)} or {last}"})
        if value == name and not self.options(name).has_required():
            return str(value)
        if value == name:
            value = {name: {}}
        # As a mapping, so that an error names the whole key.
        mapping: Any = GenericAlias(dict, (str, self.options(name)))
        checked: Chosen = TypeAdapter(mapping).validate_python(value)
        return checked


Chosen = str | dict[str, Section]
"""A name, or the name and its options."""


def name_and_options(chosen: Chosen) -> tuple[str, dict[str, Any]]:
    """Return the name, and those of its options that are not at their default."""
    if isinstance(chosen, str):
        return chosen, {}
    ((name, options),) = chosen.items()
    return name, options.model_dump(exclude_defaults=True)


def choice_of(annotation: Any) -> Choice | None:
    """Return the choice that a field's annotation makes, alone or as an option."""
    for part in typing.get_args(annotation):
        found = part if isinstance(part, Choice) else choice_of(part)
        if found is not None:
            return found
    return None


GraderChoice = Annotated[Chosen, Choice("leaf.grade:GRADERS")]
