"""What stands for the classes and objects of a program where its tests run.

For each class of the program there is a class here, with the same name, bases and special methods,
each of which asks the program. Objects that are values of Python's own classes besides (an
`IntEnum`, a namedtuple, a subclass of `list`) are such values here too, and compare as these do.

No object of a program decides whether it equals what the tests expect: where its own comparison
with plain data of the tests says yes, the program cannot be graded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from . import wire

if TYPE_CHECKING:
    from .link import Link
    from .plain import Node

_ASKED_NAMES = """
len iter next getitem setitem delitem call bool hash repr str format bytes int float complex index
round trunc floor ceil abs neg pos invert reversed enter exit length_hint dir array fspath aiter
anext aenter aexit missing
"""
_ASKED = frozenset(f"__{name}__" for name in _ASKED_NAMES.split())
"""Special methods of which the program may say what it likes."""

_COMPARED = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"})

_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"
_COMPUTED = frozenset(f"__{way}{name}__" for name in _BINARY.split() for way in ("", "r", "i"))

_ATTRIBUTES_NAMES = """
dict name qualname module wrapped signature code defaults kwdefaults annotations self func closure
notes members match_args slots context
"""
_ATTRIBUTES = frozenset(f"__{name}__" for name in _ATTRIBUTES_NAMES.split())
"""Names of the language that are asked for; libraries look for others (`__array_interface__`)."""

_KINDS: dict[str, type] = {
    "function": types.FunctionType,
    "builtin_function_or_method": types.BuiltinFunctionType,
    "method": types.MethodType,
    "generator": types.GeneratorType,
    "async_generator": types.AsyncGeneratorType,
    **{kind.__name__: kind for kind in (zip, map, filter, enumerate, reversed)},
}
"""What `isinstance` says of objects of Python's own that stay with the program."""

_PLAIN_USE = frozenset((*_KINDS, "coroutine", "type"))

_VALUES = (int, float, str, bytes, tuple, frozenset, complex)


class Mirrors:
    """All classes and objects of one program, by the numbers that it gave them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._named: set[type] = set()

    def number(self, value: object) -> int | None:
        """Return the number of an object of the program, None for any other."""
        return self._numbers.get(id(value))

    def name(self, value: object) -> None:
        """Note that the tests name a class."""
        if isinstance(value, type):
            self._named.add(value)

    def is_named(self, kind: type) -> bool:
        """Whether the tests name a class, or one that it comes from."""
        return not self._named.isdisjoint(kind.__mro__)

    def received(self, node: Node, value: Callable[[Any], Any]) -> Any:
        """Return what a node says; the first node of an object describes it."""
        tag, number, *rest = node
        if type(number) is not int:
            raise wire.WireError("no number")
        if tag == "w":
            return number, value(rest[0])
        if not rest:
            return self._objects[number]
        if tag == "k":
            made = self._class(rest, value)
        elif tag == "x":
            made = _exception(*map(value, rest))
        elif tag == "v":
            made = self._value(*map(value, rest))
        elif tag == "h":
            made = self._object(number, value(rest[0]))
        else:
            raise wire.WireError("no such tag")
        return self._keep(number, made)

    def changeable(self, number: int, kind: Any) -> Any:
        """Return an empty value of a class of the program that comes from `list` or its like."""
        return self._keep(number, kind.__new__(kind))

    def _keep(self, number: int, made: Any) -> Any:
        if number not in self._objects:
            self._objects[number] = made
            self._numbers[id(made)] = number
        return self._objects[number]

    def _object(self, number: int, kind: Any) -> Any:
        name = kind.__name__
        if name == "coroutine":
            return _coroutine(self._link, number, self._objects)
        if name not in _PLAIN_USE:
            self._link.doubt = self._link.doubt or f"an object of its class `{name}`"
        return object.__new__(kind)

    def _value(self, kind: Any, plain: Any) -> Any:
        self._link.doubt = self._link.doubt or f"an object of its class `{kind.__name__}`"
        base = next(one for one in _VALUES if type(plain) is one)
        return base.__new__(kind, plain)

    def _class(self, told: list[Any], value: Callable[[Any], Any]) -> Any:
        """Return the class for one of the program's, by what `Exports` tells of it."""
        (module, name), bases, special, fields = told
        known = _exception_class(module, name)
        if known is not None:
            return known
        link = self._link
        space: dict[str, Any] = {"__module__": str(module), "__qualname__": str(name)}
        parents = tuple(map(value, bases))
        own = name.rpartition(".")[2]
        for method in special:
            made = _method(link, method)
            if made is not None:
                space[method] = made
        if not any(isinstance(parent, _Kind) for parent in parents):
            space |= _always(link)
        if module == "builtins" and own in _KINDS:
            space["__class__"] = property(lambda _self: _KINDS[own])
        if fields is not None:
            made = dataclasses.make_dataclass(own, list(map(str, fields)))
            space["__dataclass_fields__"] = vars(made)["__dataclass_fields__"]
        kind = _Kind(own, parents, space)
        _Kind.links[kind] = link
        return kind


