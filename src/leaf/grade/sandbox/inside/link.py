"""The judge's end of the line to the process that runs the model's program (see `solver`)."""

from __future__ import annotations

import builtins
import inspect
import secrets
import socket
import sys
import threading
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import frames, mirrors, wire

if TYPE_CHECKING:
    from .plain import Node

_BY_NAME = type | types.FunctionType | types.BuiltinFunctionType


class Fault(BaseException):
    """The model's program cannot go on, so that it has failed; the text says why.

    No `except Exception` of a test may swallow it.
    """


class UnsentError(TypeError):
    """The tests do something with a program that cannot cross the border between them."""


class Link:
    """Asks the program for each use of it, and serves the functions that the tests give it."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._shared: Mapping[str, type] = {}
        self._codec = wire.Codec(0, self)
        self._mirrors = mirrors.Mirrors(self)
        self._given: list[Callable[..., Any]] = []
        self._numbers: dict[int, int] = {}
        self._lock = threading.RLock()
        self._input = builtins.input, sys.stdin
        self.fault: str | None = None
        """Why the program has failed for good, whatever its tests make of that."""
        self.doubt: str | None = None
        """What happened that may differ from one process, whatever its tests make of that."""
        self.lied = False
        """Whether it gave an object that equals everything."""
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

    def find(self, operation: str, text: str) -> tuple[bool, bool, Any]:
        """Return whether the program has a "name" or "entry", if it can be called, and itself."""
        said = self._ask(["do", self._codec.encode((operation, (text,)))])
        if type(said) is not tuple or len(said) != 3:
            self.fault = "gave an answer that cannot be read (no name)"
            raise Fault(self.fault)
        found, called, value = said
        self._mirrors.name(value)
        return found is True, called is True, value

    def do(self, operation: str, *operands: Any) -> Any:
        """Return the result of one of `solver.OPERATIONS`; raise what the program raises."""
        self.uses += 1
        if (builtins.input, sys.stdin) != self._input:
            raise self.unsettled("the tests give the program input of their own")
        return self._ask(["do", self._codec.encode((operation, operands))])

    def seed(self, *words: Any, **named: Any) -> None:
        """Start the program's random numbers anew."""
        self._ask(["do", self._codec.encode(("seed", (words, named)))])

    def unsettled(self, what: str) -> UnsentError:
        """Note what cannot be done across the border, and return the exception to raise."""
        self.doubt = self.doubt or what
        return UnsentError(what)

    def lies(self, value: Any) -> bool:
        """Whether an object of the program says that it equals what it cannot know."""
        try:
            equal = self.do("special", "__eq__", value, secrets.token_hex(8)) is True
        except Exception:  # it looks for what only its own kind has
            return False
        if not equal:
            return False
        self.lied = True
        return True

    def is_named(self, value: Any) -> bool:
        """Whether the tests themselves name the class of an object of the program."""
        return self._mirrors.is_named(type(value))

    def has(self, value: object) -> bool:
        """Whether a value is an object of the program."""
        return self._mirrors.number(value) is not None

    def _ask(self, message: list[Any]) -> Any:
        if self.fault is not None:
            raise Fault(self.fault)
        with self._lock:
            try:
                frames.send(self._line, message)
                while True:
                    kind, told, printed = frames.receive(self._line)
                    if printed:
                        sys.stdout.write(str(printed))
                    said = self._codec.decode(told)
                    if kind != "call":
                        break
                    self._serve(*said)
                if kind == "value":
                    return said
                raised, name, text = said
            except frames.FrameError as error:
                self.fault = f"ended without an answer ({error})"
            except (Fault, UnsentError):
                raise
            except Exception as error:  # a reply that is none of ours, whatever it provokes
                self.fault = f"gave an answer that cannot be read ({type(error).__name__})"
        if self.fault is None and not isinstance(raised, BaseException):
            self.fault = "gave an answer that cannot be read (no exception)"
        if self.fault is not None:
            raise Fault(self.fault)
        self.raised = raised
        self.said = f"raised {name}: {text}" if text else f"raised {name}"
        raise raised

    def _serve(self, number: int, args: Any, kwargs: Any) -> None:
        """Call a function of the tests for the program."""
        try:
            told = ["value", self._codec.encode(self._given[number](*args, **kwargs))]
        except UnsentError:
            raise
        except Exception as error:
            told = ["raised", self._codec.encode(error)]
        frames.send(self._line, told)

    def owner(self, part: Any) -> Any:
        """Return what says which class a changeable value has, if not one of Python's."""
        if type(part) in self._shared.values():
            return type(part).__name__
        return None

    def shell(self, _tag: str, owner: Any, value: Any) -> Any:
        """Return an empty value of the class that `owner` says."""
        if type(owner) is str:
            return object.__new__(self._shared[owner])
        self.doubt = self.doubt or "an object of its own class"
        return self._mirrors.changeable(*value(owner))

    def sent(self, part: Any, _item: Any) -> Node:
        """Return the node of what the tests give."""
        number = self._mirrors.number(part)
        if number is not None:
            return ["h", number]
        if isinstance(part, BaseException):
            names = (kind.__name__ for kind in type(part).__mro__)
            name = next(n for n in names if isinstance(getattr(builtins, n, None), type))
            return ["E", name, _item(part.args)]
        if isinstance(part, types.TracebackType):
            return ["tb"]
        place = _of_library(part)
        if place is not None:
            return ["g", *place]
        if callable(part) and not isinstance(part, type) and not inspect.iscoroutinefunction(part):
            return ["fn", self._give(part), getattr(part, "__name__", "function")]
        if hasattr(part, "__next__") and not hasattr(part, "read"):
            return ["iter", self._give(part.__next__), "next"]
        raise self.unsettled(f"a `{type(part).__name__}` cannot be given to a program")

    def received(self, node: Node, value: Any) -> Any:
        """Return what a node of the program says."""
        return self._mirrors.received(node, value)

    def _give(self, function: Callable[..., Any]) -> int:
        if id(function) not in self._numbers:
            self._numbers[id(function)] = len(self._given)
            self._given.append(function)
        return self._numbers[id(function)]


def _of_library(part: Any) -> tuple[str, str] | None:
    """Return module and name of what the standard library has, so that either side has it."""
    name, module = getattr(part, "__qualname__", None), getattr(part, "__module__", None)
    if isinstance(part, types.ModuleType):
        return None
    if type(name) is not str or not isinstance(part, _BY_NAME):
        return _method(part)
    module = module or "builtins"
    root = module.partition(".")[0]
    if (root not in sys.stdlib_module_names and root != "numpy") or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    for step in name.split("."):
        found = getattr(found, step, None)
    return (module, name) if found is part else None


def _method(part: Any) -> tuple[str, str] | None:
    """Return module and name of a method of a class of Python's own, such as `str.upper`."""
    kind = getattr(part, "__objclass__", None)
    if isinstance(kind, type) and kind.__module__ == "builtins":
        return "builtins", f"{kind.__qualname__}.{part.__name__}"
    return None
