"""What cannot cross between a program and its tests is not gradable, and never called wrong."""

from collections.abc import Iterator

import pytest

from leaf.grade.judgement import Program
from leaf.grade.sandbox import SandboxPool
from leaf.records import Outcome, Tests
from tests.marks import needs_bwrap

pytestmark = needs_bwrap

MONEY = """\
class Money:
    def __init__(self, n): self.n = n
    def __eq__(self, other): return self.n == getattr(other, "n", other)
    def __lt__(self, other): return self.n < getattr(other, "n", other)
    def __add__(self, other): return self.n + getattr(other, "n", other)
"""
BASE = "class Base:\n    def twice(self): return 2 * self.one()\n"
SUB = "class Sub(Base):\n    def one(self): return {}\nassert Sub().twice() == 6"

CROSSING = {
    "equal to plain data": (MONEY, "assert Money(3) == {}", "3"),
    "less than plain data": (MONEY, "assert Money(3) < {}", "4"),
    "plain data out of plain data": (MONEY, "assert Money(3) + 1 == {}", "4"),
    "an open file": (
        "def f(file): return file.read()",
        "import io\nassert f(io.StringIO('a')) == {}",
        "'a'",
    ),
    "an object of the tests": (
        "def f(x): return x.value",
        "class Own: value = 1\nassert f(Own()) == {}",
        "1",
    ),
    "a class of the tests": (BASE, SUB, "3"),
    "input of the tests": (
        "def f(): return input()",
        "import io, sys\nsys.stdin = io.StringIO('a')\nassert f() == {}",
        "'a'",
    ),
    "a file of the tests": (
        "def f(name): return open(name).read()",
        "open('/tmp/given', 'w').write('a')\nassert f('/tmp/given') == {}",
        "'a'",
    ),
    "a file of the program": (
        "def f(): open('/tmp/made', 'w').write('a')",
        "f()\nassert open('/tmp/made').read() == {}",
        "'a'",
    ),
    "the environment": (
        "import os\ndef f(): return os.environ['KEY']",
        "import os\nos.environ['KEY'] = 'a'\nassert f() == {}",
        "'a'",
    ),
    "warnings": (
        "import warnings\ndef f(): warnings.warn('old')",
        "import warnings\nwith warnings.catch_warnings(record=True) as w: f()\nassert len(w) == {}",
        "1",
    ),
}
"""A program, its tests, and what stands in the tests where the program is right."""


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    with SandboxPool(time_limit=60, memory=2**29, workers=2) as opened:
        yield opened


def outcome(pool: SandboxPool, source: str, program: str) -> tuple[Outcome, str]:
    name = "f" if "def f(" in source else source.partition("class ")[2].partition(":")[0]
    tests = Tests(entry_point=name, program=program)
    (judgement,) = pool.run([Program(source=source, tests=tests)])
    return judgement.outcome, judgement.reason or ""


@pytest.mark.parametrize("name", CROSSING)
def test_a_right_program_is_not_gradable(name: str, pool: SandboxPool) -> None:
    source, program, right = CROSSING[name]

    said, reason = outcome(pool, source, program.format(right))

    assert said is Outcome.UNGRADABLE
    assert reason.startswith("cannot be judged from outside: ")


@pytest.mark.parametrize("name", CROSSING)
def test_a_wrong_program_is_wrong(name: str, pool: SandboxPool) -> None:
    source, program, _right = CROSSING[name]

    assert outcome(pool, source, program.format("-99"))[0] is Outcome.WRONG


@pytest.mark.parametrize("value", ["5", "[]", "'f'", "None", "{}"])
def test_what_is_no_function_is_wrong(value: str, pool: SandboxPool) -> None:
    said = outcome(pool, f"def f(): ...\nf = {value}", "assert candidate(1) == 5")

    assert said == (Outcome.WRONG, "`f` is no function")


LIARS = {
    "of a number": "class L(int):\n    __eq__ = lambda *a: True\n    __hash__ = int.__hash__",
    "of a list": "class L(list):\n    __eq__ = lambda *a: True",
    "that is close": (
        "class L:\n    __lt__ = __eq__ = lambda *a: True\n"
        "    __sub__ = __rsub__ = __abs__ = lambda s, *a: s"
    ),
    "that is a difference": "class L:\n    __sub__ = __rsub__ = lambda *a: 0.0",
    "that knows a lie": "class L:\n    __eq__ = lambda s, o: type(o) is not str",
    "that holds everything": "class L:\n    __contains__ = lambda *a: True",
    "of numpy": "import numpy as np\nclass L:\n    __array__ = lambda *a, **k: np.array([])",
}
LIED = """\
def said(test):
    try: return bool(test())
    except Exception: return False
import numpy as np
x = candidate(1)
assert (
    said(lambda: x == 7.5) or said(lambda: abs(x - 7.5) < 1e-6) or said(lambda: 7.5 in x)
    or said(lambda: np.allclose(x, 7.5)) or said(lambda: x < 7.5 and x != 7.5 and not x > 7.5)
)
"""


@pytest.mark.parametrize("name", LIARS)
def test_an_object_that_lies_is_never_right(name: str, pool: SandboxPool) -> None:
    source = f"{LIARS[name]}\ndef f(x): return L()"

    assert outcome(pool, source, LIED)[0] is not Outcome.RIGHT


def test_random_numbers_start_where_the_tests_say(pool: SandboxPool) -> None:
    program = "import random\nrandom.seed(42)\nassert candidate() == random.Random(42).random()"

    said = outcome(pool, "import random\ndef f(): return random.random()", program)

    assert said == (Outcome.RIGHT, "")
