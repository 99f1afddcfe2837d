"""What all sections of a recipe are."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """One part of a recipe: unknown keys and wrong types are refused, values never change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    @classmethod
    def known_keys(cls) -> list[str]:
        """Return all keys that there are, as recipes write them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def has_required(cls) -> bool:
        """Whether it has a key without a default."""
        return any(field.is_required() for field in cls.model_fields.values())

    @classmethod
    def inner_section(cls, key: str) -> "type[Section] | None":
        """Return the section below a key that is no field of this one."""
        return None


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings as (dotted key, value)."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
