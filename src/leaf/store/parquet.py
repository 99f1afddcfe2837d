"""How records lie in Parquet: columns follow from type hints, so a record is declared once."""

import dataclasses
import functools
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from leaf.errors import StoreError, UsageError
from leaf.store.keys import stored_name

R = TypeVar("R")

DAMAGE = (pa.ArrowException, OSError, ValueError)
"""What reading a damaged file raises; text that is not UTF-8, or a row that is no record, is a
ValueError."""


def schema_of(record_type: type) -> pa.Schema:
    """Return the Parquet schema of a record class, derived from its type hints."""
    hints = typing.get_type_hints(record_type)
    fields = dataclasses.fields(record_type)
    return pa.schema([_field(stored_name(field), hints[field.name]) for field in fields])


def to_table(records: Sequence[Any], record_type: type) -> pa.Table:
    """Lay records out as an Arrow table with the columns of `record_type`."""
    return pa.Table.from_pylist([_row(item) for item in records], schema=schema_of(record_type))


def from_table(table: pa.Table, record_type: type[R]) -> list[R]:
    """Read records back; raises `pydantic.ValidationError` when a row does not fit the class."""
    fields = dataclasses.fields(record_type)  # type: ignore[arg-type]  # R is a dataclass
    names = {stored_name(field): field.name for field in fields}
    rows = table.rename_columns([names.get(column, column) for column in table.column_names])
    return TypeAdapter(list[record_type]).validate_python(rows.to_pylist())  # type: ignore[valid-type]


def to_bytes(
    records: Sequence[Any], record_type: type, metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return the content of a Parquet file with these records."""
    sink = pa.BufferOutputStream()
    table = to_table(records, record_type).replace_schema_metadata(metadata)
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_file(
    path: Path,
    record_type: type[R],
    *,
    mark: tuple[str, str],
    older: Collection[str] = (),
    way_out: str,
    where: pc.Expression | None = None,
) -> Iterator[R]:
    """Yield the records of a file that stands by itself, one row group in memory at a time.

    Args:
        path: The file.
        record_type: What its rows are.
        mark: Name and value in its metadata: the format that this version writes.
        older: Formats that it reads besides; columns that they lack have their defaults.
        way_out: How such a file is written again, for the messages.
        where: Which rows; None: all.

    Raises:
        UsageError: there is no such file, or another version of leaf wrote it.
        StoreError: it is damaged.
    """
    if not path.is_file():
        raise UsageError(f"{path}: not there; {way_out}")
    name, own = mark
    read = [*older, own]
    try:
        with pq.ParquetFile(path) as file:
            written = (file.schema_arrow.metadata or {}).get(name.encode(), b"none").decode()
            if written not in read:
                raise UsageError(
                    f"{path}: has format {written}, but this version of leaf reads "
                    f"{' and '.join(read)}; {way_out}"
                )
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                yield from from_table(table if where is None else table.filter(where), record_type)
    except DAMAGE as error:
        raise StoreError(f"{path}: damaged; {way_out}") from error


def _row(record: Any) -> dict[str, Any]:
    """Do what `dataclasses.asdict` does without its copy of every single value: that costs most."""
    row: dict[str, Any] = {}
    for name, column in _names(record.__class__):
        value = getattr(record, name)
        if dataclasses.is_dataclass(value):
            value = _row(value)
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            value = [_row(item) for item in value]
        row[column] = value
    return row


@functools.cache
def _names(record_type: type) -> tuple[tuple[str, str], ...]:
    """Return each field's name and its column's."""
    return tuple((field.name, stored_name(field)) for field in dataclasses.fields(record_type))


_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _field(name: str, hint: Any) -> pa.Field:
    nullable = isinstance(hint, types.UnionType)
    if nullable:
        (hint,) = (member for member in typing.get_args(hint) if member is not type(None))
    return pa.field(name, _arrow_type(hint), nullable=nullable)


def _arrow_type(hint: Any) -> pa.DataType:
    if typing.get_origin(hint) is tuple:
        element, _ellipsis = typing.get_args(hint)
        return pa.list_(_field("element", element))
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(schema_of(typing.cast(type, hint))))
    if issubclass(hint, StrEnum):
        return pa.string()
    return _SCALARS[hint]
