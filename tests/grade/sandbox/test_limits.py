"""What a sandbox may hold of this machine: memory of every kind, files, calls of the kernel."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from leaf.grade.judgement import Program
from leaf.grade.sandbox import SandboxPool
from leaf.records import Case, Outcome, Tests
from tests.marks import needs_bwrap

pytestmark = needs_bwrap

TESTS = Tests(entry_point="f", program="assert candidate(1) == 2")
SCRIPT = Tests(cases=(Case(given="", expected="2"),))


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    with SandboxPool(time_limit=15, memory=256 * 2**20, workers=1) as opened:
        yield opened


def reason(pool: SandboxPool, source: str, tests: Tests = TESTS) -> str:
    (judgement,) = pool.run([Program(source=source, tests=tests)])
    assert judgement.outcome is Outcome.WRONG
    return judgement.reason or ""


def called(body: str) -> str:
    lines = "\n".join("    " + line for line in body.splitlines())
    return f"import ctypes, mmap, os, time\ndef f(x):\n{lines}\n    return 2\n"


FILLED = """
    for at in range(0, len(shared), 4096): shared[at] = 1
"""
SHARED = {
    "children that share": f"""
for _ in range(4):
    if os.fork() == 0:
        shared = mmap.mmap(-1, 120 * 2**20){FILLED.replace("    ", "        ")}
        time.sleep(9)
time.sleep(9)""",
    "/dev/zero": f"""
for _ in range(4):
    if os.fork() == 0:
        zero = os.open('/dev/zero', os.O_RDWR)
        shared = mmap.mmap(zero, 120 * 2**20){FILLED.replace("    ", "        ")}
        time.sleep(9)
time.sleep(9)""",
    "written by a child that ended": f"""
kept = [mmap.mmap(-1, 100 * 2**20) for _ in range(4)]
for shared in kept:
    if os.fork() == 0:{FILLED.replace("    ", "        ")}
        os._exit(0)
time.sleep(9)""",
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("kind", ["function", "script"])
def test_memory_that_processes_share_counts(name: str, kind: str, pool: SandboxPool) -> None:
    before = psutil.virtual_memory().available

    if kind == "function":
        said = reason(pool, called(SHARED[name]))
    else:
        said = reason(pool, f"{called(SHARED[name])}f(1)", SCRIPT)

    assert said == "needs more than 256 MiB"
    assert before - psutil.virtual_memory().available < 2**30


def test_pages_of_a_forked_program_count_once(pool: SandboxPool) -> None:
    body = "held = b'x' * (100 * 2**20)\nfor _ in range(6):\n    if os.fork() == 0: time.sleep(9)\n"
    body += "time.sleep(0.5)"

    (judgement,) = pool.run([Program(source=called(body), tests=TESTS)])

    assert judgement.outcome is Outcome.RIGHT


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/std"])  # noqa: S108
def test_empty_files_are_counted(folder: str, pool: SandboxPool) -> None:
    flood = f"for n in range(10**6):\n    open('{folder}/' + str(n), 'w').close()"

    assert reason(pool, called(flood)) == "makes more than 20,000 files"


@pytest.mark.parametrize("number", [457, 458, 467], ids=["statmount", "listmount", "open_tree"])
def test_calls_without_a_name_in_libseccomp_are_refused(number: int, pool: SandboxPool) -> None:
    assert "result -1 errno 1" in reason(pool, called(syscall(number)))


@pytest.mark.parametrize("number", [471, 511, 999, 180, 162], ids=str)
def test_what_is_not_listed_does_not_exist(number: int, pool: SandboxPool) -> None:
    """Numbers of no kernel yet, one of none any more, and `sync`, which all of a host waits for."""
    assert "result -1 errno 38" in reason(pool, called(syscall(number)))


def syscall(number: int) -> str:
    return (
        f"done = ctypes.CDLL(None, use_errno=True).syscall({number}, 0, 0, 0, 0)\n"
        "raise OSError(f'result {done} errno {ctypes.get_errno()}')"
    )


@pytest.mark.parametrize("tests", [TESTS, SCRIPT], ids=["function", "script"])
def test_no_descriptor_of_ours_stays_open(tests: Tests, pool: SandboxPool) -> None:
    body = (
        "found = []\n"
        "for fd in range(64):\n"
        "    try: kind = os.fstat(fd).st_mode >> 12\n"
        "    except OSError: continue\n"
        "    found.append((fd, kind))\n"
        "raise ValueError(str(found))"
    )

    said = reason(pool, f"{called(body)}{'' if tests is TESTS else 'f(1)'}", tests)

    kinds = dict(map(eval, re.findall(r"\(\d+, \d+\)", said)))
    null, pipe, file, line = 2, 1, 8, 12
    streams = [null, file, null] if tests is TESTS else [file, pipe, pipe]
    assert [kinds.pop(number) for number in range(3)] == streams
    assert list(kinds.values()) == ([line] if tests is TESTS else [])


def test_a_pipe_with_a_name_may_be_made_and_a_device_may_not(pool: SandboxPool) -> None:
    assert "PermissionError" in reason(pool, called("os.mkfifo('a')\nos.mknod('b', 0o20666, 259)"))


def test_packages_are_found_where_the_interpreter_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sortedcontainers").mkdir()
    (tmp_path / "sortedcontainers/__init__.py").write_text("TWO = 2")
    tmp_path.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    source = "import numpy, sortedcontainers\ndef f(x): return sortedcontainers.TWO"

    with SandboxPool(time_limit=15, memory=2**28, workers=1) as pool:
        (judgement,) = pool.run([Program(source=source, tests=TESTS)])

    assert judgement.outcome is Outcome.RIGHT
