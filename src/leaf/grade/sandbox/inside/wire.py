"""Python values as JSON, for two processes of which one trusts nothing that the other says.

A message is `[nodes, root, dropped]`. A scalar stands for itself; anything else is one node and is
referred to as `[number]`, so shared and circular structure survives and nothing nests deeply::

    (1, (2, None))  ->  [[["t", [1, [1]]], ["t", [2, None]]], [0], []]

What can change (a list, a dict, a set ...) has a number of its own in both processes. Each message
says what became of all such values since the last one, so that both have the same content whenever
either runs: an argument that a function sorts is sorted for its caller, and what is appended to the
list of an object is appended to the object's. A number is dropped when nobody but the table has
the value any more.

No name in a message is ever imported or evaluated: a tag is looked up in a table, and what is no
plain data is left to whoever reads (`Others`).
"""

from __future__ import annotations

import sys

from . import containers, plain

TYPE_CHECKING = False
if TYPE_CHECKING:  # a sandbox starts for every program: it must import little
    from collections.abc import Callable
    from typing import Any, Protocol

    from .plain import Item, Node

    class Others(Protocol):
        """What a process does with values that are no plain data."""

        def sent(self, part: Any, item: Callable[[object], Item]) -> Node:
            """Return the node of a value; its tag is none of ours."""

        def received(self, node: Node, value: Callable[[Item], Any]) -> Any:
            """Return the value of such a node."""

        def owner(self, part: Any) -> Any:
            """Return what says which class a changeable value has, if not one of Python's."""

        def shell(self, tag: str, owner: Any, value: Callable[[Item], Any]) -> Any:
            """Return an empty value of the class that `owner` said."""


WireError = plain.WireError

_SCALARS = (bool, str, float, int)

_EXACT = 2**63
"""Integers up to here are written as JSON; longer ones in hexadecimal, which takes linear time."""


