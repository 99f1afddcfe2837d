"""How fast programs are judged in sandboxes, and whether anything is left of them.

    python -m benchmarks.sandbox --json --runs 5000

The reference programs of HumanEval+ and MBPP+ with short and quick tests, and for each one that
returns nothing, are judged in turn by one pool, as `leaf evaluate` does it; a verdict that is not
what it must be ends the benchmark. Then:

- `solutions_per_second`: programs judged in a second, each with all its tests;
- `leaked_processes`: what still runs of the sandboxes 5 s after the pool was closed, anywhere on
  the machine;
- `leaked_descriptors`: files and sockets of our process that were not open before;
- `leaked_bytes`: how much our resident memory grew after the first tenth, and files left.

Then, on other programs:

- `same_as_cpython`: share of the `programs` of `benchmarks.programs`, right and wrong ones, that
  are judged as CPython judges them without a sandbox; what is not gradable is not the same;
- `trivial_passes`: verdicts of right for programs that return nothing, 0, "", an empty list or
  array, their argument, or an object that equals everything, on the same problems as above.
"""

import gc
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import cyclopts
import psutil

from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from benchmarks.programs import Sample, passes, samples
from leaf.errors import LeafError
from leaf.grade.code import Code
from leaf.grade.judgement import Program
from leaf.grade.sandbox import SandboxPool
from leaf.progress import progress, table
from leaf.recipe import DataSection
from leaf.records import Answer, Outcome, Problem
from leaf.tasks import load_problems

app = cyclopts.App(help=__doc__)

SETS = {
    "humaneval_plus": "humaneval/HumanEvalPlus-OriginFmt.jsonl.gz",
    "mbpp_plus": "mbpp/MbppPlus-OriginFmt.jsonl.gz",
}

TRIVIAL = ("[]", "None", "0", '""', "args[0]", "Liar()", "__import__('numpy').array([])")
"""What trivial programs return."""

LIAR = """\
class Liar:
    def __eq__(self, other): return True
    __ne__ = lambda self, other: False
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    __sub__ = __rsub__ = __add__ = __abs__ = __round__ = lambda self, *other: self
    __hash__ = lambda self: 0
    __bool__ = lambda self: True
"""

_SLOW = frozenset(
    {
        *(f"HumanEvalPlus/{number}" for number in (15, 36, 59, 83, 130, 139)),
        *(
            f"mbpp_plus/{number}"
            for number in (84, 123, 162, 271, 300, 389, 392, 453, 583, 599, 630)
        ),
    }
)
"""Problems with short tests whose reference takes over a quarter of a second without a sandbox."""

_SETTLING = 5.0
"""Seconds in which what was killed may come to its end."""

_BATCH = 100
"""Programs that are handed over at once."""


@app.default
def main(
    *,
    runs: int = 5000,
    workers: int = 2,
    longest: int = 6000,
    time_limit: float = 60.0,
    data: Path = ROOT.parent / "shared" / "data",
    corpus: int | None = None,
    trivial: int | None = None,
    json: AsJson = False,
) -> None:
    """Judge programs and look for what they leave.

    Args:
        runs: Programs to judge.
        workers: Programs side by side.
        longest: Characters of the longest tests that are taken.
        time_limit: Seconds of one program.
        data: Folder with humaneval/ and mbpp/.
        corpus: Programs that CPython judges too; all of them if not given.
        trivial: Problems that trivial programs try; all of them if not given.
        json: End with one line of JSON.
    """
    problems = _problems(data, longest)
    pairs = _pairs(problems)
    before, there = psutil.Process().num_fds(), _sandboxes()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            seconds, grown = _judge_all(pairs, runs, workers=workers, time_limit=time_limit)
        finally:
            del os.environ["TMPDIR"]
            tempfile.tempdir = None
        files = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    figures = {
        "solutions_per_second": runs / seconds,
        "leaked_processes": _left(there),
        "leaked_descriptors": max(0, psutil.Process().num_fds() - before),
        "leaked_bytes": max(0, grown) + files,
        "runs": runs,
    }
    with SandboxPool(time_limit=time_limit, memory=2**30, workers=workers) as pool:
        figures |= _compared(pool, samples()[:corpus])
        figures["trivial_passes"] = _trivial_passes(pool, problems[:trivial])
    shown = table("figure", "value")
    for name, value in figures.items():
        shown.add_row(name, f"{value:g}")
    out_console.print(shown)
    if json:
        setting = {"workers": workers, "longest": longest, "programs": len(pairs)}
        print_json("sandbox", setting, figures)


