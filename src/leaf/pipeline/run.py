"""A run folder: the resolved recipe, the manifest, metrics, the students and the report."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaf.errors import RecipeError
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.manifest import build_manifest
from leaf.pipeline.stages import STAGES, Pipeline
from leaf.pipeline.training_sets import TrainingSet
from leaf.recipe import Recipe
from leaf.recipe.reading import describe as describe_recipe
from leaf.recipe.reading import dump_recipe, load_recipe
from leaf.report import build_report, write_report
from leaf.store.arms import arm_of
from leaf.store.disk import BUSY, locked
from leaf.store.ledger import write_ledger
from leaf.store.results import Results
from leaf.store.run_folder import (
    VALUES,
    QuestionValue,
    TrainingRow,
    rows_name,
    write_records,
)
from leaf.store.seal import unsealed
from leaf.store.store import Store, write_whole


def run_recipe(
    recipe: Recipe,
    *,
    out: Path | str,
    store: Store | None = None,
    until: str = STAGES[-1],
    command: str | None = None,
    overwrite: bool = True,
) -> Results:
    """Run a recipe up to a stage and keep `out` current: its report is there after every stage.

    One run at a time writes into a folder.

    Args:
        recipe: The resolved recipe.
        out: The run folder.
        store: Where stage results are kept and found again; None: the folder `store` beside `out`.
        until: The last stage, one of `leaf.pipeline.stages.STAGES`.
        command: What repeats or continues this run, for the report; None: this script's own words.
        overwrite: Whether a run of another recipe in `out` may be replaced.

    Raises:
        RecipeError: `out` holds a run of another recipe, which must not be replaced.
        StoreError: another run is writing into `out`.
        LeafError: the recipe's data or models cannot be used, or the work failed.
    """
    command = shlex.join(["python", *sys.argv]) if command is None else command
    folder = Path(out)
    store = store or Store(folder.parent / "store")
    with locked(folder, BUSY, tidy=True):
        check_out(recipe, folder, overwrite=overwrite)
        return _run(Pipeline(recipe, store), folder, until, command)


def _run(pipeline: Pipeline, folder: Path, until: str, command: str) -> Results:
    recipe = pipeline.recipe

    def after_stage() -> None:
        # Not before: a run whose data or models cannot be found claims no folder.
        _claim(folder, dump_recipe(recipe).encode())
        # Stage 1 is done then; the stages after it change nothing in what it leaves.
        if pipeline.results.verified and not pipeline.results.students:
            write_ledger(folder / "ledger.parquet", pipeline.results.entries())
        for arm, trained_on in pipeline.training_sets.items():
            if arm != "kd" and pipeline.results.estimates is None:
                _write_rows(trained_on, folder / rows_name(arm), pipeline.session.student_chat)
        if values := pipeline.results.question_values:
            write_records(folder / VALUES, values, QuestionValue)
        training = metrics_of(pipeline.results.students)
        _write_metrics(training, folder / "metrics.jsonl")
        report = build_report(
            pipeline.results,
            recipe=recipe,
            command=command,
            manifest=build_manifest(recipe, pipeline.session.sources),
            logs=pipeline.logs,
            training=training,
        )
        write_whole(folder / "manifest.json", json.dumps(report["manifest"], indent=1).encode())
        write_report(report, folder)

    results = pipeline.run(until=until, after_stage=after_stage)
    publish_students(results.students, folder)
    return results


_WHERE = ("device_map", "tensor_parallel")

_FREE = {
    "description",
    "runner",
    "ray.workers",
    "ray.gpus",
    "generate.token_budget",
    "generate.max_batch",
    "generate.draft",
    "generate.missing",
    "grade.workers",
    "attribute.token_budget",
    "distill.token_budget",
    "distill.chunk_tokens",
    "distill.checkpoint_every",
    "distill.gradient_checkpointing",
    "distill.tracking",
    "distill.served.workers",
    "distill.served.key_variable",
    *(f"{role}.{name}" for role in ("student", "teacher") for name in _WHERE),
    *(
        f"{role}.server.{name}"
        for role in ("student", "teacher")
        for name in ("key_variable", "workers", "retries", "timeout", "limit")
    ),
}
"""Keys that decide where, how fast and in how much memory a run is done, not what comes out."""


def check_out(recipe: Recipe, out: Path, *, overwrite: bool) -> None:
    """Refuse a run folder that holds a run of another recipe, unless it may be overwritten."""
    old_file = out / "recipe.yaml"
    if overwrite or not old_file.is_file():
        return
    old = load_recipe(str(old_file))
    before = {key: value for key, value, _ in describe_recipe(old)}
    for key, value, _ in describe_recipe(recipe):
        if key not in _FREE and before.get(key) != value:
            raise RecipeError(
                f"{out}: holds a run with {key}: {before.get(key)}, but this one has {value}; "
                "name another --out, or add --overwrite (what both share is not computed again)"
            )


def _claim(out: Path, recipe: bytes) -> None:
    """Write the recipe; what another one left goes, since its ledger would not be this run's."""
    path = out / "recipe.yaml"
    if not path.is_file() or path.read_bytes() != recipe:
        for left in (out / "ledger.parquet", out / VALUES, *out.glob("rows*.parquet")):
            left.unlink(missing_ok=True)
        write_whole(path, recipe)


def _write_rows(arm: TrainingSet, path: Path, chat: PromptFormat) -> None:
    """Write what an arm trains on, with its length in the student's tokens."""
    rows = [
        TrainingRow(
            id=row.id,
            problem_id=row.problem_id,
            strategy=row.strategy,
            prompt=row.content,
            response_prefix=row.response_prefix,
            response=row.response,
            held_out=held_out,
            teacher_prompt=row.teacher_content,
            teacher_prefix=row.teacher_prefix,
            turns=row.turns,
            response_tokens=chat.encode(
                row.content, row.response, row.response_prefix, row.turns
            ).response_length,
            weight=row.weight,
        )
        for part, held_out in ((arm.rows, False), (arm.held_out, True))
        for row in part
    ]
    write_records(path, rows, TrainingRow)


def publish_students(students: Mapping[str, Path], out: Path) -> None:
    """Lay students and their adapters into the run folder (hard links where the disk allows)."""
    for arm, folder in students.items():
        if not (folder / "model").is_dir():
            continue
        target = out / arm_of(arm).folder
        for part, name in (("model", target.name), ("adapter", f"{target.name}-adapter")):
            _publish(folder / part, target.with_name(name))


def _publish(source: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}.tmp")
    for old in (aside, target):
        shutil.rmtree(old, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, aside, copy_function=_link)
        aside.replace(target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def metrics_of(students: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """Read the metrics of every arm's steps, from its student's stage folder."""
    return {arm: _lines(folder) for arm, folder in students.items()}


def _lines(folder: Path) -> list[dict[str, Any]]:
    """Read the metrics of a training, after those of the one that it began with."""
    own = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    after = unsealed(folder).get("after")
    if after is None:
        return own
    before = _lines(folder.parent / after)
    return [*before, *({**line, "step": len(before) + line["step"]} for line in own)]


def _write_metrics(training: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    lines = [
        json.dumps({"arm": arm, **line}) + "\n" for arm, steps in training.items() for line in steps
    ]
    if lines:
        write_whole(path, "".join(lines).encode())