class _Entry:
    """A value that both processes have, and what was in it when they last agreed."""

    __slots__ = ("content", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.content: Any = None

    def held(self) -> int:
        """Count who has the value."""
        return sys.getrefcount(self.value)


_ALONE = _Entry([]).held()
"""What `held` counts where the entry alone has its value."""


class Codec:
    """One end of the line: writes and reads messages."""

    def __init__(self, first: int, others: Others) -> None:
        """Set the first number that this end gives; the other end must begin with another parity.

        Args:
            first: 0 or 1.
            others: For what is no plain data.
        """
        self._next = first
        self._others = others
        self._entries: dict[int, _Entry] = {}
        self._numbers: dict[int, int] = {}
        self._dropped: list[int] = []

    def encode(self, value: object) -> list[Any]:
        """Return the message of a value, and of all that changed since the last message.

        Raises:
            WireError: from `others`, where a value cannot be sent.
        """
        nodes: list[Node | None] = []
        numbers: dict[int, int] = {}
        # Kept alive until the end, or a later temporary could take the identity of an earlier one.
        kept: list[object] = []
        pending: list[int] = []

        def item(part: object) -> Item:
            kind = type(part)
            if part is None or kind is str or kind is float or kind is bool:
                return part
            if kind is int and -_EXACT < part < _EXACT:  # type: ignore[operator]
                return part
            if id(part) not in numbers:
                numbers[id(part)] = len(nodes)
                pending.append(len(nodes))
                kept.append(part)
                nodes.append(None)
            return [numbers[id(part)]]

        changed = {
            number
            for number, entry in self._entries.items()
            if not containers.unchanged(entry.value, entry.content)
        }
        root = item(value)
        for number in changed:
            item(self._entries[number].value)
        while pending:
            at = pending.pop()
            nodes[at] = self._node(kept[at], item, changed)
        dropped, self._dropped = self._dropped, []
        return [nodes, root, dropped]

    def _node(self, part: Any, item: Callable[[object], Item], changed: set[int]) -> Node:
        number = self._numbers.get(id(part))
        if number is not None and number not in changed:
            return ["=", number]
        tag = containers.tag_of(part)
        owner = self._others.owner(part)
        if tag is None and owner is None:
            writer = plain.writer_of(part)
            return self._others.sent(part, item) if writer is None else writer(part, item)
        if number is None:
            number, self._next = self._next, self._next + 2
            self._register(number, part)
        entry = self._entries[number]
        entry.content = containers.content(part)
        told = item(owner) if owner is not None else None
        return [tag or "o", number, told, *containers.written(part, item)]

    def decode(self, message: object) -> Any:
        """Return the value of a message, whoever wrote it; all that it says changed is changed.

        Raises:
            WireError: it is not a message.
        """
        try:
            parts: Any = message
            nodes, root, *more = parts
            reader = _Reader(nodes, self._others, self._entries, self._register)
            value = reader.read(root)
            for number in more[0] if more else ():
                self._drop(number)
            self._sweep()
        except WireError:
            raise
        except Exception as error:  # whatever a hostile message can provoke: it is no message
            raise WireError(f"no message: {type(error).__name__}") from error
        return value

    def _register(self, number: int, part: Any) -> None:
        self._entries[number] = _Entry(part)
        self._numbers[id(part)] = number

    def _drop(self, number: int) -> None:
        entry = self._entries.pop(number, None)
        if entry is not None:
            del self._numbers[id(entry.value)]

    def _sweep(self) -> None:
        """Drop what nobody has any more, whatever holds something before what it holds."""
        dropped = True
        while dropped:
            dropped = False
            for number in list(self._entries):
                if self._entries[number].held() <= _ALONE:
                    self._drop(number)
                    self._dropped.append(number)
                    dropped = True


class _Reader:
    def __init__(
        self,
        nodes: list[Node],
        others: Others,
        entries: dict[int, _Entry],
        register: Callable[[int, Any], None],
    ) -> None:
        self._nodes = nodes
        self._others = others
        self._entries = entries
        self._register = register
        self._built: dict[int, Any] = {}
        self._open: set[int] = set()

    def read(self, root: Item) -> Any:
        # What can hold itself stands, empty, before it is filled; what has keys comes last, since
        # the hash of an object may need its attributes.
        changeable = [
            (at, node)
            for at, node in enumerate(self._nodes)
            if node[0] == "o" or node[0] in containers.SHELLS
        ]
        for at, node in changeable:
            self._built[at] = self._shell(node)
        for keyed in (False, True):
            for at, node in changeable:
                if (node[0] in containers.KEYED) is keyed:
                    containers.fill(self._built[at], node[0], node[3:], self._value)
        for at, node in changeable:
            self._entries[node[1]].content = containers.content(self._built[at])
        return self._value(root)

    def _shell(self, node: Node) -> Any:
        tag, number, owner = node[:3]
        if type(number) is not int:
            raise WireError("no number")
        if number in self._entries:
            return self._entries[number].value
        if owner is None:
            shell = containers.SHELLS[tag]()
        else:
            shell = self._others.shell(tag, owner, self._value)
        self._register(number, shell)
        return shell

    def _value(self, item: Item) -> Any:
        if item is None or type(item) in _SCALARS:
            return item
        (at,) = item
        if type(at) is not int or not 0 <= at < len(self._nodes):
            raise WireError("no such node")
        if at not in self._built:
            if at in self._open:
                raise WireError("a tuple that holds itself")
            self._open.add(at)
            self._built[at] = self._whole(self._nodes[at])
        return self._built[at]

    def _whole(self, node: Node) -> Any:
        """Return the value of a node that cannot hold itself."""
        tag, *rest = node
        if tag == "=":
            return self._entries[rest[0]].value
        reader = plain.READERS.get(tag)
        return (
            self._others.received(node, self._value)
            if reader is None
            else reader(self._value, *rest)
        )
