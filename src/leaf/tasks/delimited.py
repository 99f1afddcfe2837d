r"""Reads .csv and .tsv text: the first record names the columns, and every value is a text.

A value in quotes may hold the separator, line breaks and doubled quotes:
    question,answer          line 1
    "What is 2,               line 2   {"question": "What is 2,\nand 3?", "answer": "5"}
    and 3?",5                 line 3
    Add 4 and 5.,9            line 4   {"question": "Add 4 and 5.", "answer": "9"}
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping

_SEPARATORS = ",;\t"
"""Those of .csv files: Excel writes `;` where the decimal point is a comma."""

_SEPARATOR_NAMED = re.compile(r'"?sep=([^\w"\r\n])"?\r?\n')
"""A line before the header that tells Excel which it is."""

_FIELD = 2**27
"""Characters of the longest value."""


_VALUE = re.compile(r"[-+]?[\d.,]*\d%?|.*\?", re.DOTALL)


def value_among(names: Iterable[str]) -> str | None:
    """Return the first name that is a number or a question: perhaps the header is a record."""
    return next(filter(_VALUE.fullmatch, names), None)


def delimited(text: str, *, tabs: bool) -> Iterator[tuple[int, Mapping[str, str] | str]]:
    """Yield the first line (from 1) of each record after the header, and its values or its fault.

    Of a file without a header there is the fault of line 1 alone. A column without a name is left
    out.

    Args:
        text: The whole file.
        tabs: Whether columns are separated by tabs; else by what stands in line 1 most often.
    """
    first = text.partition("\n")[0]
    separator = "\t" if tabs else max(_SEPARATORS, key=first.count)
    if named := _SEPARATOR_NAMED.match(text):
        separator = named[1]
    records = _records(text, separator)
    if named:
        next(records)
    _, header = next(records, (1, "holds no line"))
    names = header if isinstance(header, str) else [name.strip() for name in header]
    fault = names if isinstance(names, str) else _fault_of(names)
    if isinstance(names, str) or fault:
        yield 1, str(fault)
        return
    for line, values in records:
        if isinstance(values, str):
            yield line, values
        elif len(values) != len(names):
            yield (
                line,
                f"has {len(values)} values, but the header names {len(names)} columns; a text with "
                f"{separator!r} in it must stand in double quotes",
            )
        else:
            yield line, {name: value for name, value in zip(names, values, strict=True) if name}


def _fault_of(names: list[str]) -> str:
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        return f"the header names column `{twice[0]}` twice; rename one of them"
    return "" if any(names) else "the first line must name the columns, but is empty"


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the first line of each record that is not blank, and its values or its fault."""
    before = csv.field_size_limit(_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, _said(str(error), line, reader.line_num)
            else:
                if any(value.strip() for value in values):
                    yield line, values
    finally:
        csv.field_size_limit(before)


def _said(error: str, first: int, last: int) -> str:
    lines = f" (up to line {last})" if last > first else ""
    if "end of data" in error:
        return f"a quote is opened and never closed{lines}; close it, or write it twice in a text"
    if "expected after" in error:
        return f"text follows a closing quote{lines}; a quote inside a text is written twice"
    return f"cannot be read{lines}: {error}"
