"""Training problems that a benchmark has too are left out, counted, and never trained on."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.doctor import examine
from leaf.errors import DataError
from leaf.pipeline.stages import Pipeline
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.store.results import Results
from leaf.store.store import Store


def recipe(cue_pair: Path, test: Path, *, decontaminate: bool) -> Recipe:
    values: dict[str, Any] = yaml.safe_load((cue_pair / "recipe.yaml").read_text())
    values["evaluate"] = {
        "decontaminate": decontaminate,
        "benchmarks": {"own": {"task": "table", "path": str(test)}},
    }
    return check_recipe(values, source="test")


def read(made: Recipe, store: Path) -> Results:
    pipeline = Pipeline(made, Store(store))
    return pipeline.run(until="problems", after_stage=lambda: None)


@pytest.fixture
def shared(cue_pair: Path, tmp_path: Path) -> Path:
    """A benchmark with the training problems 1 (one word added), 2 (in capitals) and a new one."""
    lines = (cue_pair / "train.jsonl").read_text().splitlines()
    first, second = (json.loads(line) for line in lines[:2])
    first["question"] = first["question"].replace("has some", "has some spare")
    second["question"] = second["question"].upper()
    new = {"question": "How far is it from here to the sea?", "answer": "4"}
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in (first, second, new)))
    return path


def test_what_a_benchmark_has_is_left_out_and_counted(
    cue_pair: Path, shared: Path, tmp_path: Path
) -> None:
    every = read(recipe(cue_pair, shared, decontaminate=False), tmp_path).problems or []
    found = read(recipe(cue_pair, shared, decontaminate=True), tmp_path)
    drops = {drop.problem_id: drop.reason for drop in found.drops}
    assert drops["train-2"] == "word for word in benchmark own"
    kept = [problem.id for problem in found.problems or ()]
    assert kept == [problem.id for problem in every if problem.id not in drops]
    assert {drop.stage for drop in found.drops} == {"problems"}
    assert f"{len(drops)} training problems are left out: a benchmark has them too" in found.notes
    assert not any("in the training data" in note for note in found.notes)


def test_without_it_the_overlap_is_only_said(cue_pair: Path, shared: Path, tmp_path: Path) -> None:
    found = read(recipe(cue_pair, shared, decontaminate=False), tmp_path)
    assert len(found.problems or ()) == 8
    assert any("in the training data" in note for note in found.notes)


def test_where_nothing_is_left_the_way_out_is_named(cue_pair: Path, tmp_path: Path) -> None:
    made = recipe(cue_pair, cue_pair / "train.jsonl", decontaminate=True)
    with pytest.raises(DataError, match=r"evaluate\.decontaminate: false"):
        read(made, tmp_path)


def test_the_doctor_says_that_they_are_not_trained_on(cue_pair: Path, shared: Path) -> None:
    (text,) = (
        finding.text
        for finding in examine(recipe(cue_pair, shared, decontaminate=True))
        if "in the training data" in finding.text
    )
    assert text.endswith("these are not trained on (evaluate.decontaminate)")
