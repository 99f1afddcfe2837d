"""Values survive the wire, and no message can do more than be a value or be refused."""

import contextlib
import datetime
import math
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaf.grade.sandbox.inside import wire


class Refusing:
    """Knows nothing but plain data and the classes of Python's own."""

    def sent(self, part: Any, _item: Any) -> list[Any]:
        if isinstance(part, type):
            return ["T", part.__name__]
        raise wire.WireError("of no known class")

    def received(self, _node: list[Any], _value: Any) -> Any:
        raise wire.WireError("of no known class")

    def owner(self, _part: Any) -> Any:
        return None

    def shell(self, _tag: str, _owner: Any, _value: Any) -> Any:
        raise wire.WireError("of no known class")


class Ends:
    """Both ends of a line."""

    def __init__(self) -> None:
        self.here = wire.Codec(0, Refusing())
        self.there = wire.Codec(1, Refusing())

    def send(self, value: object) -> Any:
        return self.there.decode(self.here.encode(value))

    def reply(self, value: object) -> Any:
        return self.here.decode(self.there.encode(value))


def there_and_back(value: object) -> Any:
    return Ends().send(value)


PLAIN = [
    None, True, False, 0, -1, 2**63, -(2**9000), 0.1, math.inf, "", "é\ud800", b"\x00\xff",
    bytearray(b"x"), 1 - 2j, [1, [2]], (1, (2,)), {1, 2}, frozenset({(1, 2)}), {(1, 2): [3]},
    range(3, 9, 2), deque([1], maxlen=2), Decimal("1.10"), Fraction(1, 3), Counter("aab"),
    OrderedDict(b=1, a=2), datetime.datetime(2024, 2, 29, 1, 2), datetime.date(2024, 2, 29),
    datetime.time(1, 2), datetime.timedelta(days=-1, microseconds=5), int, slice(1, None), ...,
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    defaultdict(list, a=[1]), NotImplemented,
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:30])
def test_a_value_keeps_its_type_and_content(value: object) -> None:
    got = there_and_back(value)

    assert type(got) is type(value)
    assert got == value


def test_nan_stays_nan() -> None:
    assert math.isnan(there_and_back([math.nan])[0])


def test_arrays_keep_shape_and_dtype() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)

    got = there_and_back(array)

    assert got.dtype == array.dtype
    assert (got == array).all()
    assert type(there_and_back(np.int64(3))) is np.int64


def test_shared_and_circular_structure_survives() -> None:
    part = [1]
    value: list[Any] = [part, part]
    value.append(value)

    got = there_and_back(value)

    assert got[0] is got[1]
    assert got[2] is got


def test_nesting_deeper_than_the_stack_survives() -> None:
    value: list[Any] = []
    for _ in range(20_000):
        value = [value]

    got, depth = there_and_back(value), 0
    while got:
        (got,) = got
        depth += 1

    assert depth == 20_000


def test_arrays_of_text_and_dates_survive() -> None:
    for array in (np.array(["a", "bcd"]), np.array(["2024-02-29"], dtype="M8[D]")):
        assert (there_and_back(array) == array).all()


def test_what_one_end_changes_is_changed_at_the_other() -> None:
    ends = Ends()
    mine = {"rows": [[1], [2]], "seen": {1}, "queue": deque([1]), "bytes": bytearray(b"a")}

    yours = ends.send(mine)
    yours["rows"][0].append(3)
    yours["rows"].append(yours["rows"])
    yours["seen"].clear()
    yours["queue"].appendleft(0)
    yours["bytes"] += b"b"
    del yours["bytes"]
    first = mine["rows"][0]  # type: ignore[index]
    assert ends.reply(None) is None

    assert first == [1, 3]
    assert mine["rows"][2] is mine["rows"]  # type: ignore[index]
    assert mine["seen"] == set()
    assert list(mine) == ["rows", "seen", "queue"]
    mine["rows"][0] = 5  # type: ignore[index]
    ends.send(None)
    assert yours["rows"][:2] == [5, [2]]


def test_a_value_that_comes_back_is_the_same_object() -> None:
    ends = Ends()
    mine = [[1], 2]

    yours = ends.send(mine)

    assert ends.reply((yours, yours[0]))[0] is mine
    assert ends.reply(yours[0]) is mine[0]


def test_what_nobody_has_any_more_is_forgotten() -> None:
    ends = Ends()
    for number in range(50):
        ends.send([[number], {number: [number]}])
        ends.reply([number])

    assert len(ends.here._entries) < 10
    assert len(ends.there._entries) < 10


def test_a_subclass_becomes_its_builtin_so_that_it_decides_nothing() -> None:
    class Liar(list):  # type: ignore[type-arg]
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    got = there_and_back(Liar([3]))

    assert type(got) is list
    assert got != [4]


BAD = [
    None, 1, "x", [], [[]], [[], [0]], [[], [0], []], [[["l", 1, None, [[-1]]]], [0], []],
    [[["l", 1, None, [[True]]]], [0], []], [[["l", "1", None, []]], [0], []],
    [[["t", [[0]]]], [0], []], [[["zz"]], [0], []], [[["T", "eval"]], [0], []], [[[]], [0], []],
    [[{}], [0], []], [[["n", 1, None, "O", [1], "00"]], [0], []], [[["F", 1, 0]], [0], []],
    [[["i", "z"]], [0], []], [[["s", 1, None, [[1]]], ["l", 3, None, []]], [0], []],
    [[["o", 1, "X", ["__class__"], [1]]], [0], []], [[["o", 1, None, [], []]], [0], []],
    [[["=", 7]], [0], []], [[["datetime", "now"]], [0], []], [[["r", 1, 2, 0]], [0], []],
    [[["b", "0"]], [0], []], [[], {}, []], [[], 1, 5], [[["C", 1, None, [1], []]], [0], []],
]  # fmt: skip


@pytest.mark.parametrize("message", BAD, ids=lambda message: repr(message)[:40])
def test_what_is_no_message_is_refused(message: object) -> None:
    with pytest.raises(wire.WireError):
        wire.Codec(0, Refusing()).decode(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.sampled_from("ltsdqonbTxuiF"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_no_message_raises_anything_else(message: object) -> None:
    with contextlib.suppress(wire.WireError):
        wire.Codec(0, Refusing()).decode(message)


def test_only_classes_of_pythons_own_have_a_name() -> None:
    for name in ("eval", "exec", "open", "getattr", "__import__", "compile", "globals"):
        with pytest.raises(wire.WireError):
            wire.Codec(0, Refusing()).decode([[["T", name]], [0], []])
