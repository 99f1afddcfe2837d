"""Names that a recipe may hold: those that ship, and those that a script adds to a room's table."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from leaf.recipe.detectors import SHIPPED


def is_path(model: str) -> bool:
    """Whether a model's name can only be a path: no hub id looks like it."""
    if model.startswith("package:"):
        return False
    return model.startswith((".", "/", "~")) or model.count("/") > 1 or model.endswith(".gguf")


@dataclass(frozen=True)
class OneOf:
    """Allows the names that ship and the keys of a table, as in `Annotated[str, OneOf(...)]`.

    The table is looked at only where its module is imported already: who adds a name to it has done
    so, and a recipe is checked without loading what the table holds.
    """

    names: tuple[str, ...]
    """Those that ship."""
    table: str
    """`module:NAME` of the dict whose further keys are allowed."""

    def allowed(self) -> tuple[str, ...]:
        """Return every name that is allowed now, those that ship first."""
        module, _, table = self.table.partition(":")
        added = getattr(sys.modules.get(module), table, {})
        return tuple(dict.fromkeys([*self.names, *added]))

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, name: str) -> str:
        allowed = self.allowed()
        if name not in allowed:
            *most, last = [repr(one) for one in allowed]
            expected = f"{', '.join(most)} or {last}" if most else last
            raise PydanticKnownError("literal_error", {"expected": expected})
        return name


EngineName = Annotated[str, OneOf(("hf", "vllm", "llamacpp", "openai"), "leaf.generate:ENGINES")]

DetectorName = Annotated[str, OneOf(SHIPPED, "leaf.recipe.detectors:DETECTORS")]

LossName = Annotated[str, OneOf(("kl", "reverse_kl", "jsd", "skew_kl", "tv"), "leaf.losses:LOSSES")]

SourceName = Annotated[
    str,
    OneOf(
        ("verified", "needless", "templates", "measures", "problems", "passages"),
        "leaf.prune.inject:SOURCES",
    ),
]

HiddenLossName = Annotated[str, OneOf(("cosine",), "leaf.losses:HIDDEN_LOSSES")]
