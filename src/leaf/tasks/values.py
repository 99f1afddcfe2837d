"""Single values of records: as the texts that people would write, and nothing that is no text."""

import datetime
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

_HALF = re.compile("[\ud800-\udfff]")


def plain_text(value: Any) -> str | None:
    """Return a value as people write it, "" where it is missing; None where it is no plain value.

    Of a number the shortest text that reads back as the same (`0.1`, `18` for a float without
    decimals), of a date its ISO form. NaN is what data frames write for a missing value; of an
    infinity nobody can say what was meant.
    """
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or (isinstance(value, float | Decimal) and math.isinf(value)):
        return None
    if isinstance(value, Decimal | float):
        # 18 in a column of floats, which data frames make of one with missing values.
        return repr(value).removesuffix(".0") if isinstance(value, float) else f"{value:f}"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat().removesuffix("T00:00:00")
    return str(value) if isinstance(value, str | int) else None


def half_of(value: Any) -> str:
    """Return the first half of a character that a value holds, alone; JSON can write them."""
    if isinstance(value, str):
        # Most texts are ASCII, and that is known at once.
        found = None if value.isascii() else _HALF.search(value)
        return found.group() if found else ""
    if isinstance(value, Mapping):
        return next(filter(None, (half_of(one) for pair in value.items() for one in pair)), "")
    if isinstance(value, list | tuple):
        return next(filter(None, map(half_of, value)), "")
    return ""


def exact(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Yield rows in which short floats are what was written.

    0.1 of 32 bits is 0.10000000149011612 to Python; the shortest text that reads back is 0.1.
    """
    short = {field.name: field.type for field in schema if _has_short(field.type)}
    for row in rows:
        yield {**row, **{name: _lengthened(row[name], short[name]) for name in short}}


def _has_short(kind: pa.DataType) -> bool:
    below = (kind.field(at).type for at in range(kind.num_fields))
    return bool(
        pa.types.is_float32(kind) or pa.types.is_float16(kind) or any(map(_has_short, below))
    )


def _lengthened(value: Any, kind: pa.DataType) -> Any:
    if isinstance(value, Mapping):
        return {name: _lengthened(one, kind.field(name).type) for name, one in value.items()}
    if isinstance(value, list):
        return [_lengthened(one, kind.value_type) for one in value]
    if pa.types.is_float32(kind) and isinstance(value, float):
        return float(str(np.float32(value)))
    if pa.types.is_float16(kind) and isinstance(value, float):
        return float(str(np.float16(value)))
    return value
