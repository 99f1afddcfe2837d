"""How far a ranking depends on what should not matter: dtype, batch, and which right reference.

    .venv/bin/python -m benchmarks.stability --json

One model scores the tokens of GSM8K questions (Eq. 2) and their sentences (ablation): as a base in
bfloat16, one problem at a time, with the data set's solution as reference; then with one thing
changed. `<detector>.<change>.spearman` is the rank correlation of a question's scores before and
after, mean over questions; 1 where no rank moved. `.kendall` likewise. The changes:

- repeat: nothing (dropout is off);
- float32: the weights' dtype;
- batched: many problems at a time, in bfloat16;
- batched_float32: the same in float32, against float32 one at a time;
- own_reference: the model's own greedy answer, over the questions that it answers right.

Answers are found again in --store.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cyclopts
from scipy import stats

from benchmarks._gsm_ic import MODELS, STUDENT
from benchmarks.common import (
    ROOT,
    AsJson,
    Measure,
    measure,
    out_console,
    print_json,
    start,
)
from leaf.attribute import MeasuredModel, detector_class
from leaf.errors import UsageError
from leaf.models import load
from leaf.models.files import find
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.session import Session
from leaf.progress import say, table
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Problem, Sensitivity
from leaf.statistics import mean
from leaf.store.store import Store
from leaf.tasks import load_problems

MEASURED = ("gradient", "ablation")

app = cyclopts.App(help=__doc__)


@app.default
def main(
    *,
    json_: AsJson = False,
    n: int = 32,
    model: str = str(MODELS / f"{STUDENT}.gguf"),
    data: Path = ROOT.parent / "shared" / "data" / "gsm8k" / "train.jsonl",
    store: Path = ROOT / "runs" / "store",
) -> None:
    """Measure how stable rankings are.

    Args:
        json_: End with one line of JSON for a program.
        n: How many questions of GSM8K.
        model: Hub id, local folder or GGUF file.
        data: GSM8K's train.jsonl, or records like it.
        store: Where answers are kept and found again.
    """
    if n < 1:
        raise UsageError(f"--n {n}: must be at least 1")
    recipe = build_recipe(model, data, n)
    problems = load_problems(recipe.data)
    session = Session(recipe, Store(store))
    session.sources = {"student": find(recipe.student)}
    answers, judged = session.answers_of("student", problems)
    own = {
        answer.problem_id: answer.text
        for answer, score in zip(answers, judged, strict=True)
        if score.right
    }
    say(f"{len(own)} of {len(problems)} questions answered right")
    found: dict[str, dict[str, Measure]] = {}
    counts: dict[str, int] = {}
    for name, (before, after) in compared(recipe, problems, own).items():
        pairs = [
            (one.scores, other.scores)
            for one, other in zip(before, after, strict=True)
            if len(set(one.scores)) > 1 and len(set(other.scores)) > 1
        ]
        counts[name] = len(pairs)
        found[name] = correlations(pairs)
    show(found, counts)
    if json_:
        figures = {f"{name}.n": float(count) for name, count in counts.items()}
        for name, values in found.items():
            for key, value in values.items():
                figures |= value.figures(f"{name}.{key}")
        setting = {"model": Path(model).name, "n": len(problems), "answered_right": len(own)}
        print_json("stability", setting, figures)


def build_recipe(model: str, data: Path, n: int) -> Recipe:
    """Return the recipe that names the model and the questions."""
    return check_recipe(
        {
            "name": "stability",
            "student": {"model": model},
            "teacher": {"model": model},
            "data": {"task": "gsm8k", "path": str(data), "limit": n},
            "generate": {"max_new_tokens": 320, "token_budget": 8192},
            "evaluate": {"benchmarks": {}},
        },
        source="stability",
    )


Compared = tuple[Sequence[Sensitivity], Sequence[Sensitivity]]
"""Scores of the same questions before and after a change."""


def compared(
    recipe: Recipe, problems: Sequence[Problem], own: Mapping[str, str]
) -> dict[str, Compared]:
    """Score the questions in every way; `<detector>.<change>` to what is compared."""
    gold = {problem.id: problem.solution for problem in problems}
    right = [problem for problem in problems if problem.id in own]
    found: dict[str, Compared] = {}
    narrow = _Judge(recipe, "bfloat16")
    base = {name: narrow.scores(name, problems, gold, budget=1) for name in MEASURED}
    for name in MEASURED:
        found[f"{name}.repeat"] = base[name], narrow.scores(name, problems, gold, budget=1)
        found[f"{name}.batched"] = base[name], narrow.scores(name, problems, gold, budget=4096)
        answered = [item for item in base[name] if item.problem_id in own]
        found[f"{name}.own_reference"] = answered, narrow.scores(name, right, own, budget=1)
    del narrow
    load.release_memory()
    wide = _Judge(recipe, "float32")
    for name in MEASURED:
        exact = wide.scores(name, problems, gold, budget=1)
        found[f"{name}.float32"] = base[name], exact
        found[f"{name}.batched_float32"] = exact, wide.scores(name, problems, gold, budget=4096)
    return found


class _Judge:
    """The model in one dtype, and its detectors without a store: batches are no part of a key."""

    def __init__(self, recipe: Recipe, dtype: str) -> None:
        self.loaded = load.load(recipe.student, dtype=load.DTYPES[dtype])
        self.chat = PromptFormat(self.loaded.tokenizer, name=recipe.student.model)
        say(f"scoring in {dtype}")

    def scores(
        self,
        detector: str,
        problems: Sequence[Problem],
        references: Mapping[str, str],
        *,
        budget: int,
    ) -> list[Sensitivity]:
        """Score problems in batches of at most `budget` tokens (1: one problem at a time)."""
        model = MeasuredModel(loaded=self.loaded, chat=self.chat, token_budget=budget)
        given = [references[problem.id] for problem in problems]
        scores: list[Sensitivity] = detector_class(detector)().measure(model, problems, given)
        return scores


def correlations(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
) -> dict[str, Measure]:
    """Return Spearman's rho and Kendall's tau of each pair of scores, mean over pairs."""
    measures = {
        "spearman": measure(mean, [stats.spearmanr(*pair).statistic for pair in pairs], seed=0),
        "kendall": measure(mean, [stats.kendalltau(*pair).statistic for pair in pairs], seed=0),
    }
    return {name: value for name, value in measures.items() if value is not None}


def show(found: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]) -> None:
    """Print the correlations with 95% intervals over questions."""
    rows = table("", "spearman", "kendall", "questions")
    for name, values in found.items():
        cells = [str(values.get(key, "-")) for key in ("spearman", "kendall")]
        rows.add_row(name, *cells, str(counts[name]))
    out_console.print(rows)


if __name__ == "__main__":
    start(app)
