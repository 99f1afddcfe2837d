"""Runs a model's program and does with it what the judge asks; everything it says is untrusted.

The judge, in another sandbox, asks in messages (`frames`) of values (`wire`)::

    ["run", source, shared]      ->  ["value", None, printed]
    ["do", operation, operands]  ->  ["value", result, printed] or ["raised", exception, printed]

and while it waits for that answer, the program may call a function of the tests::

    ["call", (number, args, kwargs)]  ->  ["value", result] or ["raised", exception]

Our own process asks for a program that reads standard input::

    ["case", source, given]      ->  ["ended", status, standard output, end of standard error]

What is no plain data stays here. The judge knows it by a number and the names of its class, and
asks for each use of it.
"""

from __future__ import annotations

import builtins
import importlib.util
import operator
import os
import sys
from _socket import socket

from . import exports, frames, limits, wire

TYPE_CHECKING = False
if TYPE_CHECKING:  # a sandbox starts for every program: it must import little
    from collections.abc import Callable
    from typing import Any

_SOLUTION = "/tmp/solution.py"  # noqa: S108

_PRINTED = 2**20
"""Bytes that one use of the program may print and the tests hear."""


def main(memory: int, seconds: int) -> None:
    """Say that this sandbox is ready, then serve until the other side closes the socket."""
    line = socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    printed = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)  # noqa: S108
    for number, file in enumerate((null, printed, null)):
        os.dup2(file, number)
    os.close(null)
    os.close(printed)
    limits.confine(memory=memory, seconds=seconds)
    # An interpreter that starts without its site packages lacks these two; programs use them.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    frames.send(line, ["ready"])
    served = _Program(line)
    while True:
        try:
            kind, *rest = frames.receive(line)
        except frames.FrameError:
            return
        if kind == "case":
            from . import script

            frames.send(line, ["ended", *script.run(*rest)])
        else:
            frames.send(line, served.answer(kind, rest))


class _Program:
    """The program, as an imported module."""

    def __init__(self, line: socket) -> None:
        self._line = line
        self._exports = exports.Exports(self._call)
        self._codec = wire.Codec(1, self._exports)

    def answer(self, kind: str, rest: list[Any]) -> list[Any]:
        """Return the answer to one request."""
        try:
            if kind == "run":
                self._run(*rest)
                value = None
            else:
                value = self._do(*self._codec.decode(rest[0]))
            said = ["value", self._told(value)]
        except BaseException as error:
            said = self._raised(error)
        return [*said, _printed()]

    def _run(self, source: str, shared: list[str]) -> None:
        """Import the program, as from a file beside the tests."""
        with open(_SOLUTION, "wb") as file:  # noqa: PTH123
            file.write(source.encode("utf-8", "surrogatepass"))
        sys.path.insert(0, "/tmp")  # noqa: S108
        sys.argv = ["tests.py"]
        self._exports.shared = frozenset(shared)
        spec: Any = importlib.util.spec_from_file_location("solution", _SOLUTION)
        self._exports.program = sys.modules["solution"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._exports.program)

    def _do(self, operation: str, operands: tuple[Any, ...]) -> Any:
        if operation in {"entry", "name"}:
            return self._named(operation, *operands)
        return OPERATIONS[operation](*operands)

    def _named(self, operation: str, text: str) -> Any:
        """Return (found or not, value) of what a name or an expression means in the program."""
        space = vars(self._exports.program)
        if operation == "name":
            found = text in space
            value = space.get(text)
        else:
            found = text.partition("(")[0].partition(".")[0] in space
            value = eval(text, space) if found else None  # noqa: S307
        # Also where it is one of Python's own: the judge must ask for each use of it.
        return found, callable(value), exports.Kept(value) if callable(value) else value

    def _call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of the tests, for the program."""
        frames.send(self._line, ["call", self._told((number, args, kwargs)), _printed()])
        while True:
            kind, *rest = frames.receive(self._line)
            if kind == "value":
                return self._codec.decode(rest[0])
            if kind == "raised":
                raise self._codec.decode(rest[0])
            frames.send(self._line, self.answer(kind, rest))  # it uses the program meanwhile

    def _raised(self, error: BaseException) -> list[Any]:
        """Return what is told of an exception."""
        # The frames hold what the program had; the next look for what nobody has would miss it.
        error.__traceback__ = None
        text = exports.text_of(error)
        name = type(error).__name__
        try:
            return ["raised", self._told((error, name, text))]
        except BaseException as worse:
            return ["raised", self._told((ValueError(str(worse)), name, text))]

    def _told(self, value: Any) -> list[Any]:
        message = self._codec.encode(value)
        self._exports.settle()
        return message


def _printed() -> str:
    """Return what was printed since the last look."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        if sys.stdout is not sys.__stdout__:
            sys.stdout.flush()
    except Exception:  # noqa: S110 - a stream of the program's own may do anything
        pass
    try:
        if not os.fstat(1).st_size:
            return ""
        text = os.pread(1, _PRINTED, 0)
        os.ftruncate(1, 0)
    except OSError:
        return ""
    return text.decode("utf-8", "replace")


def _await(awaited: Any) -> Any:
    """Return what something awaitable gives."""
    import asyncio

    async def whole() -> Any:
        return await awaited

    if not _LOOPS:
        _LOOPS.append(asyncio.new_event_loop())
        asyncio.set_event_loop(_LOOPS[0])
    return _LOOPS[0].run_until_complete(whole())


_LOOPS: list[Any] = []
"""The one loop in which the program's coroutines run, once there is one."""


def _copied(target: Any, *, deep: bool) -> Any:
    import copy

    return copy.deepcopy(target) if deep else copy.copy(target)


def _seed(words: tuple[Any, ...], named: dict[str, Any]) -> None:
    import random

    random.seed(*words, **named)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda target, args, kwargs: target(*args, **kwargs),
    "special": lambda name, target, *args: getattr(type(target), name)(target, *args),
    "attr": getattr,
    "set": setattr,
    "del": delattr,
    "item": operator.getitem,
    "len": len,
    "in": lambda target, part: part in target,
    "iter": iter,
    "await": _await,
    "copy": lambda target: _copied(target, deep=False),
    "deepcopy": lambda target: _copied(target, deep=True),
    "seed": _seed,
}
"""What the judge may ask to do with an object that stays here."""
