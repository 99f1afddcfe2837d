r"""Hostile answers cost one worker and a limited time, never the run."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from leaf.grade.judgement import Comparison, Judgement
from leaf.grade.pool import ComparisonPool
from leaf.records import Outcome

EASY = Comparison(gold=r"\frac{1}{2}", answer="0.5", whole=True)
ENDLESS = Comparison(gold="5", answer=r"9^{9^{9^9}}", whole=True)


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_no_process_starts_without_a_comparison() -> None:
    with ComparisonPool(time_limit=2.0, workers=2) as pool:
        assert pool.compare([]) == []
        assert workers() == []


def test_a_comparison_over_the_time_limit_is_killed_and_the_others_are_answered() -> None:
    with ComparisonPool(time_limit=1.0, workers=1) as pool:
        begun = time.monotonic()
        first, second, third = pool.compare([EASY, ENDLESS, EASY])
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
        first, second = pool.compare([huge, EASY])
    assert first.outcome is Outcome.UNGRADABLE
    assert first.reason
    assert second.outcome is Outcome.RIGHT


def test_a_worker_that_dies_costs_its_own_answer_alone() -> None:
    with ComparisonPool(time_limit=30.0, workers=1) as pool:
        assert pool.compare([EASY])[0].outcome is Outcome.RIGHT
        (worker,) = workers()
        killer = threading.Timer(0.5, worker.kill)
        killer.start()
        dead, alive = pool.compare([ENDLESS, EASY])
    assert dead.outcome is Outcome.UNGRADABLE
    assert dead.reason == "symbolic comparison killed its process (exit -9)"
    assert alive.outcome is Outcome.RIGHT


def test_a_worker_has_two_gibibytes_and_no_more() -> None:
    script = (
        "from leaf.grade.pool import prepare_worker\n"
        "prepare_worker()\n"
        "bytearray(1024**3)\n"
        "try:\n    bytearray(2 * 1024**3)\n"
        "except MemoryError:\n    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"


def test_a_script_without_a_main_guard_is_told_so_instead_of_hanging(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from leaf.grade.judgement import Comparison\n"
        "from leaf.grade.pool import ComparisonPool\n"
        "with ComparisonPool(time_limit=2.0, workers=1) as pool:\n"
        "    pool.compare([Comparison(gold='1', answer='2', whole=True)] * 20)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert 'keep its main code under `if __name__ == "__main__":`' in done.stderr
