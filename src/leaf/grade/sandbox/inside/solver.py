"""Runs a model's program and does with it what the judge asks; everything it says is untrusted.

The judge, in another sandbox, asks in messages (`frames`) of values (`wire`)::

    ["run", source, shared]        ->  ["value", null, null] or ["raised", names, text]
    ["names", names]               ->  ["value", those that the program defines, null]
    ["do", operation, operands]    ->  ["value", result, changed arguments or null]

and our own process, for a program that reads standard input::

    ["case", source, given]        ->  ["ended", status, standard output, end of standard error]

What is no plain data stays here, as a handle `["h", number]`; so does an object, unless the judge
has a class of its name (`shared`): then it is sent by its attributes.
"""

from __future__ import annotations

import builtins
import operator
import os
import sys
from _socket import socket

from . import frames, limits, wire

TYPE_CHECKING = False
if TYPE_CHECKING:  # a sandbox starts for every program: it must import little
    from collections.abc import Callable
    from typing import Any

OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda target, args, kwargs: target(*args, **kwargs),
    "attr": getattr,
    "set": setattr,
    "item": operator.getitem,
    "put": operator.setitem,
    "drop": operator.delitem,
    "len": len,
    "iter": iter,
    "next": next,
    "bool": bool,
    "str": str,
    "repr": repr,
    "int": int,
    "float": float,
}
"""What the judge may ask to do with an object that stays here."""

_TEXT = 300
"""Characters of an exception's message that are told."""


def main(memory: int, seconds: int) -> None:
    """Say that this sandbox is ready, then serve until the other side closes the socket."""
    line = socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    limits.confine(memory=memory, seconds=seconds)
    # An interpreter that starts without its site packages lacks these two; programs use them.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    frames.send(line, ["ready"])
    served = _Program()
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
    def __init__(self) -> None:
        self._module = type(sys)("solution")
        self._shared: frozenset[str] = frozenset()
        self._handles: list[object] = []
        self._numbers: dict[int, int] = {}

    def answer(self, kind: str, rest: list[Any]) -> list[Any]:
        try:
            if kind == "run":
                self._run(*rest)
                return ["value", self._told(None), None]
            if kind == "names":
                known = vars(self._module)
                return ["value", self._told({n: known[n] for n in rest[0] if n in known}), None]
            return self._do(*rest)
        except BaseException as error:
            return _raised(error)

    def _run(self, source: str, shared: list[str]) -> None:
        self._shared = frozenset(shared)
        sys.modules["solution"] = self._module  # as dataclasses and enums look themselves up
        exec(compile(source, "<solution>", "exec"), vars(self._module))  # noqa: S102

    def _do(self, operation: str, operands: Any) -> list[Any]:
        target, *rest = wire.decode(operands, self._received)
        result = OPERATIONS[operation](target, *rest)
        told = self._told(result)
        changed = None
        # What works in place and returns nothing is asked for what it did to its arguments.
        if operation == "call" and result is None and any(map(_mutable, rest[0])):
            changed = self._told(rest[0])
        return ["value", told, changed]

    def _told(self, value: object) -> list[Any]:
        return wire.encode(value, self._sent)

    def _sent(self, part: Any, item: Callable[[object], wire.Item]) -> wire.Node:
        if type(part).__name__ in self._shared:
            named = _attributes(part)
            return ["o", type(part).__name__, list(named), [item(one) for one in named.values()]]
        if id(part) not in self._numbers:
            self._numbers[id(part)] = len(self._handles)
            self._handles.append(part)
        return ["h", self._numbers[id(part)]]

    def _received(self, node: wire.Node, _empty: bool) -> Any:
        if node[0] == "h":
            return self._handles[node[1]]
        kind = vars(self._module).get(node[1])
        if not isinstance(kind, type):
            kind = type(node[1], (), {})
            setattr(self._module, node[1], kind)
        return object.__new__(kind)


def _attributes(part: object) -> dict[str, object]:
    slots = [name for kind in type(part).__mro__ for name in vars(kind).get("__slots__", ())]
    named = {name: getattr(part, name) for name in slots if hasattr(part, name)}
    named.update(getattr(part, "__dict__", {}))
    return {name: value for name, value in named.items() if not name.startswith("__")}


def _mutable(value: object) -> bool:
    return not isinstance(value, int | float | str | bytes | None)


def _raised(error: BaseException) -> list[Any]:
    """Return what an exception is to the judge: the names of its class and of its bases."""
    try:
        text = str(error)[:_TEXT]
    except BaseException:
        text = ""
    names = [kind.__name__ for kind in type(error).__mro__]
    return ["raised", names, text.encode("utf-8", "replace").decode()]
