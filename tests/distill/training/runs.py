"""Runs of stage 2 on the pair of tiny trained models, and what they leave."""

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from leaf.distill import TrainingExample, plan_steps
from leaf.distill.train_student import TrainingJob
from leaf.models.files import find
from leaf.pipeline.stages import Pipeline
from leaf.recipe import DistillSection, ModelSection
from leaf.recipe.reading import check_recipe
from leaf.store.store import Store

DETECTION = {"detector": "ablation", "ablation_unit": "word"}
"""Keeps one counterfactual of each of the four problems with the cue."""


def values_of(pair: Path, **distill: Any) -> dict[str, Any]:
    settings = {
        "batch_size": 4,
        "epochs": 2,
        "learning_rate": 1e-3,
        "compute_dtype": "float32",
        **distill,
    }
    values: dict[str, Any] = yaml.safe_load((pair / "recipe.yaml").read_text())
    return {**values, "attribute": DETECTION, "distill": settings}


def run(pair: Path, store: Path, until: str = "distill", **distill: Any) -> Pipeline:
    recipe = check_recipe(values_of(pair, **distill), source="test")
    pipeline = Pipeline(recipe, Store(store))
    pipeline.run(until=until, after_stage=lambda: None)
    return pipeline


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def largest_difference(ours: Path, theirs: Path) -> float:
    first, second = weights(ours), weights(theirs)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def job_of(folder: Path, student: Path, taught_by: Path, pair: Path, **distill: Any) -> TrainingJob:
    """Train on the pair's eight questions, every second one as if it were a counterfactual."""
    lines = (pair / "train.jsonl").read_text().splitlines()
    rows = [
        TrainingExample(
            problem_id=f"problem-{n}",
            content=json.loads(line)["question"],
            response="4",
            counterfactual=n % 2 == 1,
        )
        for n, line in enumerate(lines)
    ]
    section = DistillSection(compute_dtype="float32", **distill)
    sections = [ModelSection(model=str(path), dtype="float32") for path in (student, taught_by)]
    (folder / "job").mkdir()
    return TrainingJob(
        label="training",
        student=sections[0],
        student_source=find(sections[0]),
        teacher=sections[1],
        teacher_source=find(sections[1]),
        distill=section,
        rows=rows,
        held_out=(),
        steps=plan_steps(rows, section),
        key="job",
        folder=folder / "job",
        store=folder / "store",
        task="test",
    )
