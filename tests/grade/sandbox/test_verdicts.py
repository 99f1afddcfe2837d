"""What programs are judged: the pool as graders use it, with real sandboxes."""

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from leaf.errors import SandboxError
from leaf.grade.judgement import Judgement, Program
from leaf.grade.sandbox import SandboxPool
from leaf.grade.sandbox.bubble import Layout, Sandbox
from leaf.records import Case, Outcome, Tests
from tests.marks import needs_bwrap

pytestmark = needs_bwrap

ADD = Tests(entry_point="add", program="assert candidate(1, 2) == 3\nassert add(2, 2) == 4")
SUM = Tests(cases=(Case(given="1 2\n", expected="3\n"), Case(given="1 5\n", expected="6.0")))
LISTS = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next
def chain(values):
    node = None
    for value in reversed(values): node = ListNode(value, node)
    return node
def values(node):
    found = []
    while node: found.append(node.val); node = node.next
    return found
"""
REVERSE = """
class Solution:
    def reverse(self, head):
        done = None
        while head: head.next, done, head = done, head, head.next
        return done
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    with SandboxPool(time_limit=30, memory=512 * 2**20, workers=2) as opened:
        yield opened


def one(pool: SandboxPool, source: str, tests: Tests) -> Judgement:
    return pool.run([Program(source=source, tests=tests)])[0]


RIGHT = {
    "function": ("def add(a, b): return a + b", ADD),
    "numpy": ("import numpy as np\ndef add(a, b): return np.add(a, b)", ADD),
    "generator": (
        "def count(n):\n    yield from range(n)",
        Tests(entry_point="count", program="assert list(candidate(3)) == [0, 1, 2]"),
    ),
    "exception": (
        "def f(x): raise KeyError('k')",
        Tests(
            entry_point="f",
            program="try: candidate(1)\nexcept LookupError: pass\nelse: assert False",
        ),
    ),
    "stateful object": (
        "class Box:\n    def __init__(self): self.items = []\n"
        "    def put(self, x): self.items.append(x)\n    def __len__(self): return len(self.items)",
        Tests(
            entry_point="Box",
            program="b = Box()\nb.put(4)\nb.put(x=5)\nassert b.items == [4, 5] and len(b) == 2",
        ),
    ),
    "in place": (
        "def order(x): x.sort()",
        Tests(entry_point="order", program="x = [3, 1]\nassert order(x) is None and x == [1, 3]"),
    ),
    "node class": (
        REVERSE,
        Tests(
            entry_point="Solution().reverse",
            preamble=LISTS,
            helpers=LISTS,
            program="assert values(candidate(chain(range(3000)))) == list(range(3000))[::-1]",
        ),
    ),
    "second function": (
        "def f(x): return g(x)\ndef g(x): return x + 1",
        Tests(entry_point="f", program="assert f(1) == 2 and g(2) == 3"),
    ),
    "module of the tests": (
        "math = None\ndef f(x): return 4",
        Tests(entry_point="f", program="assert math.sqrt(candidate(1)) == 2"),
    ),
    "cases of a function": (
        "class Solution:\n    def pair(self, a, b): return (a, b)",
        Tests(entry_point="Solution().pair", cases=(Case(given="[1]\n2", expected="[[1], 2]"),)),
    ),
    "script": ("a, b = map(int, input().split())\nprint(a + b)", SUM),
    "script that exits": (
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))\nexit()",
        SUM,
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_passes(name: str, pool: SandboxPool) -> None:
    source, tests = RIGHT[name]
    assert one(pool, source, tests) == Judgement(outcome=Outcome.RIGHT, extracted=source)


CLOSE = "import numpy as np\nassert np.allclose(candidate(1), {}, atol=1e-6)"


