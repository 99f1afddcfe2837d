"""What LeaF costs beside plain distillation, from the data to the trained student.

    .venv/bin/python -m benchmarks.overhead --json

Two pairs: `demo`, the embedded world, and `qwen`, Qwen2.5-Coder 1.5B and 0.5B on 200 clean problems
of PROBLEMATHIC (recipe `distracted-cpu` with the data's solutions as y). Both students train for
the same steps, the teacher in memory, so that neither finds ready what the other had computed.

- whole_ratio_to_kd: seconds of all that LeaF needs (answers, detection, verification, training)
  over all that plain distillation needs: its training, and the teacher's answers where they are y;
- training_ratio_to_kd: the trainings alone;
- teacher_tokens_ratio_to_all: tokens that the teacher wrote in stage 1, over those by the rule of
  version 0.1.0, that it answers every training problem and transplant (and cuts that free the
  student, as it does now);
- teacher_tokens and student_tokens: what each wrote in stage 1.

Results lie in --store; seconds are those of the process that computed each, so that a killed
benchmark goes on. Nothing else should run beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import cyclopts
import torch

from benchmarks import _gsm_ic, _problemathic
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.errors import LeafError, UsageError
from leaf.pipeline.stages import Pipeline
from leaf.progress import table
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.records import Problem
from leaf.report.training import before_training, overhead
from leaf.store.results import Results
from leaf.store.store import Store
from leaf.store.work import StageLog
from leaf.verify.judge import pruned_problems

PAIRS = ("demo", "qwen")

SAME = ["distill.teacher=online", "attribute.controls=[]", "arms={}", "evaluate.benchmarks={}"]
"""What is not LeaF's, or would be computed once for both students."""

app = cyclopts.App(help=__doc__)


@app.default
def main(  # noqa: D417 - `AsJson` says what it is
    *,
    pairs: str = ",".join(PAIRS),
    n: int = 200,
    data: Path = ROOT.parent / "shared" / "data",
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set", negative=())] = None,
    store: Path = Path("runs/overhead"),
    json_: AsJson = False,
) -> None:
    """Take each pair through both ways and print what they took.

    Args:
        pairs: Which of demo, qwen.
        n: Training problems of `qwen`.
        data: Folder with problemathic/.
        set_: Change one value of both recipes.
        store: Where results are kept.
    """
    chosen = pairs.split(",")
    if unknown := [pair for pair in chosen if pair not in PAIRS]:
        raise UsageError(f"--pairs {pairs}: `{unknown[0]}` is none of {', '.join(PAIRS)}")
    if "qwen" in chosen and (missing := _problemathic.what_is_missing(data)):
        raise LeafError(missing)
    figures: dict[str, float] = {}
    for pair in chosen:
        recipe = _recipe(pair, n, data, set_ or ())
        found = measure(recipe, Store(store / pair))
        figures |= {f"{pair}.{name}": value for name, value in found.items()}
    show(figures, chosen)
    if json_:
        setting = {
            "pairs": pairs,
            "n": n,
            "set": list(set_ or ()),
            "threads": torch.get_num_threads(),
        }
        print_json("overhead", setting, figures)


def _recipe(pair: str, n: int, data: Path, more: Sequence[str]) -> Recipe:
    if pair == "demo":
        return load_recipe("demo", [*SAME, *more])
    models = [f"{role}.model={one['model']}" for role, one in _gsm_ic.models().items()]
    own = [
        f"data.path={data / 'problemathic'}",
        f"data.limit={n}",
        f"prune.inject.looked_at={n // 2}",
        "attribute.reference=gold",
    ]
    return load_recipe("distracted-cpu", [*SAME, *models, *own, *more])


def measure(recipe: Recipe, store: Store) -> dict[str, float]:
    """Train both students of a recipe; return every figure of the pair."""
    pipeline = Pipeline(recipe, store)
    results = pipeline.run(until="distill", after_stage=lambda: None)
    logs = list(pipeline.logs)
    took = overhead(logs, (), recipe.baseline, recipe.attribute.reference)
    assert took
    stage_1 = list(before_training(logs))
    written = {role: _written(stage_1, role) for role in ("student", "teacher")}
    problems = results.problems or []
    every = written["teacher"]
    for spared in _spared(results):
        answers, _ = pipeline.session.answers_of("teacher", spared)
        every += sum(answer.response_tokens for answer in answers)
    return {
        "whole_ratio_to_kd": 1 + took["whole"],
        "training_ratio_to_kd": 1 + took["training"],
        "teacher_tokens_ratio_to_all": written["teacher"] / every,
        "teacher_tokens": float(written["teacher"]),
        "student_tokens": float(written["student"]),
        "stage_1_seconds": took["stage_1_seconds"],
        "leaf_seconds": took["leaf_seconds"],
        "kd_seconds": took["baseline_seconds"],
        "problems": float(len(problems)),
        "kept": float(sum(len(cuts.kept) for cuts in results.cuts.values())),
    }


def _spared(results: Results) -> tuple[list[Problem], list[Problem]]:
    """Return what the teacher was not asked: training problems, and those with a transplant."""
    assert results.problems
    assert results.teacher
    answered = {answer.problem_id for answer in results.teacher[0]}
    [cuts] = results.cuts.values()
    asked = {verdict.counterfactual_id for verdict in cuts.verdicts or () if verdict.teacher}
    changed = [
        item for item in cuts.tried if item.strategy == "transplant" and item.id not in asked
    ]
    by_id = {problem.id: problem for problem in results.problems}
    # Sets of their own: with every answer in its store a run begun again would count them all.
    return [one for name, one in by_id.items() if name not in answered], pruned_problems(
        by_id, changed
    )


def _written(logs: Sequence[StageLog], role: str) -> int:
    """Count the tokens that a model wrote."""
    return sum(log.tokens.written for log in logs if log.tokens and log.about.role == role)


def show(figures: Mapping[str, float], pairs: Sequence[str]) -> None:
    """Print the figures for people."""
    rows = table("LeaF against plain distillation", "whole", "training", "teacher's tokens")
    for pair in pairs:
        rows.add_row(
            pair,
            f"{figures[f'{pair}.whole_ratio_to_kd']:.2f} x",
            f"{figures[f'{pair}.training_ratio_to_kd']:.2f} x",
            f"{figures[f'{pair}.teacher_tokens_ratio_to_all']:.0%} of all",
        )
    out_console.print(rows)


if __name__ == "__main__":
    start(app)
