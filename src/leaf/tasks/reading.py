"""Rows of a data set, each with the place that an error about it names.

A path is one of
    data/train.jsonl, ~/x.parquet   a local .jsonl, .json, .csv, .tsv (also .gz) or .parquet file
    ./my-data                       a local folder that `datasets.load_dataset` reads
    openai/gsm8k                    a data set of the Hugging Face hub

It is local when it ends in one of these, starts with `.`, `/` or `~`, or exists.

One bad record does not spoil a file: it stands among the rows as the error that names it.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from zipfile import BadZipFile

import pyarrow as pa
import pyarrow.parquet as pq

from leaf.errors import DataError
from leaf.store.hub import hub_or_cache, unreached
from leaf.tasks.delimited import delimited
from leaf.tasks.encodings import as_utf8, decoded_utf8
from leaf.tasks.paths import value_at
from leaf.tasks.values import exact, half_of, plain_text

LARGEST = 4 * 2**30
"""Bytes that a packed file may unpack to: a few kilobytes can hold terabytes."""

_PLENTY, _TIMES = 2**28, 200
"""Bytes that any packed file may unpack to, or times its size: bombs shrink to a thousandth."""

_BATCH = 1024
"""Records of a Parquet file that are unpacked together."""

T = TypeVar("T")
R = TypeVar("R")

_TEXTS = (".jsonl", ".json", ".csv", ".tsv")
_FILE_KINDS = (*_TEXTS, ".parquet", *(f"{kind}.gz" for kind in _TEXTS))
_OTHER_FILES = (".xlsx", ".xls", ".ods", ".txt", ".zip", ".arrow", ".feather", ".pdf", ".docx")
"""Names that end so are files for sure, if not such as are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One record of a data set, as it was found."""

    place: str
    """Where it stands, for errors: `train.jsonl:3`, or `openai/gsm8k main/train record 3`."""
    name: str
    """`<split or file stem>-<line or record, from 1>`: stable when the file is read again."""
    values: Mapping[str, Any]


def read_rows(
    path: str,
    *,
    name: str | None,
    split: str,
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
) -> list[Row | DataError]:
    """Read every record of a file or a hub data set; a file has no use for `name` and `split`.

    `encoding` is that of a text file; None: UTF-8, or what its first bytes say.

    A record that cannot be read is there as its error. Of a hub data set only `columns` are read,
    where they are named: a large one may not fit in memory otherwise.

    Raises:
        DataError: a missing or empty file, one that cannot be read at all, a data set or split that
            does not exist or cannot be reached.
    """
    if is_file(path):
        return _read_file(path, encoding)
    return _read_data_set(path, name, split, columns)


def each(items: Sequence[T | DataError], make: Callable[[T], R | None]) -> list[R | DataError]:
    """Make something of each item, such as a problem of a row; what fails stands as its error.

    Args:
        items: As `read_rows` gives rows: errors among them stay.
        make: Returns None for what is no part of the task, raises `DataError` for a bad one.
    """
    made: list[R | DataError] = []
    for item in items:
        try:
            result = item if isinstance(item, DataError) else make(item)
        except DataError as error:
            result = error
        if result is not None:
            made.append(result)
    return made


def text_of(row: Row, column: str) -> str:
    """Return a column that must hold a text or a number, never an empty one."""
    text = optional_text_of(row, column)
    if not text:
        raise DataError(f"{row.place}: column `{column}` is empty; fill it or remove the record")
    return text


def optional_text_of(row: Row, column: str) -> str:
    """Return a column that must exist but may be empty or null; both give ""."""
    value = value_at(row.values, column, row.place)
    text = plain_text(value)
    if text is None:
        raise DataError(
            f"{row.place}: column `{column}` must hold a text or a number, but is {value!r:.60}"
        )
    return text if text.strip() else ""


def json_of(text: str, row: Row, column: str) -> Any:
    """Return what the JSON in a column says."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{row.place}: column `{column}` is not JSON: {error}") from None


def is_file(path: str) -> bool:
    """Whether a path means a local file; else it is a folder or a data set of the hub."""
    local = Path(path).expanduser()
    is_local = (
        path.endswith((*_FILE_KINDS, *_OTHER_FILES))
        or path[:1] in {".", "/", "~"}
        or local.exists()
    )
    return is_local and not local.is_dir()


def _read_file(path: str, encoding: str | None) -> list[Row | DataError]:
    kind = _kind_of(path)
    data = _bytes_of(path)
    if kind != ".parquet":
        data = as_utf8(path, data, encoding)
    rows: list[Row | DataError]
    if kind.startswith(".jsonl"):
        rows = _json_lines(path, data)
    elif kind.startswith((".csv", ".tsv")):
        rows = _lines_of_values(path, data, tabs=kind.startswith(".tsv"))
    elif kind.startswith(".json"):
        rows = _json_list(path, data)
    else:
        rows = _parquet(path, data)
    if not rows:
        raise DataError(f"{path}: holds no records")
    return rows


def _kind_of(path: str) -> str:
    for kind in _FILE_KINDS:
        if path.endswith(kind):
            return kind
    if not path.endswith(_OTHER_FILES) and not Path(path).expanduser().exists():
        raise DataError(f"{path}: no such data file; one must end in {', '.join(_FILE_KINDS)}")
    hint = "; save the sheet as CSV UTF-8" if path.endswith(_OTHER_FILES[:3]) else ""
    raise DataError(f"{path}: a data file must end in {', '.join(_FILE_KINDS)}{hint}")


def _stem_of(path: str) -> str:
    return PurePosixPath(path).name.removesuffix(_kind_of(path))


