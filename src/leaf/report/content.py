"""What the report says: plain values out of records. `page.py` shows them, rounding only there.

A part that an unfinished run does not have yet is None; `REPORT["missing"]` names the stage that
the run stopped before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from leaf.recipe import Recipe
from leaf.recipe.reading import describe, trained_arms
from leaf.records import Drop
from leaf.report.control import controlled
from leaf.report.cost import cost
from leaf.report.counts import changes, outcome_table, steps
from leaf.report.detectors import detectors
from leaf.report.drops import drop_counts, passed_over
from leaf.report.one_problem import distractions
from leaf.report.plain import plain
from leaf.report.scores import SMALL_N, consistencies, lengths, others, scores, variants
from leaf.report.training import overhead, training_arms, training_rows
from leaf.report.ways import ways
from leaf.store.arms import arm_of
from leaf.store.results import Results
from leaf.store.work import StageLog

FORMAT = 4
"""Of report.json; another one cannot be shown by this page."""


def build_report(
    results: Results,
    *,
    recipe: Recipe,
    command: str,
    manifest: Mapping[str, Any],
    logs: Sequence[StageLog],
    training: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """Gather everything that a report shows; None stands for what the run has not reached.

    Args:
        results: What the run has found so far.
        recipe: What was run; steps, problems and drops are those of its own detector.
        command: Continues or repeats the run.
        manifest: Versions, hardware and digests.
        logs: What became of each stage.
        training: Arm (`kd`, `leaf`) to its steps: step, loss, kl_original, kl_counterfactual (or
            None), learning_rate, grad_norm, and of that step alone seconds, rows and
            response_tokens.
    """
    own = recipe.attribute.detector
    entries = list(results.entries())
    kinds = ("removal", "transplant", "injection")
    made = {kind: changes(entries, own, kind) for kind in kinds}
    report = {
        "format": FORMAT,
        "recipe": recipe.model_dump(by_alias=True),
        "command": command,
        "manifest": manifest,
        "notes": [*results.notes, *_of_arms(results), *_small(results)],
        "problems": None if results.problems is None else len(results.problems),
        "baseline": recipe.baseline,
        "results": scores(recipe, results),
        "others": others(results),
        "lengths": lengths(results),
        "robustness": variants(results),
        "consistency": consistencies(results),
        "steps": steps(results, entries, own, training_rows(logs), recipe.baseline),
        "outcomes": outcome_table(results.student, results.teacher, alone=results.alone),
        "passed_over": drop_counts(_passed_over(results), results, entries, own),
        "drops": drop_counts(results.drops, results, entries, own),
        "detectors": detectors(results, entries, own) or None,
        "control": controlled(results, entries, recipe) or None,
        "distraction": None if results.attributions is None else distractions(entries, own),
        "training": training_arms(training or None),
        "ways": ways(recipe, results, training),
        "cost": cost(logs, training, made, own),
        "overhead": overhead(
            logs, recipe.attribute.controls, recipe.baseline, recipe.attribute.reference
        ),
        "seeds": _seeds(recipe),
        "missing": _missing(recipe, results, training),
    }
    values: dict[str, Any] = plain(report)
    return values


def _passed_over(results: Results) -> list[Drop]:
    return passed_over(results.student, results.teacher, results.entered, alone=results.alone)


def _of_arms(results: Results) -> list[str]:
    """Return the notes of other arms that are not the recipe's own, too."""
    return [
        f"{arm_of(arm).title}: {note}"
        for arm, beside in results.beside.items()
        for note in beside.notes
        if note not in results.notes
    ]


def _small(results: Results) -> list[str]:
    sizes = {
        benchmark: min(estimate.n for estimate in arms.values())
        for benchmark, arms in (results.estimates or {}).items()
        if arms
    }
    benchmark = min(sizes, key=sizes.__getitem__, default="")
    if not sizes or sizes[benchmark] >= SMALL_N:
        return []
    return [
        f"{benchmark} has only n = {sizes[benchmark]} test questions: the method is judged by the "
        "intervals, not by the percentages"
    ]


def _seeds(recipe: Recipe) -> dict[str, Any]:
    """Return each seed by its key; only the demo world has a seed of its own."""
    values = {key: value for key, value, _ in describe(recipe)}

    def has_use(key: str) -> bool:
        section = key.removesuffix(".world.seed")
        return section == key or values[f"{section}.task"] == "playground"

    return {key: value for key, value in values.items() if key.endswith(".seed") and has_use(key)}


def _missing(recipe: Recipe, results: Results, training: Mapping[str, object]) -> str | None:
    """Name the first stage, in running order, whose result is not there."""
    there = {
        "reading the problems": results.problems is not None,
        "answering": results.student is not None and (recipe.alone or results.teacher is not None),
        "attribution": results.attributions is not None,
        "pruning": bool(results.cuts),
        "verification": results.verified,
        "distillation": set(trained_arms(recipe)) <= set(training),
        "evaluation": results.estimates is not None,
    }
    return next((stage for stage, is_there in there.items() if not is_there), None)
