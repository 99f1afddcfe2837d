"""Scoring one model on benchmarks, outside a run."""

import dataclasses
import json
from pathlib import Path

from leaf.config import Recipe
from leaf.evaluate import accuracy
from leaf.manifest import build_manifest
from leaf.records import Estimate
from leaf.sources import find
from leaf.store import Store, write_whole
from leaf.tasks import load_problems
from leaf.workshop import Workshop


def evaluate_model(recipe: Recipe, out: Path) -> dict[str, Estimate]:
    """Score the recipe's student on its benchmarks; writes `out/scores.json`.

    Answers are kept in `out/store`, so a killed evaluation goes on where it was.
    """
    data = {name: load_problems(section) for name, section in recipe.evaluate.benchmarks.items()}
    source = find(recipe.student)
    workshop = Workshop(recipe, Store(out / "store"))
    estimates = {}
    for name, problems in data.items():
        _, scores = workshop.answers(recipe.student, source, problems, name)
        estimates[name] = accuracy(scores)
    content = {
        "scores": {name: dataclasses.asdict(found) for name, found in estimates.items()},
        "answers": {log.name: log.key for log in workshop.logs},
        "manifest": build_manifest(recipe, {"student": source}),
    }
    write_whole(out / "scores.json", json.dumps(content, indent=1).encode())
    return estimates
