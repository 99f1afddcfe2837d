"""Values that JSON can hold, and texts of a bounded length."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from leaf.store.keys import stored_name

TEXT_LIMIT = 4000
"""Most characters of one answer or question in a report; the store keeps the whole text."""

_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")


def plain(value: Any) -> Any:
    """Turn records, mappings and sequences into what JSON holds.

    NaN and infinities become None; lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """
    # Large reports are millions of plain values: those are told first, by their exact type.
    if type(value) in _PLAIN:
        return _scalar(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {_scalar(str(key)): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {stored_name(f): plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return _scalar(value.item() if isinstance(value, np.generic) else value)


_PLAIN = frozenset({float, str, int, bool, type(None)})


def _scalar(value: Any) -> str | int | float | None:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = str(value)
    return text if text.isascii() else text.translate(_SURROGATES)


def clipped(text: str) -> dict[str, Any]:
    """Return the first `TEXT_LIMIT` characters and how many more there are."""
    return {"text": text[:TEXT_LIMIT], "omitted": max(len(text) - TEXT_LIMIT, 0)}
