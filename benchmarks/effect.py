"""Does LeaF beat plain distillation on the playground? Every method from the same start, by seed.

    python -m benchmarks.effect --json --seeds 5

For each seed a new sample of training problems is made (models and test problems stay), and one
student is trained by each method: with as many optimiser steps as plain distillation (KD), and with
as many training tokens. Methods without a teacher (`self`, `self_ce`, `lens`) have a baseline of
their own, `rft`, trained on its own right answers. A figure `<split>.<method>` is a mean over
seeds; `minus_kd` is the mean paired difference, `low` and `high` are its 95% t-interval over seeds,
`minus_rft`, `rft_low` and `rft_high` those against `rft`, `mean_low` and `mean_high` the interval
of the mean. `small.*` is the same with 250 training problems. `verified.precision.greedy` is the
share of verified cuts that lie where a distractor is planted, `.controlled` that of cuts that
placebos and samples verify as well (`verify.placebos`, `verify.samples`). `pruning.*` is Fig. 1 of
the paper: of the problems that the student fails and the teacher solves, the share that the student
solves once all that a detector marks is cut (Eq. 5, tau 0.10, tokens); `pruning_clause.*` is the
same with clauses for tokens.
"""

import contextlib
import json
import math
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
from scipy import stats

from benchmarks.common import AsJson, out_console, print_json, start
from leaf.errors import UsageError, nearest
from leaf.pipeline.stages import Pipeline
from leaf.playground import SPLITS
from leaf.progress import table
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.records import Outcome
from leaf.report.control import precision
from leaf.store.results import Results
from leaf.store.store import Store

SEES = {"": "same", "_cut": "cut"}
"""How names of methods end, and what the teacher sees then."""

ALONE = {"teacher": "self", "attribute.reference": "self"}
"""No teacher anywhere: `rft` comes with these methods, `kd` with all others."""

METHODS: dict[str, dict[str, str]] = {
    **{
        f"{strategy}{end}": {"prune.strategy": f"[{strategy}]", "distill.teacher_sees": sees}
        for strategy in ("span", "transplant")
        for end, sees in SEES.items()
    },
    "inject": {"prune.strategy": "[inject]"},
    "leaf": {},
    "self": {**ALONE, "distill.cross_entropy": "0.0"},
    "self_ce": {**ALONE, "distill.cross_entropy": "1.0"},
    "lens": {
        **ALONE,
        "distill.cross_entropy": "1.0",
        "prune.strategy": "[span]",
        "distill.teacher_sees": "cut",
    },
    "on_policy": {
        "distill.rounds": "2",
        "distill.validation.share": "0.1",
        "distill.round.learning_rate": "1e-4",
    },
    "oracle": {"attribute.detector": "oracle"},
}
"""What each method changes in the recipe; `before` comes with every one of them."""

PARTS: dict[str, dict[str, str]] = {
    "leaf_without_transplant": {"prune.strategy": "[inject]"},
    "leaf_without_inject": {"prune.strategy": "[transplant]"},
    "leaf_without_contexts": {"distill.teacher_sees": "same"},
    "leaf_without_ablation": {"attribute.detector": "gradient"},
    "leaf_without_effect": {"verify.effect": "0.0"},
}
"""The recipe's own method without one of its parts each; on demand."""

EVERY = {**METHODS, **PARTS}

DETECTORS = ("gradient", "random", "perplexity", "oracle")
"""Those whose cuts are compared without training."""

RIVALS = {"kd": "", "rft": "rft_"}
"""Whom methods are held against, and how the ends of that interval begin."""

PRUNED = {"pruning": "token", "pruning_clause": "clause"}
"""How those figures begin, and the unit that is cut."""

SHORT = [
    "evaluate.teacher=false",
    "evaluate.resamples=100",
    "attribute.controls=[]",
    "arms={}",
    "verify.placebos=0",
    "distill.teacher=hidden",
]
"""What this benchmark does not need: it has its own intervals, controls and arms. What the teacher
says is kept on disk, which changes nothing but the time."""

SMALL = ["data.world.size=250"]
"""Few problems: `small.*`."""

CONTROLLED = ["verify.placebos=2", "verify.samples=8", "prune.strategy=[span]"]
"""Verification under control: what `verified.precision.controlled` is of."""

