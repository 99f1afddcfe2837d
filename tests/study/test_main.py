"""The main study on tiny models: what runs give by themselves, once, and again after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.cli.main import main as leaf
from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store
from leaf.study.lab import Lab
from leaf.study.main import main


@pytest.fixture(scope="module")
def path(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe with two benchmarks: four new questions, and the eight that were trained on."""
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "prune": {"units": ["word"], "rule": "quantile", "threshold": 0.6},
        "distill": {"epochs": 1, "batch_size": 4, "warmup_steps": 0, "learning_rate": 1e-3},
        "evaluate": {
            "resamples": 500,
            "benchmarks": {
                "new": {"task": "table", "path": str(cue_pair / "test.jsonl")},
                "seen": {"task": "table", "path": str(cue_pair / "train.jsonl")},
            },
        },
    }
    path = tmp_path_factory.mktemp("recipes") / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def words(path: Path, store: Store, out: Path) -> list[str]:
    start = ["study", "main", "--recipe", str(path), "--seeds", "2"]
    return [*start, "--out", str(out), "--store", str(store.root)]


@pytest.fixture(scope="module")
def out(path: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command wrote, with two seeds."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.raises(SystemExit) as leaving:
        leaf(words(path, store, folder))
    assert leaving.value.code == 0
    return folder


def rows(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    values = json.loads((folder / "main.json").read_text())
    return {tuple(row["labels"].values()): row["cells"] for row in values["tables"][0]["rows"]}


def ends(interval: Any) -> tuple[float, float, float, int]:
    return interval.value, interval.low, interval.high, interval.n


def test_one_seed_is_what_the_run_reports(path: Path, store: Store, out: Path) -> None:
    recipe = load_recipe(str(path))
    results = Pipeline(recipe, store).run(until="evaluate", after_stage=lambda: None)
    (table, data) = main(Lab(recipe, store)).tables
    cells = {tuple(row.labels.values()): row.cells for row in table.rows}
    assert results.estimates
    assert results.comparisons
    for name in ("new", "seen"):
        estimates = results.estimates[name]
        for student, arm in (("before", "before"), ("KD", "kd"), ("LeaF (instruction)", "leaf")):
            assert ends(cells[name, student]["right"]) == ends(estimates[arm])
        compared = results.comparisons[name]
        assert cells[name, "LeaF (instruction)"]["minus KD"] == compared
        assert cells[name, "LeaF (instruction)"]["wins"] == compared.wins
        assert cells[name, "LeaF (instruction)"]["losses"] == compared.losses
    mean = (results.estimates["new"]["kd"].mean + results.estimates["seen"]["kd"].mean) / 2
    average: Any = cells["average", "KD"]["right"]
    assert average.value == pytest.approx(mean)
    verified = results.cuts["gradient"].kept
    assert data.rows[0].cells["changed questions"] == len(verified) > 0


def test_the_command_writes_the_mean_of_its_seeds(path: Path, store: Store, out: Path) -> None:
    recipe = load_recipe(str(path))
    lab = Lab(recipe, store, (0, 1))
    means = []
    for seed in lab.seeds:
        pipeline = Pipeline(lab.variant({}, seed), store)
        estimates = pipeline.run(until="evaluate", after_stage=lambda: None).estimates
        assert estimates
        means.append(estimates["new"]["leaf"].mean)
    found = rows(out)["new", "LeaF (instruction)"]["right"]
    assert found["value"] == pytest.approx(sum(means) / 2)
    assert (found["seeds"], found["n"]) == (2, 4)
    assert [pair for pair in rows(out) if pair[0] == "average"] == [
        ("average", "before"),
        ("average", "KD"),
        ("average", "LeaF (instruction)"),
    ]


def test_seeds_share_all_that_does_not_depend_on_them(out: Path, store: Store) -> None:
    # Scored once by student and teacher; trained for each seed, LeaF and KD.
    assert len(list((store.root / "sensitivities").iterdir())) == 2
    students = [one for one in (store.root / "students").iterdir() if (one / "done.json").is_file()]
    assert len(students) == 4


def test_the_same_command_again_computes_nothing(path: Path, store: Store, out: Path) -> None:
    before = {one: one.stat().st_mtime_ns for one in store.root.rglob("*.parquet")}
    first = {one.name: one.read_bytes() for one in out.iterdir()}
    with pytest.raises(SystemExit):
        leaf(words(path, store, out))
    assert {one.name: one.read_bytes() for one in out.iterdir()} == first
    assert {one: one.stat().st_mtime_ns for one in store.root.rglob("*.parquet")} == before


def test_a_killed_study_ends_with_the_same_files(path: Path, out: Path, tmp_path: Path) -> None:
    store, again = Store(tmp_path / "store"), tmp_path / "study"
    command = [sys.executable, "-m", "leaf", *words(path, store, again)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    deadline = time.monotonic() + 240
    while not list(store.root.glob("students/*/done.json")):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (again / "main.json").exists()
    with pytest.raises(SystemExit) as leaving:
        leaf(words(path, store, again))
    assert leaving.value.code == 0
    assert {one.name for one in again.iterdir()} == {one.name for one in out.iterdir()}
    for one in out.iterdir():
        assert (again / one.name).read_bytes() == one.read_bytes(), one.name


def test_both_levels_have_a_line_where_the_recipe_cuts_responses(
    path: Path, store: Store, tmp_path: Path
) -> None:
    recipe = load_recipe(str(path), ["prune.levels=[instruction, response]"])
    table = main(Lab(recipe, store)).tables[0]
    students = [row.labels["student"] for row in table.rows if row.labels["benchmark"] == "new"]
    # These references cannot be split, so both levels have the same data and the same KD.
    assert students == ["before", "KD", "LeaF (instruction)", "LeaF (instruction and response)"]
