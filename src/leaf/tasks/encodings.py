"""The bytes of text files as text: UTF-8, unless their first bytes or the recipe say otherwise."""

import codecs

from leaf.errors import DataError

_MARKED = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FIRST = 16
"""Bytes at the beginning of a text in UTF-8 that never are zero."""


def as_utf8(path: str, data: bytes, encoding: str | None) -> bytes:
    """Return a text file's bytes as UTF-8, where it is known to be something else."""
    if encoding is None:
        encoding = next((name for mark, name in _MARKED if data.startswith(mark)), None)
    if encoding is None:
        if b"\0" in data[:_FIRST]:
            raise DataError(
                f"{path}: looks like UTF-16 or UTF-32, and its first bytes do not say which; name "
                "it with data.encoding: utf-16-le, utf-16-be, utf-32-le or utf-32-be"
            )
        return data
    try:
        return data.decode(encoding).encode()
    except LookupError:
        raise DataError(
            f"data.encoding: {encoding!r} is no encoding; there are utf-8, cp1252, latin-1, utf-16 "
            "and those of Python's codecs"
        ) from None
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = data.count(b"\n", 0, at) + 1
        raise DataError(f"{path}:{line}: not {encoding} (data.encoding)") from None


def decoded_utf8(data: bytes, path: str, *, first_line: int) -> str:
    """Return UTF-8 as text; `first_line` is the number of its first line in the file."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise DataError(
            f"{path}:{line}: not UTF-8: {error.reason}; name its encoding with data.encoding "
            "(Excel on Windows writes cp1252), or save it as UTF-8"
        ) from None
