r"""Do our numbers for short answers agree with those of the usual harnesses?

    python -m benchmarks.agreement_qa --task hotpotqa --path dev_distractor_eval500.jsonl \
        --answers answers.jsonl --json

Each line of the answers is an object with `id` (or `problem_id`), `text` and, where it was cut at
the token limit, `truncated: true`. Every answer is measured three times:

- ours: EM, F1, SubEM and the outcome of the task's own grader;
- torchmetrics: EM and F1 of the final answer that we found (`torchmetrics.text.SQuAD`); SubEM by a
  naive search, written here, of each gold in the whole answer;
- helmet: the same on the final answer that HELMET's rule finds: the rest of the line after the
  first `Answer:`, else the first line.

Every difference between ours and torchmetrics is listed, and every answer that SubEM calls right
and our grader does not (a gold inside another word). Where HELMET's rule finds another final
answer, only the count is given and the first few are shown. Golds and predictions of questions
without an answer are "" for torchmetrics, as SQuAD's own script has it.
"""

import json
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cyclopts

from benchmarks.common import AsJson, out_console, print_json, start
from leaf.errors import DataError
from leaf.grade import open_graders
from leaf.grade.qa import final_text, golds_of, meet
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Outcome, Problem, Score
from leaf.tasks import read_problems

NAME = "agreement_qa"
_SHOWN = 5
_SAME = 1e-4
"""Percent: torchmetrics computes F1 in float32."""

app = cyclopts.App(name=f"python -m benchmarks.{NAME}", help=__doc__, help_format="plaintext")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """What one harness says of one answer, each in [0, 100]."""

    em: float
    f1: float
    subem: float


@app.default
def main(*, task: str, path: Path, answers: Path, json_: AsJson = False) -> None:
    """Measure answers three times and list the differences."""
    problems, _ = read_problems(DataSection(task=task, path=str(path)))
    known = {problem.id: problem for problem in problems}
    found = read_answers(answers)
    strange = [answer.problem_id for answer in found if answer.problem_id not in known]
    if strange or not found:
        raise DataError(f"{answers}: problem `{strange[0] if strange else ''}` is not in {path}")
    asked = [known[answer.problem_id] for answer in found]
    with open_graders(GradeSection(workers=1)) as grader:
        scores = grader.grade(asked, found)
    figures = report(asked, found, scores)
    if json_:
        setting = {"task": task, "path": path.name, "answers": answers.name, "n": len(found)}
        print_json(NAME, setting, figures)


def read_answers(path: Path) -> list[Answer]:
    """Read answers, one JSON object a line."""
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()
    ]
    return [
        Answer(
            problem_id=str(line["id"] if "id" in line else line["problem_id"]),
            text=line["text"],
            prompt_tokens=0,
            response_tokens=0,
            truncated=bool(line.get("truncated")),
        )
        for line in lines
    ]


def report(
    problems: Sequence[Problem], answers: Sequence[Answer], scores: Sequence[Score]
) -> dict[str, float]:
    """Print every difference and return the means, in percent, and the counts."""
    ours, theirs, helmet, other_finals = [], [], [], 0
    for problem, answer, score in zip(problems, answers, scores, strict=True):
        final = final_text(answer.text).text
        mine = Numbers(**{one.name.lower(): 100 * one.value for one in score.measures} or _NONE)
        naive = torchmetrics_numbers(final, answer.text, problem)
        ours.append(mine)
        theirs.append(naive)
        first = helmet_final(answer.text)
        helmet.append(torchmetrics_numbers(first, answer.text, problem))
        what = f"{problem.id}: {answer.text[-80:]!r}, golds {golds_of(problem)!r:.80}"
        if any(abs(a - b) > _SAME for a, b in zip(_row(mine), _row(naive), strict=True)):
            out_console.print(f"differs   {what}: {mine} {naive}", markup=False)
        if mine.subem and not score.right:
            out_console.print(f"in a word {what}", markup=False)
        if first != final:
            other_finals += 1
            if other_finals <= _SHOWN:
                out_console.print(f"final     {what}: {final!r:.60}, {first!r:.60}", markup=False)
    n = len(scores)
    figures: dict[str, float] = {
        f"{harness}.{name}": sum(getattr(one, name) for one in rows) / n
        for harness, rows in (("ours", ours), ("torchmetrics", theirs), ("helmet", helmet))
        for name in ("em", "f1", "subem")
    }
    figures["ours.right"] = 100 * sum(score.right for score in scores) / n
    figures["ours.ungradable"] = sum(score.outcome is Outcome.UNGRADABLE for score in scores)
    figures["differences"] = sum(
        any(abs(a - b) > _SAME for a, b in zip(_row(mine), _row(other), strict=True))
        for mine, other in zip(ours, theirs, strict=True)
    )
    figures["other_finals"] = other_finals
    for name, value in figures.items():
        out_console.print(f"{name:20} {value:8.2f}", markup=False)
    return figures


def torchmetrics_numbers(final: str, response: str, problem: Problem) -> Numbers:
    """Let torchmetrics compare a final answer, and search the response by plain means."""
    from torchmetrics.functional.text import squad

    golds = list(golds_of(problem))
    said, whole = final, response
    if golds == [""]:
        # Which words decline to answer is the grader's own rule: nobody else has one.
        declined = meet(final, response, golds).exact
        said = whole = "" if declined else "answered"
    found = squad(
        {"prediction_text": said, "id": "x"},
        {"answers": {"answer_start": [0], "text": golds}, "id": "x"},
    )
    held = [_plain(gold) in _plain(whole) if gold else not whole for gold in golds]
    return Numbers(em=found["exact_match"].item(), f1=found["f1"].item(), subem=100.0 * any(held))


def helmet_final(text: str) -> str:
    """Return the final answer by HELMET's rule."""
    after = re.search(r"Answer:(.*)(?:\n|$)", text, re.IGNORECASE)
    return (after.group(1) if after else text.partition("\n")[0]).strip()


def _plain(text: str) -> str:
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(word for word in re.split(r"\s+", kept) if word not in {"", "a", "an", "the"})


def _row(numbers: Numbers) -> tuple[float, float, float]:
    return numbers.em, numbers.f1, numbers.subem


_NONE = {"em": 0.0, "f1": 0.0, "subem": 0.0}
"""Of an answer that has no text."""

if __name__ == "__main__":
    start(app)
