"""Do our graders and lm-evaluation-harness judge the same answers alike?

    .venv/bin/python -m benchmarks.agreement_math ANSWERS --data ../shared/data --json

ANSWERS is a folder with some of gsm8k.jsonl, svamp.jsonl, gsm_ic.jsonl, math500.jsonl and
olympiadbench.jsonl: one `{"id", "text", "truncated"}` a line. Without it the data's own solutions
are graded, which all should find right. Every answer on which the two differ is listed, with the
last characters of its text, so that a person can say who is right.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts

from benchmarks._rivals import rivals_python
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.errors import DataError, LeafError
from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Problem, Score
from leaf.tasks import read_problems

app = cyclopts.App(help="Compare our verdicts with those of lm-evaluation-harness.")

FILES = {
    "gsm8k": "gsm8k/test.jsonl",
    "svamp": "svamp/test.jsonl",
    "gsm_ic": "gsm_ic/gsm_ic_test.json",
    "math500": "math500/test.jsonl",
    "olympiadbench": "olympiadbench/test.jsonl",
}
MAIN = {"flexible-extract", "math_verify"}
"""The harness's metric that is compared one by one; the others only by their accuracy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One answer that the two judge differently."""

    task: str
    id: str
    gold: str
    ours: str
    """Our outcome, and the final answer that we read."""
    theirs: bool
    text: str
    """The last characters of the answer."""


@app.default
def main(
    answers: Path | None = None,
    *,
    data: Path = ROOT.parent / "shared" / "data",
    n: Annotated[int | None, cyclopts.Parameter(help="First answers of each task.")] = None,
    out: Annotated[Path | None, cyclopts.Parameter(help="Where the differences go.")] = None,
    json: AsJson = False,
) -> None:
    """Grade the answers twice and list the differences."""
    figures: dict[str, float] = {}
    differences: list[Difference] = []
    for task, file in FILES.items():
        problems, _ = read_problems(DataSection(task=task, path=str(data / file)))
        graded = _answers(task, problems, answers)[:n]
        if not graded:
            out_console.print(f"{task}: no answers")
            continue
        by_id = {problem.id: problem for problem in problems}
        asked = [by_id[answer.problem_id] for answer in graded]
        with open_graders(GradeSection()) as grader:
            ours = grader.grade(asked, graded)
        theirs = _harness(task, asked, graded)
        found = _differences(task, asked, graded, ours, theirs)
        differences += found
        figures |= _figures(task, ours, theirs, len(found))
        out_console.print(f"{task}: {len(graded)} answers, {len(found)} differences")
    for one in differences:
        out_console.print(f"{one.id}: gold {one.gold}; ours {one.ours}; theirs {one.theirs}")
        out_console.print(f"    ...{one.text!r}", markup=False)
    if out is not None:
        _write(out, differences)
    if json:
        setting = {"answers": str(answers) if answers else "solutions", "n": n}
        print_json("agreement_math", setting, figures)


def _answers(task: str, problems: Sequence[Problem], folder: Path | None) -> list[Answer]:
    if folder is None:
        return [_answer(p.id, p.solution or f"So it is \\boxed{{{p.answer}}}.") for p in problems]
    path = folder / f"{task}.jsonl"
    if not path.is_file():
        return []
    known = {problem.id for problem in problems}
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        record = json.loads(line)
        if record["id"] not in known:
            raise DataError(f"{path}:{number}: {task} has no problem `{record['id']}`")
        found.append(_answer(record["id"], record["text"], record.get("truncated", False)))
    return found


def _answer(problem_id: str, text: str, truncated: bool = False) -> Answer:
    return Answer(
        problem_id=problem_id, text=text, prompt_tokens=0, response_tokens=0, truncated=truncated
    )


def _harness(
    task: str, problems: Sequence[Problem], answers: Sequence[Answer]
) -> list[dict[str, bool]]:
    """Return the harness's verdicts on each answer, by metric."""
    lines = [
        json.dumps(
            {
                "task": task,
                "text": answer.text,
                "gold": problem.answer,
                "solution": problem.solution or f"$\\boxed{{{problem.answer}}}$",
            }
        )
        for problem, answer in zip(problems, answers, strict=True)
    ]
    words = [str(rivals_python()), str(ROOT / "benchmarks" / "_lm_eval.py")]
    done = subprocess.run(  # noqa: S603
        words, input="\n".join(lines), stdout=subprocess.PIPE, text=True, check=False
    )
    verdicts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or len(verdicts) != len(answers):
        raise LeafError(f"lm-evaluation-harness failed; `{' '.join(words)}` says why above")
    return verdicts


def _differences(
    task: str,
    problems: Sequence[Problem],
    answers: Sequence[Answer],
    ours: Sequence[Score],
    theirs: Sequence[dict[str, bool]],
) -> list[Difference]:
    rows = zip(problems, answers, ours, theirs, strict=True)
    return [
        Difference(
            task=task,
            id=problem.id,
            gold=problem.answer,
            ours=f"{score.outcome} {score.extracted!r:.60} {score.reason or ''}".strip(),
            theirs=_main(verdicts),
            text=answer.text[-200:],
        )
        for problem, answer, score, verdicts in rows
        if score.right != _main(verdicts)
    ]


def _main(verdicts: dict[str, bool]) -> bool:
    (right,) = [verdicts[name] for name in MAIN & verdicts.keys()]
    return right


def _figures(
    task: str, ours: Sequence[Score], theirs: Sequence[dict[str, bool]], differences: int
) -> dict[str, float]:
    n = len(ours)
    figures: dict[str, float] = {
        f"{task}.n": n,
        f"{task}.differences": differences,
        f"{task}.ours": sum(score.right for score in ours) / n,
    }
    for name in theirs[0]:
        figures[f"{task}.{name}"] = sum(verdicts[name] for verdicts in theirs) / n
    return figures


def _write(path: Path, differences: Sequence[Difference]) -> None:
    rows: list[dict[str, Any]] = [
        {name: getattr(one, name) for name in Difference.__slots__} | {"who_is_right": ""}
        for one in differences
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    start(app)