def _bytes_of(path: str) -> bytes:
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"{path}: no such data file")
    try:
        if not path.endswith(".gz"):
            return file.read_bytes()
        most = min(LARGEST, max(_PLENTY, _TIMES * file.stat().st_size))
        with gzip.open(file) as packed:
            if len(data := packed.read(most + 1)) > most:
                raise _too_large(path, most)
            return data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a whole gzip file: {_first_line(error)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _too_large(path: str, most: int) -> DataError:
    return DataError(f"{path}: unpacks to over {most:,} bytes; make files of what you need of it")


def _lines_of_values(path: str, data: bytes, *, tabs: bool) -> list[Row | DataError]:
    stem = _stem_of(path)
    text = decoded_utf8(data, path, first_line=1)

    def row(record: tuple[int, Mapping[str, str] | str]) -> Row:
        line, values = record
        if isinstance(values, str):
            raise DataError(f"{path}:{line}: {values}")
        return Row(place=f"{path}:{line}", name=f"{stem}-{line}", values=values)

    return each(list(delimited(text, tabs=tabs)), row)


def _json_lines(path: str, data: bytes) -> list[Row | DataError]:
    stem = _stem_of(path)
    # Split as bytes: str.splitlines would also cut at U+2028, which JSON allows inside a text.
    end = b"\n" if b"\n" in data else b"\r"
    lines = [(n, line) for n, line in enumerate(data.split(end), start=1) if line.strip()]

    def row(line: tuple[int, bytes]) -> Row:
        place, (number, text) = f"{path}:{line[0]}", line
        values = _record(_json(text, path, first_line=number), place)
        return Row(place=place, name=f"{stem}-{number}", values=values)

    return each(lines, row)


def _json_list(path: str, data: bytes) -> list[Row | DataError]:
    values = _json(data, path, first_line=1) if data.strip() else []
    if isinstance(values, dict) and isinstance(values.get("data"), list):
        values = values["data"]  # as SQuAD's files: {"version": ..., "data": [...]}
    if not isinstance(values, list):
        raise DataError(
            f"{path}: must hold a list of records, but holds a {type(values).__name__}; "
            "a file with one record a line is named .jsonl"
        )
    return _numbered(values, place=path, label=_stem_of(path))


def _parquet(path: str, data: bytes) -> list[Row | DataError]:
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            values = list(exact(_rows_of(file, path), file.schema_arrow))
    # Of damaged pages pyarrow says OSError, of damaged texts in them UnicodeDecodeError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a Parquet file, or a damaged one: {_first_line(error)}; fetch or write "
            "it again"
        ) from None
    return _numbered(values, place=path, label=_stem_of(path))


def _rows_of(file: pq.ParquetFile, path: str) -> Iterator[dict[str, Any]]:
    size = 0
    for batch in file.iter_batches(batch_size=_BATCH):
        size += batch.nbytes
        if size > LARGEST:
            raise _too_large(path, LARGEST)
        yield from batch.to_pylist()


def _json(data: bytes, path: str, *, first_line: int) -> Any:
    text = decoded_utf8(data, path, first_line=first_line)
    try:
        # Decimals stay as they are written: 0.10 is not 0.1 to a reader, nor is a long one cut.
        return json.loads(text, parse_float=str)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}:{line}: not JSON: {error.msg}, column {error.colno}") from None
    except (RecursionError, ValueError) as error:  # nested too deep, or a number too long
        raise DataError(f"{path}:{first_line}: cannot be read: {_first_line(error)}") from None


def _read_data_set(
    path: str, name: str | None, split: str, columns: Sequence[str] | None
) -> list[Row | DataError]:
    import datasets
    from datasets.exceptions import DatasetsError

    had_bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    wanted = f"{path} {name}/{split}" if name else f"{path} {split}"
    source = str(Path(path).expanduser()) if path.startswith("~") else path
    local, reached = Path(source).is_dir(), True
    try:
        with nullcontext(True) if local else hub_or_cache(data=True) as reached:
            values = datasets.load_dataset(source, name, split=split)
        if columns is not None:
            values = values.select_columns([one for one in columns if one in values.column_names])
    except (OSError, RuntimeError, ValueError, BadZipFile, DatasetsError) as error:
        # Where one of its files is damaged, this says which.
        for file in sorted(Path(source).rglob("*.parquet")) if local else ():
            _parquet(str(file), file.read_bytes())
        # What is wrong with a record is the cause of "an error occurred".
        lost = not reached and isinstance(error, ConnectionError)
        other = "a local .jsonl, .json, .csv or .parquet file as `path`"
        way = f"check `path`, `name`, `split` and the connection, or give {other}"
        if local:
            files = "a .jsonl, .json, .csv, .tsv or .parquet file"
            way = f"this is a folder: check `split`, or name {files} in it"
        why = f"{_first_line(error.__cause__ or error)}; {way}"
        if lost:
            why = unreached(other, data=True)
        raise DataError(f"{wanted}: cannot be loaded: {why}") from None
    finally:
        if had_bars:
            datasets.enable_progress_bars()
    schema = values.features.arrow_schema
    rows = _numbered(exact(values, schema), place=wanted, label=split)
    if not rows:
        raise DataError(f"{wanted}: holds no records")
    return rows


def _numbered(values: Iterable[Any], *, place: str, label: str) -> list[Row | DataError]:
    def row(numbered: tuple[int, Any]) -> Row:
        number, value = numbered
        here = f"{place} record {number}"
        return Row(place=here, name=f"{label}-{number}", values=_record(value, here))

    return each(list(enumerate(values, start=1)), row)


def _record(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{place}: a record must be an object, but is {value!r:.60}")
    for column, said in value.items():
        if half := half_of(column) or half_of(said):
            raise DataError(
                f"{place}: column `{column.encode(errors='replace').decode()}` holds half of a "
                f"character ({half!a}), which no file can keep; mend the record or remove it"
            )
    return value


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