def _left(there: set[int]) -> int:
    """Count the sandboxes that were not there before, once the kernel had time to end them."""
    until = time.monotonic() + _SETTLING
    while (left := len(_sandboxes() - there)) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def _sandboxes() -> set[int]:
    """Return every process of this machine that is a sandbox or runs in one, orphans too."""
    return {
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "bwrap"
        or "".join((process.info["cmdline"] or [""])[:1]).startswith("/python/bin/")
    }


def _problems(data: Path, longest: int) -> list[Problem]:
    """Return the problems whose tests are short and whose references are quick."""
    return [
        problem
        for task, file in SETS.items()
        for problem in load_problems(DataSection(task=task, path=str(data / file)))
        if problem.tests is not None
        and len(problem.tests.program) <= longest
        and problem.id not in _SLOW
    ]


def _pairs(problems: Sequence[Problem]) -> list[tuple[Program, Outcome]]:
    """Return programs and what each must be judged, right and wrong ones in turn."""
    pairs: list[tuple[Program, Outcome]] = []
    for problem in problems:
        pairs.append((_program(problem, problem.solution), Outcome.RIGHT))
        pairs.append((_program(problem, _returning(problem, "None")), Outcome.WRONG))
    return pairs


def _returning(problem: Problem, value: str) -> str:
    """Return an answer whose program returns one thing, whatever it is asked."""
    assert problem.tests is not None
    body = f"def {problem.tests.entry_point}(*args, **kwargs):\n    return {value}\n"
    return f"```python\n{LIAR}{body}```"


def _compared(pool: SandboxPool, corpus: Sequence[Sample]) -> dict[str, float]:
    """Return how many programs are judged as CPython judges them, and the share."""
    with ThreadPoolExecutor(2) as threads:
        passed = list(threads.map(lambda sample: passes(sample.program), corpus))
    judged = pool.run([sample.program for sample in corpus])
    wanted = [Outcome.RIGHT if one else Outcome.WRONG for one in passed]
    same = sum(one.outcome is outcome for one, outcome in zip(judged, wanted, strict=True))
    return {"same_as_cpython": same / len(corpus), "programs": len(corpus)}


def _trivial_passes(pool: SandboxPool, problems: Sequence[Problem]) -> int:
    judged = pool.run(
        [_program(problem, _returning(problem, value)) for problem in problems for value in TRIVIAL]
    )
    return sum(judgement.outcome is Outcome.RIGHT for judgement in judged)


def _program(problem: Problem, text: str) -> Program:
    answer = Answer(
        problem_id=problem.id, text=text, prompt_tokens=0, response_tokens=0, truncated=False
    )
    program = Code().judge(problem, answer)
    assert isinstance(program, Program)
    return program


def _judge_all(
    pairs: Sequence[tuple[Program, Outcome]], runs: int, *, workers: int, time_limit: float
) -> tuple[float, int]:
    """Return the seconds, and the bytes by which our memory grew after the first tenth."""
    todo = list(islice(cycle(pairs), runs))
    begun = time.perf_counter()
    warm = 0
    with (
        SandboxPool(time_limit=time_limit, memory=2**30, workers=workers) as pool,
        progress("judging", runs, unit="programs") as tick,
    ):
        for first in range(0, runs, _BATCH):
            batch = todo[first : first + _BATCH]
            judgements = pool.run([program for program, _outcome in batch])
            for (program, outcome), judgement in zip(batch, judgements, strict=True):
                if judgement.outcome is not outcome:
                    raise LeafError(
                        f"a program must be {outcome}, but is {judgement.outcome}"
                        f" ({judgement.reason}): {program.source:.200}"
                    )
            tick(len(batch))
            if not warm and first + _BATCH >= runs / 10:
                warm = _resident()
        seconds = time.perf_counter() - begun
        return seconds, _resident() - warm


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    start(app)
