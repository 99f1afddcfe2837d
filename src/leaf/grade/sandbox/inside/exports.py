"""What a program has that is no plain data, as its judge is told of it."""

from __future__ import annotations

import builtins
import sys

from . import containers, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .plain import Item, Node

_TEXT = 300
"""Characters of an exception's message that are told."""

_VALUES = (int, float, str, bytes, tuple, frozenset, complex)
"""Classes of Python's own whose values never change: a program's class of them travels as both."""


class Kept:
    """Says that a value is to be told by its number, whatever it is."""

    def __init__(self, value: object) -> None:
        self.value = value


class _Owner:
    """Says which object of which class a changeable value is."""

    def __init__(self, part: object) -> None:
        self.part = part


class Exports:
    """The objects that the judge knows by a number, and the functions of the tests."""

    def __init__(self, call: Callable[[int, Any, Any], Any]) -> None:
        """Take what calls a function of the tests by its number."""
        self.program: Any = None
        self.shared: frozenset[str] = frozenset()
        """Names of classes that the tests have too: their objects travel by their attributes."""
        self._call = call
        self._objects: list[object] = []
        self._numbers: dict[int, int] = {}
        self._described: set[int] = set()
        self._fresh: set[int] = set()
        self._functions: dict[int, Any] = {}

    def owner(self, part: Any) -> Any:
        """Return what says which class a changeable value has, if not one of Python's."""
        kind: type = type(part)
        if kind.__name__ in self.shared and vars(self.program).get(kind.__name__) is kind:
            return kind.__name__
        tag = containers.tag_of(part)
        if tag is None or tag == "n" or kind is containers.tag_base(tag):
            return None
        return _Owner(part)

    def shell(self, _tag: str, owner: Any, _value: Any) -> Any:
        """Return an empty object of a class that the tests have too."""
        kind = vars(self.program).get(owner)
        if not isinstance(kind, type):
            kind = type(owner, (), {})
            setattr(self.program, owner, kind)
        return object.__new__(kind)

    def sent(self, part: Any, item: Callable[[object], Item]) -> Node:
        """Return the node of what stays here."""
        if isinstance(part, _Owner):
            number = self._number(part.part)
            return ["w", number, item(type(part.part))]
        if isinstance(part, Kept):
            part = part.value
        elif isinstance(part, type) and vars(builtins).get(name := part.__name__) is part:
            return ["T", name]
        number = self._number(part)
        if number in self._described:
            return ["h", number]
        self._fresh.add(number)
        return self._first(number, part, item)

    def _first(self, number: int, part: Any, item: Callable[[object], Item]) -> Node:
        """Return the node that describes an object."""
        if isinstance(part, type):
            return self._class(number, part, item)
        if isinstance(part, BaseException):
            told = (part.args, part.__cause__, dict(vars(part)))
            return ["x", number, item(type(part)), *map(item, told)]
        for base in _VALUES:
            if isinstance(part, base):
                return ["v", number, item(type(part)), item(_plain(base, part))]
        kind = type(part)
        # Not by its name alone, even if it is Python's own: uses of its objects are asked for.
        return ["h", number, item(kind if kind is object else Kept(kind))]

    def settle(self) -> None:
        """Note that the judge has got what was described since the last message."""
        self._described |= self._fresh
        self._fresh.clear()

    def _number(self, part: object) -> int:
        if id(part) not in self._numbers:
            self._numbers[id(part)] = len(self._objects)
            self._objects.append(part)
        return self._numbers[id(part)]

    def _class(self, number: int, kind: type, item: Callable[[object], Item]) -> Node:
        """Describe a class: its names, its bases, the special methods that it has itself."""
        special = [name for name in vars(kind) if name.startswith("__")]
        fields = getattr(kind, "__dataclass_fields__", None)
        named = list(fields) if type(fields) is dict else None
        bases = [item(base) for base in kind.__bases__]
        return ["k", number, [kind.__module__, kind.__qualname__], bases, special, named]

    def received(self, node: Node, value: Callable[[Item], Any]) -> Any:
        """Return what a node of the judge says."""
        tag, *rest = node
        if tag == "h":
            return self._objects[rest[0]]
        if tag == "fn":
            return self._function(*rest)
        if tag == "iter":
            return _iterator(self._function(*rest))
        if tag == "g":
            return _found(*rest)
        if tag == "E":
            return getattr(builtins, rest[0])(*value(rest[1]))
        if tag == "tb":
            return None  # where an exception of the tests was raised
        raise wire.WireError("no such tag")

    def _function(self, number: int, name: str) -> Any:
        """Return a function that calls one of the tests."""
        if number not in self._functions:

            def called(*args: Any, **kwargs: Any) -> Any:
                return self._call(number, args, kwargs)

            called.__name__ = called.__qualname__ = name
            self._functions[number] = called
        return self._functions[number]


def _plain(base: Any, part: Any) -> Any:
    """Return the value of Python's own class that an object of a program's class is."""
    if base is tuple:
        return tuple(tuple.__iter__(part))
    if base is frozenset:
        return frozenset(frozenset.__iter__(part))
    if base is complex:
        return complex(part.real, part.imag)
    own: dict[Any, Callable[[Any], Any]] = {
        int: int.__int__,
        float: float.__float__,
        str: str.__str__,
        bytes: bytes.__bytes__,
    }
    return own[base](part)


def _iterator(following: Callable[[], Any]) -> Any:
    """Return a generator of what an iterator of the tests gives."""
    while True:
        try:
            part = following()
        except StopIteration:
            return
        yield part


def _found(module: str, name: str) -> Any:
    """Return what a module of the standard library has under a name."""
    __import__(module)
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found


def text_of(error: BaseException) -> str:
    """Return the message of an exception."""
    try:
        text = str(error)[:_TEXT]
    except BaseException:
        text = ""
    return text.encode("utf-8", "replace").decode()
