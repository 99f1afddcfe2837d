"""What stands for a model's functions and objects where its tests run: each use is asked for."""

from __future__ import annotations

import builtins
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from . import frames, wire

_T = TypeVar("_T")


class Fault(BaseException):
    """The model's program cannot go on, so that it has failed; the text says why.

    No `except Exception` of a test may swallow it.
    """


class Link:
    """The connection with the process that runs the model's program (see `solver`)."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._shared: Mapping[str, type] = {}
        self._standins: dict[int, Standin] = {}
        self.fault: str | None = None
        """Why the program has failed for good, whatever its tests make of that."""
        self.uses = 0
        """How often something of the program was used."""
        self.raised: BaseException | None = None
        """The last exception of the program itself."""
        self.said = ""
        """The name that the program gave it, and its message."""

    def run(self, source: str, shared: Mapping[str, type]) -> None:
        """Run the program.

        Args:
            source: All of it.
            shared: Classes that travel by their attributes, by their names.
        """
        self._shared = shared
        self._ask(["run", source, list(shared)])

    def names(self, names: list[str]) -> dict[str, Any]:
        """Return what the program has under these names, where it has something."""
        found, _changed = self._ask(["names", names])
        return dict(found) if type(found) is dict else {}

    def do(self, operation: str, *operands: Any) -> Any:
        """Return the result of one of `solver.OPERATIONS`; raise what the program raises."""
        self.uses += 1
        result, changed = self._ask(["do", operation, wire.encode(operands, self._sent)])
        if changed is not None and type(changed) is tuple:
            for old, new in zip(operands[1], changed, strict=False):
                _take_over(old, new)
        return result

    def _ask(self, message: list[Any]) -> tuple[Any, Any]:
        if self.fault is not None:
            raise Fault(self.fault)
        try:
            frames.send(self._line, message)
            kind, first, second = frames.receive(self._line)
            if kind == "value":
                changed = None if second is None else wire.decode(second, self._received)
                return wire.decode(first, self._received), changed
            raised = _exception(first, second)
        except frames.FrameError as error:
            self.fault = f"ended without an answer ({error})"
        except Exception as error:  # a reply that is none of ours, whatever it provokes
            self.fault = f"gave an answer that cannot be read ({type(error).__name__})"
        if self.fault is not None:
            raise Fault(self.fault)
        self.raised = raised
        self.said = f"raised {first[0]}: {second}" if second else f"raised {first[0]}"
        if isinstance(raised, Fault):
            self.fault = str(raised)
        raise raised

    def _sent(self, part: Any, item: Any) -> wire.Node:
        if isinstance(part, Standin):
            return ["h", object.__getattribute__(part, "_number")]
        if type(part) in self._shared.values():
            named = vars(part)
            return ["o", type(part).__name__, list(named), [item(one) for one in named.values()]]
        raise UnsentError(f"a `{type(part).__name__}` cannot be given to a program")

    def _received(self, node: wire.Node, empty: bool) -> Any:
        if empty:
            kind = self._shared[node[1]]
            return object.__new__(kind)
        tag, number = node
        if tag != "h" or type(number) is not int:
            raise wire.WireError("no handle")
        if number not in self._standins:
            self._standins[number] = Standin(self, number)
        return self._standins[number]


class UnsentError(TypeError):
    """The tests give a program what cannot leave their process."""


class Standin:
    """An object of the model's program. Its `==` is identity, so it never equals plain data."""

    __slots__ = ("_link", "_number")

    def __init__(self, link: Link, number: int) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return _link(self).do("call", self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Libraries look for protocols (`__array__`) that would let an object decide for them.
            raise AttributeError(name)
        return _link(self).do("attr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _link(self).do("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return _link(self).do("item", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _link(self).do("put", self, key, value)

    def __delitem__(self, key: Any) -> None:
        _link(self).do("drop", self, key)

    def __len__(self) -> int:
        return _of(int, _link(self).do("len", self))

    def __bool__(self) -> bool:
        return _of(bool, _link(self).do("bool", self))

    def __iter__(self) -> Iterator[Any]:
        items = _link(self).do("iter", self)
        while True:
            try:
                item = next(items)
            except StopIteration:
                return
            yield item

    def __next__(self) -> Any:
        return _link(self).do("next", self)

    def __str__(self) -> str:
        return _of(str, _link(self).do("str", self))

    def __repr__(self) -> str:
        return _of(str, _link(self).do("repr", self))

    def __int__(self) -> int:
        return _of(int, _link(self).do("int", self))

    def __float__(self) -> float:
        return _of(float, _link(self).do("float", self))


def _link(standin: Standin) -> Link:
    link: Link = object.__getattribute__(standin, "_link")
    return link


def _of(kind: type[_T], value: Any) -> _T:
    if type(value) is not kind:
        raise TypeError(f"`{type(value).__name__}` where a `{kind.__name__}` must be")
    return value


def _exception(names: Any, text: Any) -> BaseException:
    """Return the exception of the nearest built-in class."""
    if type(text) is not str or not all(type(name) is str for name in names):
        raise wire.WireError("no exception")
    text = " ".join(text.split())
    for name in names:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            break
    else:
        raise wire.WireError("no exception")
    if not issubclass(kind, Exception):
        return Fault(f"raised {kind.__name__}")
    try:
        error: BaseException = kind(text) if text else kind()
    except TypeError:  # the few that need more than a text, as UnicodeDecodeError
        error = next(base for base in (ValueError, Exception) if issubclass(kind, base))(text)
    return error


def _take_over(old: Any, new: Any) -> None:
    """Make an argument what the program made of its own copy."""
    if type(old) is not type(new):
        return
    if isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set | deque):
        old.clear()
        old.extend(new) if isinstance(old, deque) else old.update(new)
    elif hasattr(old, "__dict__") and not isinstance(old, Standin):
        vars(old).clear()
        vars(old).update(vars(new))