class _Kind(type):
    """The class of all classes here."""

    links: ClassVar[dict[type, Link]] = {}

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        for base in bases:
            if base in _Kind.links and "__init_subclass__" not in space and _of_tests(space):
                raise _Kind.links[base].unsettled("a class of the tests extends the program's")
        return super().__new__(cls, name, bases, space)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _Kind.links[cls].do("call", cls, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if cls not in _Kind.links or (name.startswith("__") and name not in _ATTRIBUTES):
            raise AttributeError(name)
        return _Kind.links[cls].do("attr", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        _Kind.links[cls].do("set", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        _Kind.links[cls].do("del", cls, name)

    def __getitem__(cls, key: Any) -> Any:
        return _Kind.links[cls].do("item", cls, key)

    def __iter__(cls) -> Any:
        return _Kind.links[cls].do("iter", cls)

    def __len__(cls) -> Any:
        return _Kind.links[cls].do("len", cls)

    def __contains__(cls, part: Any) -> Any:
        return _Kind.links[cls].do("in", cls, part)

    def __bool__(cls) -> bool:
        return True

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__qualname__}'>"


def _of_tests(space: dict[str, Any]) -> bool:
    return space.get("__module__") == "tests"


def _always(link: Link) -> dict[str, Any]:
    """Return what every class here has."""

    def getattr_(self: Any, name: str) -> Any:
        if name.startswith("__") and name not in _ATTRIBUTES:
            raise AttributeError(name)
        return link.do("attr", self, name)

    def setattr_(self: Any, name: str, value: Any) -> None:
        if name.startswith("__"):  # of exceptions, which Python sets here
            object.__setattr__(self, name, value)
        else:
            link.do("set", self, name, value)

    return {
        "__getattr__": getattr_,
        "__setattr__": setattr_,
        "__delattr__": lambda self, name: link.do("del", self, name),
        "__copy__": lambda self: link.do("copy", self),
        "__deepcopy__": lambda self, _memo: link.do("deepcopy", self),
        "__dict__": property(lambda self: link.do("attr", self, "__dict__")),
    }


def _method(link: Link, name: str) -> Any:
    """Return what stands for a special method, None where it is not asked for."""
    if name == "__call__":
        return lambda self, *args, **kwargs: link.do("call", self, args, kwargs)
    if name in _ASKED:
        return lambda self, *args: link.do("special", name, self, *args)
    if name == "__await__":

        def awaited(self: Any) -> Any:
            return link.do("await", self)
            yield

        return awaited
    if name in _COMPARED:
        return lambda self, other: _compared(link, name, self, other)
    if name in _COMPUTED:
        return lambda self, other, *more: _computed(link, name, self, other, *more)
    return None


def _compared(link: Link, name: str, one: Any, other: Any) -> Any:
    """Return what an object says of itself and another, if it may decide that."""
    ours = link.has(other)
    if name != "__contains__" and link.lies(one):
        return name == "__ne__"
    said = link.do("special", name, one, other)
    if ours or said is NotImplemented or said is (name == "__ne__"):
        return said
    if name == "__contains__" and link.is_named(one):
        return said
    raise link.unsettled(f"`{name}` of its class `{type(one).__name__}` compares with plain data")


def _computed(link: Link, name: str, one: Any, other: Any, *more: Any) -> Any:
    """Return what an object gives with another; never plain data from plain data of the tests."""
    said = link.do("special", name, one, other, *more)
    if link.has(other) or link.has(said) or said is NotImplemented:
        return said
    raise link.unsettled(f"`{name}` of its class `{type(one).__name__}` computes with plain data")


def _coroutine(link: Link, number: int, objects: dict[int, Any]) -> Any:
    """Return a coroutine that is the program's, run to its end at once."""

    async def run() -> Any:
        return link.do("await", objects[number])

    return run()


def _exception(kind: Any, args: Any, cause: Any, named: Any) -> BaseException:
    if not issubclass(kind, BaseException) or type(args) is not tuple:
        raise wire.WireError("no exception")
    try:
        made: BaseException = kind.__new__(kind, *args)
    except TypeError:
        made = kind.__new__(kind)
    if not isinstance(kind, _Kind):
        with contextlib.suppress(TypeError):
            made.__init__(*args)  # type: ignore[misc]
        for name, value in named.items():
            if not name.startswith("__"):
                setattr(made, name, value)
    object.__setattr__(made, "args", args)
    if isinstance(cause, BaseException):
        made.__cause__ = cause
    return made


def _exception_class(module: str, name: str) -> Any:
    """Return an exception of the standard library that the tests know too."""
    if str(module).partition(".")[0] not in sys.stdlib_module_names:
        return None
    found: Any = sys.modules.get(str(module))
    for step in str(name).split("."):
        found = getattr(found, step, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
