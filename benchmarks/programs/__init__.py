"""Right and wrong programs of the kinds that sandboxes get wrong, and what CPython says of them.

`functions.txt` holds modules with their tests, `scripts.txt` programs that read two numbers and
print their sum. Each is right; one replacement makes a wrong program of it.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from leaf.grade.judgement import Program
from leaf.grade.sandbox.printed import same
from leaf.records import Case, Tests

CASES = (Case(given="1 2\n", expected="3\n"), Case(given="20 4\n", expected="24"))
"""What each script is tried with."""

_IMPORTED = """\
import solution
space = vars(solution)
space["candidate"] = eval({entry!r}, space)
exec({tests!r}, space)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A program, its tests, and whether it was written to pass them."""

    name: str
    program: Program
    right: bool


def samples() -> list[Sample]:
    """Return all programs, a right one and the wrong one that is made of it in turn."""
    folder = Path(__file__).parent
    found: list[Sample] = []
    for file in ("functions.txt", "scripts.txt"):
        for part in (folder / file).read_text(encoding="utf-8").split("=== ")[1:]:
            found += _pair(part)
    return found


def _pair(text: str) -> list[Sample]:
    title, _, body = text.partition("\n")
    name, _, entry = title.partition(" | ")
    code, _, change = body.partition("--- wrong\n")
    source, _, tests = code.partition("--- tests\n")
    before, _, after = change.strip("\n").partition(" => ")
    if source.count(before) == 0:
        raise ValueError(f"{name}: holds no {before!r} to replace")
    asked = Tests(entry_point=entry, program=tests) if entry else Tests(cases=CASES)
    wrong = source.replace(before, after, 1)
    return [
        Sample(name=name, program=Program(source=source, tests=asked), right=True),
        Sample(name=f"{name}, wrong", program=Program(source=wrong, tests=asked), right=False),
    ]


def passes(program: Program, seconds: float = 30.0) -> bool:
    """Whether CPython, without any sandbox, finds that a program of ours passes its tests."""
    tests = program.tests
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "solution.py").write_text(program.source, encoding="utf-8")
        if tests.cases:
            return all(
                same(printed or "", case.expected) and printed is not None
                for case in tests.cases
                for printed in (_run(["solution.py"], folder, case.given, seconds),)
            )
        checked = _IMPORTED.format(entry=tests.entry_point, tests=tests.program)
        return _run(["-c", checked], folder, "", seconds) is not None


def _run(words: list[str], folder: str, given: str, seconds: float) -> str | None:
    """Return what Python printed, None where it failed."""
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-X", "utf8", *words],
            input=given,
            text=True,
            encoding="utf-8",
            capture_output=True,
            cwd=folder,
            timeout=seconds,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
