"""Plain data that cannot change: how it is written and read."""

from __future__ import annotations

import builtins

from .containers import is_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Item: TypeAlias = Any
    """A scalar, or `[number of a node]`."""
    Node: TypeAlias = list[Any]
    """A tag and what belongs to it."""
    Writer: TypeAlias = Callable[[Any, Callable[[object], Item]], Node]
    """Gives the node of a value, with the function that it calls on each part of it."""


class WireError(ValueError):
    """A value that cannot be sent, or a message that is not one of ours."""


def writer_of(part: Any) -> Writer | None:
    """Return what writes a value, if it is of exactly one of these classes."""
    kind = type(part)
    writer = _WRITERS.get(kind) or _RARE.get(f"{kind.__module__}.{kind.__name__}")
    if writer is None and kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return _objects if part.dtype.kind == "O" else None
    return _scalar if writer is None and is_array(part) else writer


def _objects(part: Any, item: Callable[[object], Item]) -> Node:
    """Write an array of objects."""
    return ["A", list(part.shape), [item(one) for one in part.ravel()]]


def _scalar(part: Any, _item: Callable[[object], Item]) -> Node:
    """Write a scalar of numpy."""
    return ["N", part.dtype.str, part.tobytes().hex()]


def _zone(part: Any) -> Any:
    """Return how far a time is from UTC, in seconds, None where it does not say."""
    offset = part.utcoffset()
    return None if offset is None else offset.total_seconds()


_WRITERS: dict[type, Writer] = {
    tuple: lambda part, item: ["t", [item(one) for one in part]],
    frozenset: lambda part, item: ["f", [item(one) for one in part]],
    int: lambda part, item: ["i", hex(part)],
    bytes: lambda part, item: ["b", part.hex()],
    complex: lambda part, item: ["c", part.real, part.imag],
    range: lambda part, item: ["r", item(part.start), item(part.stop), item(part.step)],
    slice: lambda part, item: ["S", item(part.start), item(part.stop), item(part.step)],
    type(Ellipsis): lambda part, item: ["..."],
    type(NotImplemented): lambda part, item: ["no"],
    type({}.keys()): lambda part, item: ["keys", [item(one) for one in part]],
    type({}.values()): lambda part, item: ["values", [item(one) for one in part]],
    type({}.items()): lambda part, item: ["items", [[item(k), item(v)] for k, v in part]],
}

_RARE: dict[str, Writer] = {
    "decimal.Decimal": lambda part, item: ["D", str(part)],
    "fractions.Fraction": lambda part, item: ["F", item(part.numerator), item(part.denominator)],
    "datetime.datetime": lambda part, item: [
        "datetime",
        part.replace(tzinfo=None).isoformat(),
        _zone(part),
    ],
    "datetime.date": lambda part, item: ["date", part.isoformat()],
    "datetime.time": lambda part, item: [
        "time",
        part.replace(tzinfo=None).isoformat(),
        _zone(part),
    ],
    "datetime.timedelta": lambda part, item: [
        "timedelta",
        part.days,
        part.seconds,
        part.microseconds,
    ],
}
"""By their full names, since their modules are slow to import."""


def _fraction(value: Callable[[Item], Any], *parts: Item) -> Any:
    from fractions import Fraction

    return Fraction(*map(value, parts))


def _decimal(_value: Callable[[Item], Any], text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def _moment(tag: str) -> Callable[..., Any]:
    def read(_value: Callable[[Item], Any], text: str, zone: float | None = None) -> Any:
        import datetime

        moment = getattr(datetime, tag).fromisoformat(text)
        if zone is None:
            return moment
        return moment.replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=zone)))

    return read


def _span(_value: Callable[[Item], Any], *parts: int) -> Any:
    import datetime

    return datetime.timedelta(*parts)


def _numpy(_value: Callable[[Item], Any], dtype: str, data: str) -> Any:
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind not in "biufcUSmM":
        raise WireError("no scalar of numbers")
    return np.frombuffer(bytes.fromhex(data), dtype=kind)[0]


def _array(value: Callable[[Item], Any], shape: list[int], items: list[Item]) -> Any:
    import numpy as np

    array = np.empty(len(items), dtype=object)
    array[:] = list(map(value, items))
    return array.reshape(shape)


def _type(_value: Callable[[Item], Any], name: object) -> Any:
    """Return a class of Python's own, which either side has itself."""
    kind = getattr(builtins, name, None) if type(name) is str else None
    if not isinstance(kind, type):
        raise WireError("no class of Python's own")
    return kind


READERS: dict[str, Callable[..., Any]] = {
    "t": lambda value, items: tuple(map(value, items)),
    "f": lambda value, items: frozenset(map(value, items)),
    "r": lambda value, *parts: range(*map(value, parts)),
    "S": lambda value, *parts: slice(*map(value, parts)),
    "i": lambda value, text: int(text, 16),
    "b": lambda value, text: bytes.fromhex(text),
    "c": lambda value, real, imaginary: complex(real, imaginary),
    "...": lambda value: ...,
    "no": lambda value: NotImplemented,
    "keys": lambda value, items: dict.fromkeys(map(value, items)).keys(),
    "values": lambda value, items: dict(enumerate(map(value, items))).values(),
    "items": lambda value, pairs: {value(k): value(v) for k, v in pairs}.items(),
    "N": _numpy,
    "A": _array,
    "T": _type,
    "D": _decimal,
    "F": _fraction,
    "timedelta": _span,
    **{tag: _moment(tag) for tag in ("datetime", "date", "time")},
}
"""How to read what cannot change, with the function that reads its parts."""
