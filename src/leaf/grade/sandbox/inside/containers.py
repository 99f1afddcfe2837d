"""What can change: how it is written, filled, and seen to have changed."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .plain import Item

SHELLS: dict[str, Callable[[], Any]] = {
    "l": list,
    "s": set,
    "d": dict,
    "C": Counter,
    "O": OrderedDict,
    "M": defaultdict,
    "q": deque,
    "B": bytearray,
}
"""What makes an empty value of each kind; "o", an object by its attributes, is made elsewhere."""

KEYED = frozenset("sdCOM")
"""Kinds that need the hash of what they hold."""

_TAGS = {kind: tag for tag, kind in SHELLS.items()}

_NUMBERS = "biufcUSmM"
"""Kinds of arrays that are sent as bytes."""


def tag_of(part: Any) -> str | None:
    """Return the kind of a value that can change, None where it cannot or is no container."""
    for kind in type(part).__mro__:
        if kind in _TAGS:
            return _TAGS[kind]
    if is_array(part) and type(part).__name__ == "ndarray":
        return "n"
    return None


def is_array(part: Any) -> bool:
    """Whether it is an array or a scalar of numpy that can be sent."""
    return type(part).__module__ == "numpy" and (
        getattr(getattr(part, "dtype", None), "kind", "-") in _NUMBERS
    )


def content(part: Any) -> Any:
    """Return what `unchanged` compares with: the parts themselves, not their content."""
    tag = tag_of(part)
    if tag is None:
        return dict(attributes(part))
    if tag == "n":
        return part.dtype.str, part.shape, part.tobytes()
    if tag == "B":
        return bytes(part)
    if tag in "dCOM":
        return list(dict.keys(part)), list(dict.values(part))
    return list(tag_base(tag).__iter__(part))


def unchanged(part: Any, before: Any) -> bool:
    """Whether a value holds the very parts that it held."""
    now = content(part)
    if isinstance(before, list):
        return len(now) == len(before) and all(map(_is, now, before))
    if isinstance(before, dict):
        return list(now) == list(before) and all(map(_is, now.values(), before.values()))
    if isinstance(before, tuple) and len(before) == 2:
        return all(
            len(a) == len(b) and all(map(_is, a, b)) for a, b in zip(now, before, strict=True)
        )
    return bool(now == before)


def _is(one: Any, other: Any) -> bool:
    return one is other


def tag_base(tag: str) -> Any:
    """Return Python's own class of a kind."""
    return SHELLS[tag]


def written(part: Any, item: Callable[[object], Item]) -> list[Any]:
    """Return the rest of the node of a value that can change."""
    tag = tag_of(part)
    if tag is None:
        named = attributes(part)
        return [list(named), [item(one) for one in named.values()]]
    if tag == "n":
        return [part.dtype.str, list(part.shape), part.tobytes().hex()]
    if tag == "B":
        return [bytes(part).hex()]
    if tag in "dCOM":
        keys, values = content(part)
        parts = [list(map(item, keys)), list(map(item, values))]
        return [*parts, item(part.default_factory)] if tag == "M" else parts
    parts = list(map(item, content(part)))
    return [parts, part.maxlen] if tag == "q" else [parts]


def attributes(part: Any) -> dict[str, Any]:
    """Return what an object holds under names, in slots too."""
    slots = [name for kind in type(part).__mro__ for name in vars(kind).get("__slots__", ())]
    named = {name: getattr(part, name) for name in slots if hasattr(part, name)}
    named.update(getattr(part, "__dict__", {}))
    return {name: value for name, value in named.items() if not name.startswith("__")}


def fill(target: Any, tag: str, rest: list[Any], value: Callable[[Item], Any]) -> None:
    """Make a value hold what a node says, whatever it held."""
    if tag == "o":
        _set_attributes(target, rest, value)
    elif tag == "n":
        _fill_array(target, *rest)
    elif tag == "B":
        target[:] = bytes.fromhex(rest[0])
    elif tag == "l":
        list.__setitem__(target, slice(None), list(map(value, rest[0])))
    elif tag == "q":
        parts = list(map(value, rest[0]))
        if target.maxlen != rest[1]:
            deque.__init__(target, (), rest[1])
        deque.clear(target)
        deque.extend(target, parts)
    elif tag == "s":
        parts = list(map(value, rest[0]))
        set.clear(target)
        set.update(target, parts)
    else:
        if tag == "M":
            target.default_factory = value(rest[2])
        keys, values = (list(map(value, part)) for part in rest[:2])
        base = OrderedDict if tag == "O" else dict
        base.clear(target)
        for key, one in zip(keys, values, strict=True):
            base.__setitem__(target, key, one)


def _set_attributes(target: Any, rest: list[Any], value: Callable[[Item], Any]) -> None:
    names, items = rest
    for name in [one for one in getattr(target, "__dict__", {}) if one not in names]:
        object.__delattr__(target, name)
    for name, one in zip(names, items, strict=True):
        if type(name) is not str or name.startswith("__"):
            raise ValueError("no attribute")
        object.__setattr__(target, name, value(one))


def _array() -> Any:
    import numpy as np

    return np.empty(0)


SHELLS["n"] = _array


def _fill_array(target: Any, dtype: str, shape: list[int], data: str) -> None:
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind not in _NUMBERS:
        raise ValueError("no array of numbers")
    array = np.frombuffer(bytes.fromhex(data), dtype=kind).reshape(shape)
    if target.shape != array.shape or target.dtype != kind:
        target.resize(0, refcheck=False)
        target.dtype = kind
        target.resize(array.shape, refcheck=False)
    target[...] = array