app = cyclopts.App(help=__doc__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One seed's work."""

    seed: int
    recipe: str
    overrides: tuple[str, ...]
    methods: tuple[str, ...]
    test_size: int
    equal_tokens: bool
    small: bool
    store: Path


@app.default
def main(  # noqa: D417 - `AsJson` says what it is
    *,
    seeds: int = 5,
    first_seed: int = 1,
    recipe: str = "demo",
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set", negative=())] = None,
    methods: str = ",".join(METHODS),
    test_size: int = 1000,
    equal_tokens: bool = True,
    small: bool = True,
    workers: int = 2,
    store: Path = Path("runs/effect"),
    json_: AsJson = False,
) -> None:
    """Train every method for every seed and print the comparison.

    Args:
        seeds: How many; at least 2 for an interval.
        first_seed: The first one; settings are chosen on other seeds than are reported. The bundled
            models were made from seed 0.
        recipe: The setting; a recipe of the task `playground`.
        set_: Change one value of the recipe, for every method.
        methods: Which of span, span_cut, transplant, transplant_cut, inject, leaf, self, self_ce,
            lens, on_policy, oracle, or of leaf_without_transplant and others, the recipe's own
            method without one of its parts.
        test_size: Problems of each split.
        equal_tokens: Also train with KD's number of training tokens.
        small: Also train on 250 problems.
        workers: Seeds at the same time, one core each.
        store: Where stage results are kept, so that a killed benchmark resumes.
    """
    chosen = tuple(methods.split(","))
    for method in chosen:
        if method not in EVERY:
            raise UsageError(
                f"--methods {method}: unknown{nearest(method, EVERY) or ';'} "
                f"there are: {', '.join(EVERY)}"
            )
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: must be at least 1")
    jobs = [
        Job(
            seed=seed,
            recipe=recipe,
            overrides=tuple(set_ or ()),
            methods=chosen,
            test_size=test_size,
            equal_tokens=equal_tokens,
            small=small,
            # Each its own: what a teacher says is kept in one place of a store, one at a time.
            store=store / f"seed-{seed}",
        )
        for seed in range(first_seed, first_seed + seeds)
    ]
    for job in jobs:
        job.store.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        found = list(pool.map(run_seed, jobs))
    figures = {"seeds": float(seeds), **summarise(found)}
    setting = {
        "recipe": recipe,
        "set": list(set_ or ()),
        "seeds": [job.seed for job in jobs],
        "test_size": test_size,
    }
    show(figures, chosen)
    if json_:
        print_json("effect", setting, figures)


def run_seed(job: Job) -> dict[str, float]:
    """Return every number of one seed by name, such as `conflict.kd`; output goes to a log file."""
    log = job.store / "log.txt"
    with log.open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        values: dict[str, float] = {}
        for scope, unit in PRUNED.items():
            values |= _freed(job, scope, unit)
        values |= _precision(job)
        tokens = None
        for method in job.methods:
            results = _run(_recipe(job, EVERY[method]), job.store, "evaluate")
            # The first of them is the baseline: a method that holds problems out has another.
            values = _means(results, method) | _counts(results, method) | values
            if "kd" in results.students:
                tokens = tokens or _tokens(results)
        if job.equal_tokens and tokens:
            same = [f"distill.max_tokens={tokens}", "distill.max_steps=null"]
            for method in job.methods:
                results = _run(_recipe(job, EVERY[method], same), job.store, "evaluate")
                values = _means(results, method, "equal_tokens.") | values
        for method in job.methods if job.small else ():
            results = _run(_recipe(job, EVERY[method], SMALL), job.store, "evaluate")
            values = _means(results, method, scope="small.") | values
    return values


def summarise(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average over seeds: means, their intervals, and paired differences to KD (see above)."""
    figures: dict[str, float] = {}
    for name in found[0]:
        values = np.array([seed[name] for seed in found])
        scope = name.rpartition(".")[0]
        figures[f"{name}.mean"], low, high = mean_interval(values)
        figures |= {f"{name}.mean_low": low, f"{name}.mean_high": high}
        for rival, ends in ({"random": ""} if scope in PRUNED else RIVALS).items():
            if f"{scope}.{rival}" not in found[0]:
                continue
            differences = values - np.array([seed[f"{scope}.{rival}"] for seed in found])
            mean, low, high = mean_interval(differences)
            figures[f"{name}.minus_{rival}"] = mean
            figures |= {f"{name}.{ends}low": low, f"{name}.{ends}high": high}
    return figures


def mean_interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    """Return the mean and its 95% t-interval; the interval is the mean where nothing varies."""
    mean = float(values.mean())
    error = float(stats.sem(values)) if len(values) > 1 else float("nan")
    if error == 0:
        return mean, mean, mean
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
    return mean, float(low), float(high)


def show(figures: Mapping[str, float], methods: Sequence[str]) -> None:
    """Print the comparison for people, in points."""
    kinds = {
        "{}.": "equal optimiser steps",
        "{}.equal_tokens.": "equal training tokens",
        "small.{}.": "250 training problems",
    }
    for place, title in kinds.items():
        named = {split: place.format(split) for split in SPLITS}
        rows = table(title, *SPLITS)
        for method in ("before", "kd", "rft", *methods):
            cells = [_cell(figures, f"{scope}{method}", method) for scope in named.values()]
            if any(cells):
                rows.add_row(method, *cells)
        if rows.row_count:
            out_console.print(rows)
    for how in ("greedy", "controlled"):
        name = f"verified.precision.{how}"
        if f"{name}.mean" in figures:
            out_console.print(
                f"verified cuts that are planted, {how}: {100 * figures[f'{name}.mean']:.1f}%"
            )
    for scope, unit in PRUNED.items():
        rows = table(f"solved once {unit}s are pruned", "share", "minus random")
        for detector in DETECTORS:
            name = f"{scope}.{detector}"
            low, high = figures[f"{name}.mean_low"], figures[f"{name}.mean_high"]
            share = f"{100 * figures[f'{name}.mean']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            rows.add_row(detector, share, _difference(figures, name, "random"))
        out_console.print(rows)


def _cell(figures: Mapping[str, float], name: str, method: str) -> str:
    """Return a mean in percent and its difference, of a method alone from `rft`; "" without."""
    if f"{name}.mean" not in figures:
        return ""
    mean = f"{100 * figures[f'{name}.mean']:.1f}"
    if method in ("before", *RIVALS):
        return mean
    rival = "rft" if "teacher" in EVERY[method] else "kd"
    return f"{mean}  {_difference(figures, name, rival)}"


def _difference(figures: Mapping[str, float], name: str, rival: str) -> str:
    ends = RIVALS.get(rival, "")
    low, high = 100 * figures[f"{name}.{ends}low"], 100 * figures[f"{name}.{ends}high"]
    return f"{100 * figures[f'{name}.minus_{rival}']:+.1f} ({low:+.1f} to {high:+.1f})"


def _recipe(job: Job, method: Mapping[str, str], more: Sequence[str] = ()) -> Recipe:
    seeds = ["data.world.seed", "attribute.random.seed", "prune.seed", "distill.seed"]
    sizes = [
        f"evaluate.benchmarks.{split}.world.size={job.test_size}"
        for split in load_recipe(job.recipe).evaluate.benchmarks
    ]
    own = [f"{key}={value}" for key, value in method.items()]
    numbers = [f"{key}={job.seed}" for key in seeds]
    return load_recipe(job.recipe, [*SHORT, *sizes, *numbers, *job.overrides, *own, *more])


def _run(recipe: Recipe, store: Path, until: str) -> Results:
    return Pipeline(recipe, Store(store)).run(until=until, after_stage=lambda: None)


def _freed(job: Job, scope: str, unit: str) -> dict[str, float]:
    """Return, for each detector, the share of problems solved after all that it marks is cut."""
    controls = json.dumps([name for name in DETECTORS if name != "gradient"])
    method = {
        "attribute.detector": "gradient",
        "prune.rule": "value",
        "prune.threshold": "0.1",
        "prune.units": f"[{unit}]",
        "prune.strategy": "collective",
    }
    results = _run(_recipe(job, method, [f"attribute.controls={controls}"]), job.store, "verify")
    entered = len(results.attributions or ())
    return {
        f"{scope}.{detector}": sum(
            verdict.student is Outcome.RIGHT for verdict in cuts.verdicts or ()
        )
        / max(entered, 1)
        for detector, cuts in results.cuts.items()
    } | {"counts.entered": float(entered)}


def _precision(job: Job) -> dict[str, float]:
    """Return which share of verified cuts is planted, by greedy answers and under control."""
    results = _run(_recipe(job, {}, CONTROLLED), job.store, "verify")
    found = precision(results, next(iter(results.cuts)))
    shares = {"greedy": found.greedy, "controlled": found.controlled} if found else {}
    return {
        f"verified.precision.{how}": share.value if share else math.nan
        for how, share in shares.items()
    }


def _means(results: Results, method: str, kind: str = "", scope: str = "") -> dict[str, float]:
    """Return the accuracies by split: `before` and the baseline beside the method's."""
    assert results.estimates is not None
    return {
        f"{scope}{split}.{kind}{method if arm == 'leaf' else arm}": estimate.mean
        for split, arms in results.estimates.items()
        for arm, estimate in arms.items()
    }


def _counts(results: Results, method: str) -> dict[str, float]:
    """Return how many changed questions were tried and kept."""
    (cuts,) = results.cuts.values()
    return {f"counts.{method}_tried": len(cuts.tried), f"counts.{method}_kept": len(cuts.kept)}


def _tokens(results: Results) -> int:
    """Return the tokens that KD trained on, prompts included."""
    lines = (results.students["kd"] / "metrics.jsonl").read_text().splitlines()
    return sum(json.loads(line)["tokens"] for line in lines)


if __name__ == "__main__":
    start(app)