@pytest.mark.parametrize(
    ("returned", "expected", "outcome"),
    [
        ("[]", "2.5", "wrong"),
        ("np.array([])", "2.5", "wrong"),
        ("[2.5]", "2.5", "wrong"),
        ("2.5", "[2.5, 2.5]", "wrong"),
        ("[[]]", "[2.5]", "wrong"),
        ("[5.0]", "[]", "wrong"),
        ("2.5000001", "2.5", "right"),
        ("[1, 2.5]", "(1, 2.5)", "right"),
        ("[]", "[]", "right"),
        ("np.array([1e-9, 0])", "0", "right"),
    ],
)
def test_nothing_of_another_shape_is_close(
    returned: str, expected: str, outcome: str, pool: SandboxPool
) -> None:
    tests = Tests(entry_point="f", program=CLOSE.format(expected))
    judgement = one(pool, f"import numpy as np\ndef f(x): return {returned}", tests)
    assert judgement.outcome == outcome


SCRIPTS = {
    "a thread that is not joined": (
        "import threading, time\n"
        "def run(): time.sleep(0.1); print(sum(map(int, input().split())))\n"
        "threading.Thread(target=run).start()"
    ),
    "a class of its own for output": (
        "import os, sys, io\n"
        "class Fast(io.IOBase):\n"
        "    def __init__(self): self.text = []\n"
        "    def write(self, text): self.text.append(text)\n"
        "    def flush(self): os.write(1, ''.join(self.text).encode()); self.text = []\n"
        "sys.stdout = Fast()\n"
        "print(sum(map(int, input().split())))"
    ),
    "the first standard output": (
        "import sys\nsys.__stdout__.write(str(sum(map(int, sys.__stdin__.readline().split()))))"
    ),
    "at exit": (
        "import atexit\nn = sum(map(int, input().split()))\natexit.register(lambda: print(n))"
    ),
    "/dev/stdin": "print(sum(map(int, open('/dev/stdin').read().split())))",
    "/dev/stdout": "open('/dev/stdout', 'w').write(str(sum(map(int, input().split()))))",
    "/dev/fd": "print(sum(map(int, open('/dev/fd/0').read().split())))",
    "its own file": (
        "import os\nassert os.path.samefile(__file__, 'solution.py')\n"
        "print(sum(map(int, input().split())))"
    ),
    "a pool": (
        "from multiprocessing import Pool\n"
        "if __name__ == '__main__':\n"
        "    with Pool(2) as pool: print(sum(pool.map(int, input().split())))"
    ),
    "processes that are started anew": (
        "import multiprocessing as m\n"
        "def work(q, a): q.put(int(a))\n"
        "if __name__ == '__main__':\n"
        "    c = m.get_context('spawn'); q = c.Queue()\n"
        "    all = [c.Process(target=work, args=(q, a)) for a in input().split()]\n"
        "    for p in all: p.start()\n"
        "    print(sum(q.get() for _ in all))"
    ),
    "a child that prints last": (
        "import os, time\nn = sum(map(int, input().split()))\n"
        "if os.fork() == 0: time.sleep(0.1); print(n)"
    ),
    "annotations of the future": (
        "from __future__ import annotations\ndef f(x: Later): print(x)\n"
        "f(sum(map(int, input().split())))"
    ),
    "exit with its name": "print(sum(map(int, input().split())))\nquit()",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_as_under_cpython(name: str, pool: SandboxPool) -> None:
    tests = Tests(preamble="import math", cases=SUM.cases)
    judgement = one(pool, SCRIPTS[name], tests)
    assert (judgement.outcome, judgement.reason) == (Outcome.RIGHT, None)


WRONG = {
    "def add(a, b): return 3": (ADD, "assertion failed"),
    "def add(a, b): return None": (ADD, "assertion failed"),
    "def add(a, b): raise ValueError('no')": (ADD, "raised ValueError: no"),
    "def sub(a, b): return 3": (ADD, "does not define `add`"),
    "def add(a, b) return 3": (ADD, "raised SyntaxError: expected ':' (solution.py, line 1)"),
    "def add(a, b): return [0] * 10**9": (ADD, "needs more than 512 MiB"),
    "print(3)": (SUM, "wrong output of case 2"),
    "1 / 0": (SUM, "failed in case 1: ZeroDivisionError: division by zero"),
    "def f(x): return 1": (
        Tests(
            entry_point="f", cases=(Case(given="1", expected="1"), Case(given="1", expected="2"))
        ),
        "wrong result of case 2",
    ),
}


@pytest.mark.parametrize("source", WRONG)
def test_a_wrong_program_fails_with_its_reason(source: str, pool: SandboxPool) -> None:
    tests, reason = WRONG[source]
    judgement = one(pool, source, tests)
    assert (judgement.outcome, judgement.reason) == (Outcome.WRONG, reason)


BROKEN = {
    "assert candidate(": "its tests cannot be run: File",
    "import no_such_module": "its tests cannot be run: ModuleNotFoundError",
    "def check(candidate): assert candidate(1) == 2": "its tests never use the program",
    "class Own: pass\ncandidate(Own())": "cannot be judged from outside: a `Own` cannot be given",
    "": "the problem has no tests",
}


@pytest.mark.parametrize("program", BROKEN)
def test_broken_tests_blame_nobody(program: str, pool: SandboxPool) -> None:
    judgement = one(pool, "def f(x): return 1", Tests(entry_point="f", program=program))
    assert judgement.outcome is Outcome.UNGRADABLE
    assert judgement.reason is not None
    assert judgement.reason.startswith(BROKEN[program])


def test_too_slow_is_wrong_and_the_next_program_is_judged() -> None:
    with SandboxPool(time_limit=1, memory=2**29, workers=1) as pool:
        slow = one(pool, "def add(a, b):\n    while True: pass", ADD)
        assert slow.reason == "took longer than 1 s"
        endless = Tests(entry_point="add", program="candidate(1, 2)\nwhile True: pass")
        assert one(pool, "def add(a, b): return 3", endless).reason == "took longer than 1 s"
        pool.close()  # and it opens again


def test_the_start_of_the_judge_is_not_the_programs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Layout.start

    def late(layout: Layout, module: str, **limits: Any) -> Sandbox:
        if module == "judge":
            time.sleep(1.5)
        return start(layout, module, **limits)

    monkeypatch.setattr(Layout, "start", late)
    with SandboxPool(time_limit=1, memory=2**29, workers=1) as pool:
        assert one(pool, "def add(a, b): return a + b", ADD).outcome is Outcome.RIGHT


def test_order_is_kept_and_nothing_is_left() -> None:
    before = psutil.Process().num_fds()
    others = psutil.Process().children(recursive=True)
    programs = [
        Program(source=f"def add(a, b): return {n % 2} or a + b", tests=ADD) for n in range(20)
    ]
    with SandboxPool(time_limit=30, memory=2**29, workers=2) as pool:
        outcomes = [judgement.outcome for judgement in pool.run(programs)]
    assert outcomes == [Outcome.WRONG if n % 2 else Outcome.RIGHT for n in range(20)]
    assert psutil.Process().children(recursive=True) == others
    assert psutil.Process().num_fds() == before


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("bwrap", "`apt-get install bubblewrap` installs it"),
        ("setpriv", "`apt-get install util-linux` installs it"),
    ],
)
def test_without_its_tools_nothing_runs(
    missing: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "setpriv" and os.geteuid() != 0:
        pytest.skip("only root needs setpriv")
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else which(name))
    with (
        SandboxPool(time_limit=1, memory=2**29, workers=1) as pool,
        pytest.raises(SandboxError, match=line),
    ):
        one(pool, "def add(a, b): return 3", ADD)


def test_nothing_starts_for_no_program() -> None:
    others = psutil.Process().children(recursive=True)
    with SandboxPool(time_limit=1, memory=2**29, workers=1) as pool:
        assert pool.run([]) == []
        assert psutil.Process().children(recursive=True) == others
