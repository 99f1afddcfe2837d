r"""Hostile answers cost one worker and a limited time, never the run."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from leaf.errors import LeafError
from leaf.grade.judgement import Comparison, Judgement
from leaf.grade.pool import ComparisonPool
from leaf.records import Outcome

EASY = Comparison(gold=r"\frac{1}{2}", answer="0.5", whole=True)
ENDLESS = Comparison(gold="5", answer=r"9^{9^{9^9}}", whole=True)


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "leaf.grade.comparer" in " ".join(child.cmdline())]


def test_no_process_starts_without_a_comparison() -> None:
    with ComparisonPool(time_limit=2.0, workers=2) as pool:
        assert pool.run([]) == []
        assert workers() == []


def test_a_comparison_over_the_time_limit_is_killed_and_the_others_are_answered() -> None:
    with ComparisonPool(time_limit=1.0, workers=1) as pool:
        begun = time.monotonic()
        first, second, third = pool.run([EASY, ENDLESS, EASY])
        elapsed = time.monotonic() - begun
    assert first.outcome is third.outcome is Outcome.RIGHT
    assert second == Judgement(
        outcome=Outcome.UNGRADABLE,
        extracted=r"9^{9^{9^9}}",
        reason="symbolic comparison took longer than 1 s",
    )
    assert elapsed < 30  # two starts of a worker and one second, on a busy machine
    assert workers() == []


@pytest.mark.parametrize(
    "answer",
    [
        "{" * 20_000 + "5" + "}" * 20_000,
        "(" * 20_000 + "5" + ")" * 20_000,
        "9" * 100_000,
        "1+" * 50_000 + "1",
    ],
    ids=["braces", "parentheses", "digits", "sum"],
)
def test_a_huge_answer_is_not_gradable_and_the_pool_goes_on(answer: str) -> None:
    huge = Comparison(gold="5", answer=answer, whole=True)
    with ComparisonPool(time_limit=1.0, workers=1) as pool:
        first, second = pool.run([huge, EASY])
    assert first.outcome is Outcome.UNGRADABLE
    assert first.reason
    assert second.outcome is Outcome.RIGHT


def test_a_worker_that_dies_costs_its_own_answer_alone() -> None:
    with ComparisonPool(time_limit=30.0, workers=1) as pool:
        assert pool.run([EASY])[0].outcome is Outcome.RIGHT
        (worker,) = workers()
        killer = threading.Timer(0.5, worker.kill)
        killer.start()
        dead, alive = pool.run([ENDLESS, EASY])
    assert dead.outcome is Outcome.UNGRADABLE
    assert dead.reason == "symbolic comparison killed its process (exit -9)"
    assert alive.outcome is Outcome.RIGHT


def test_a_worker_gets_one_gibibyte_and_not_three() -> None:
    script = (
        "from leaf.grade.comparer import prepare\n"
        "prepare()\n"
        "bytearray(1024**3)\n"
        "try:\n    bytearray(3 * 1024**3)\n"
        "except MemoryError:\n    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"


SCRIPT = """
from leaf.grade import open_graders
from leaf.recipe import GradeSection
from leaf.records import Answer, Problem

print("read once")
problem = Problem(id="p", question="?", answer="1/2", solution="", grader="math")
answer = Answer(
    problem_id="p", text="The answer is $0.5$", prompt_tokens=1, response_tokens=1, truncated=False
)
with open_graders(GradeSection()) as graders:
    print(graders.grade([problem], [answer])[0].outcome)
"""


@pytest.mark.parametrize("how", ["a script without a main guard", "standard input", "a notebook"])
def test_grading_works_however_the_code_is_run(how: str, tmp_path: Path) -> None:
    path = tmp_path / "unguarded.py"
    path.write_text(SCRIPT)
    words, given = [str(path)], ""
    if how == "standard input":
        words, given = ["-"], SCRIPT
    elif how == "a notebook":
        # As a kernel runs a cell: compiled from text, in a `__main__` that has no file.
        words = [
            "-c",
            f"exec(compile({SCRIPT!r}, '<cell 1>', 'exec'), vars(__import__('__main__')))",
        ]
    done = subprocess.run(
        [sys.executable, *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("read once\nright\n", "", 0)


def test_a_process_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaf.grade.pool._BOOT", "import sys; sys.exit(3)")
    with (
        ComparisonPool(time_limit=1.0, workers=1) as pool,
        pytest.raises(LeafError, match=r"cannot be started: it ended \(exit 3\)"),
    ):
        pool.run([EASY])


def test_the_processes_end_with_a_parent_that_is_killed() -> None:
    script = (
        "import os, signal\n"
        "from leaf.grade.judgement import Comparison\n"
        "from leaf.grade.pool import ComparisonPool\n"
        "pool = ComparisonPool(time_limit=1.0, workers=1)\n"
        "pool.run([Comparison(gold='1/2', answer='0.5', whole=True)])\n"
        "print(pool._stations[0]._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(int(done.stdout))
