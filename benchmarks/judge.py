r"""Does a small model judge answers as exact grading does?

    python -m benchmarks.judge --judge qwen2.5-coder-1.5b.gguf --path test.jsonl --json

The answers are real ones, kept in the repository: those of Qwen2.5-Coder 0.5B to GSM8K's test. What
is right of them is known, since their numbers are compared exactly; the judge (grader `judge`, its
own rubric, one word) is told the gold and asked about the same texts. Answers that exact grading
cannot grade are left out.

- agreement: share of answers of which both say the same;
- kappa: agreement beyond chance, (po - pe) / (1 - pe) (Cohen 1960);
- too_kind, too_strict: wrong answers that the judge calls right, right ones that it calls wrong;
- no_verdict: replies without one, which are in none of these;
- seconds_per_answer: of the replies asked for now, the judge's start among them.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts

from benchmarks.common import ROOT, AsJson, Measure, out_console, print_json, start
from leaf.errors import DataError
from leaf.pipeline.grading import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Outcome, Problem, Score
from leaf.statistics import share_of
from leaf.store.store import stream_records
from leaf.tasks import read_problems

NAME = "judge"
_ANSWERS = ROOT / "results/gsm8k-shifted-cpu/store/answers/701ab295265c78de"
_JUDGE = Path.home() / ".cache/leaf/offline/qwen2.5-coder-1.5b.gguf"
_WORDS = 8
"""Tokens of a reply."""

app = cyclopts.App(name=f"python -m benchmarks.{NAME}", help=__doc__, help_format="plaintext")


@app.default
def main(  # noqa: D417
    *,
    judge: str = str(_JUDGE),
    answers: Path = _ANSWERS,
    path: str | None = None,
    limit: int = 100,
    kept: Path | None = None,
    json_: AsJson = False,
) -> None:
    """Grade answers exactly and by the judge.

    Args:
        judge: Hub id, folder or GGUF file.
        answers: A result `answers` of a store, to questions of GSM8K's test.
        path: Of GSM8K's test; default the hub's.
        limit: Answers that are judged.
        kept: Folder where the judge's words are kept, to go on after a kill.
    """
    exact, by_judge = (_problems(path, chosen) for chosen in ("numbers", _judge(judge)))
    said = list(stream_records(answers, Answer))
    strange = [one.problem_id for one in said if one.problem_id not in exact]
    if strange or not said:
        raise DataError(f"{answers}: problem `{strange[0] if strange else ''}` is not in {path}")
    with open_graders(GradeSection(workers=1), kept) as graders:
        known = graders.grade([exact[one.problem_id] for one in said], said)
        pairs = zip(said, known, strict=True)
        chosen = [pair for pair in pairs if pair[1].outcome is not Outcome.UNGRADABLE][:limit]
        texts = [answer for answer, _ in chosen]
        begun, there = time.perf_counter(), _said(kept)
        judged = graders.grade([by_judge[one.problem_id] for one in texts], texts)
    seconds = time.perf_counter() - begun
    found = figures([(score.right, ours) for (_, score), ours in zip(chosen, judged, strict=True)])
    asked = _said(kept) - there if kept else len(judged)
    found["seconds_per_answer"] = seconds / asked if asked else math.nan
    for name, value in found.items():
        out_console.print(f"{name:20} {value:.3f}")
    if json_:
        setting = {"judge": Path(judge).name, "answers": answers.name, "limit": limit}
        print_json(NAME, setting, found)


def figures(judged: Sequence[tuple[bool, Score]]) -> dict[str, float]:
    """Return the figures of answers, each with whether it is right and what the judge says."""
    pairs = [(right, one.right) for right, one in judged if one.outcome is not Outcome.UNGRADABLE]
    if not pairs:
        raise DataError("the judge gave no verdict at all; take another one")
    same = share_of(sum(right == said for right, said in pairs), len(pairs))
    return {
        **Measure(value=same.value, low=same.low, high=same.high).figures("agreement"),
        "kappa": kappa(pairs),
        "n": len(pairs),
        "right": sum(right for right, _ in pairs),
        "too_kind": pairs.count((False, True)),
        "too_strict": pairs.count((True, False)),
        "no_verdict": len(judged) - len(pairs),
    }


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Return Cohen's kappa of two judges; nan where chance alone would agree on everything."""
    observed = sum(one == other for one, other in pairs) / len(pairs)
    first, second = (sum(pair[at] for pair in pairs) / len(pairs) for at in (0, 1))
    chance = first * second + (1 - first) * (1 - second)
    return (observed - chance) / (1 - chance) if chance < 1 else math.nan


def _problems(path: str | None, grader: Any) -> dict[str, Problem]:
    values = {"task": "gsm8k", "split": "test", "path": path, "grader": grader}
    problems, _ = read_problems(DataSection.model_validate(values))
    return {problem.id: problem for problem in problems}


def _said(kept: Path | None) -> int:
    """Count the replies that are kept."""
    return sum(path.read_text().count('"key"') for path in kept.glob("*.jsonl")) if kept else 0


def _judge(model: str) -> dict[str, Any]:
    return {"judge": {"model": model, "max_new_tokens": _WORDS}}


if __name__ == "__main__":
    start(app)
