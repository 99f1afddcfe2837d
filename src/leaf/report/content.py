"""What the report says: plain values out of records. `page.py` shows them, rounding only there.

A part that an unfinished run does not have yet is None; `REPORT["missing"]` names the stage that
the run stopped before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from leaf.recipe import Recipe
from leaf.recipe.reading import describe
from leaf.records import (
    TRAINED,
    Answer,
    Attribution,
    Counterfactual,
    Drop,
    NormalisedScores,
    Problem,
    Score,
    Verdict,
)
from leaf.report.changes import changes
from leaf.report.counts import outcome_table, steps
from leaf.report.detectors import detectors
from leaf.report.drops import drop_counts, passed_over
from leaf.report.examples import distractions
from leaf.report.plain import plain
from leaf.report.scores import scores, variants
from leaf.report.training import overhead, training_arms, training_rows
from leaf.statistics import Comparison, Estimate
from leaf.store.work import StageLog

Cuts = tuple[Sequence[Counterfactual], Sequence[Verdict] | None]
"""What one detector led to; the verdicts are None before verification."""

FORMAT = 4
"""Of report.json; another one cannot be shown by this page."""


def build_report(
    *,
    recipe: Recipe,
    command: str,
    manifest: Mapping[str, Any],
    logs: Sequence[StageLog],
    problems: Sequence[Problem] | None,
    student_answers: Sequence[Answer] | None,
    teacher_answers: Sequence[Answer] | None,
    student_scores: Sequence[Score] | None,
    teacher_scores: Sequence[Score] | None,
    attributions: Sequence[Attribution] | None,
    focus: Sequence[NormalisedScores] | None,
    cuts: Mapping[str, Cuts],
    drops: Sequence[Drop],
    training: Mapping[str, Sequence[Mapping[str, Any]]] | None,
    estimates: Mapping[str, Mapping[str, Estimate | None] | None] | None,
    comparisons: Mapping[str, Comparison | None] | None,
    notes: Sequence[str] = (),
    segments: Mapping[str, Sequence[Problem]] | None = None,
    robustness: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Gather everything that a report shows; None stands for what the run has not reached.

    `command` continues or repeats the run; `logs` says what became of each result. `training` maps
    the arms `kd` and `leaf` to their steps: step, loss, kl_original, kl_counterfactual (or None),
    learning_rate, grad_norm, and of that step alone seconds, rows and response_tokens. `cuts` maps
    each detector to what it led to, the recipe's own first, then its controls; steps, examples and
    drops are of the recipe's own. `estimates` maps a benchmark to its arms `before`, `kd`, `leaf`
    and perhaps `teacher`; `comparisons` holds LeaF against plain distillation on the same
    questions. `segments` maps a problem to its response-level problems. `robustness` maps a
    benchmark of variants to what they cost each arm (`leaf.evaluate.Robustness`).
    """
    own = recipe.attribute.detector
    segments = segments or {}
    origins = {item.id: origin for origin, within in segments.items() for item in within}
    entered = {origins.get(item.problem_id, item.problem_id) for item in attributions or ()}
    found = {name: changes(*each, origins) for name, each in cuts.items()}
    verified = found and all(each.verdicts is not None for each in found.values())
    all_trained = {arm.name for arm in TRAINED} <= set(training or ())
    look: Any = {
        "problems": [*(problems or ()), *(one for within in segments.values() for one in within)],
        "answers": (student_answers or (), teacher_answers or ()),
        "changes": found.get(own),
    }
    report = {
        "format": FORMAT,
        "recipe": recipe.model_dump(by_alias=True),
        "command": command,
        "manifest": manifest,
        "notes": list(notes),
        "problems": None if problems is None else len(problems),
        "results": scores(recipe, estimates, comparisons),
        "robustness": variants(robustness),
        "steps": steps(
            problems=problems,
            answers=(student_answers, teacher_answers),
            scores=(student_scores, teacher_scores),
            attributions=attributions,
            changes=found.get(own),
            origins=origins,
            rows=training_rows(logs),
        ),
        "outcomes": outcome_table(student_scores, teacher_scores),
        "passed_over": drop_counts(passed_over(student_scores, teacher_scores), **look),
        "drops": drop_counts(drops, **look),
        "detectors": detectors(found, own=own, entered=len(entered)) or None,
        "distraction": distractions(
            problems=problems or (),
            segments=segments,
            entered=None if attributions is None else {one.problem_id for one in attributions},
            answers=(student_answers or (), teacher_answers or ()),
            scores=(student_scores or (), teacher_scores or ()),
            focus=focus or (),
            changes=found.get(own),
        ),
        "training": training_arms(training),
        "cost": _cost(logs),
        "overhead": overhead(logs, recipe.attribute.controls),
        "seeds": _seeds(recipe),
        "missing": _missing(
            {
                "reading the problems": problems,
                "answering": None if teacher_answers is None else student_answers,
                "grading": None if teacher_scores is None else student_scores,
                "attribution": attributions,
                "pruning": found or None,
                "verification": verified or None,
                "distillation": training if all_trained else None,
                "evaluation": estimates,
            }
        ),
    }
    result: dict[str, Any] = plain(report)
    return result


def _seeds(recipe: Recipe) -> dict[str, Any]:
    """Return each seed by its key; only the embedded world has a seed of its own."""
    values = {key: value for key, value, _ in describe(recipe)}

    def has_use(key: str) -> bool:
        section = key.removesuffix(".world.seed")
        return section == key or values[f"{section}.task"] == "playground"

    return {key: value for key, value in values.items() if key.endswith(".seed") and has_use(key)}


def _missing(results: Mapping[str, object]) -> str | None:
    """Name the first stage, in running order, whose result is not there."""
    return next((stage for stage, result in results.items() if result is None), None)


def _cost(logs: Sequence[StageLog]) -> dict[str, Any]:
    return {
        "stages": [
            {
                "name": log.title,
                "stage": log.stage,
                "kind": log.kind,
                "about": log.about,
                "key": log.key,
                "seconds": log.seconds,
                "peak_bytes": log.peak_bytes,
                "items": log.items,
                "reused": log.computed == 0,
                "detail": f"{log.records} records",
            }
            for log in logs
        ],
        "computed_seconds": sum(log.seconds for log in logs if log.computed),
        "reused_seconds": sum(log.seconds for log in logs if not log.computed),
    }
