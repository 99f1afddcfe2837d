"""One run at a time writes into a folder; trained weights are looked at before they are used."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leaf.errors import StoreError
from leaf.pipeline.run import run_recipe
from leaf.recipe.reading import load_recipe
from leaf.store.disk import BUSY, locked
from leaf.store.store import Store
from tests.command_line import leaf

HOLDER = """
import sys, time
from pathlib import Path
from leaf.store.disk import BUSY, locked

with locked(Path(sys.argv[1]), BUSY):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["run", "demo", "--until", "problems"],
        ["evaluate", "--model", "package:playground/models/student", "--benchmark", "playground"],
        ["study", "thresholds", "--recipe", "demo", "--store", "store"],
    ],
    ids=lambda words: words[0],
)
def test_a_second_one_on_the_same_out_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    command = [sys.executable, "-c", HOLDER, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            before = sorted(out.iterdir())
            done = leaf(*words, "--out", out)
        finally:
            other.kill()
    assert (done.code, done.out) == (1, "")
    assert done.err == f"leaf: {out}: another leaf process {BUSY}\n"
    assert sorted(out.iterdir()) == before
    assert not (tmp_path / "store").exists()


def test_a_run_that_was_refused_starts_when_the_other_has_ended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked(out, BUSY):
        assert leaf("run", "demo", "--until", "problems", "--out", out).code == 1
    assert leaf("run", "demo", "--until", "problems", "--out", out).code == 0
    # What is there is looked at under the lock: nobody can lay another run there in between.
    other = leaf("run", "demo", "--until", "problems", "--out", out, "--set", "prune.threshold=0.9")
    assert other.code == 2
    assert "holds a run with prune.threshold" in other.err


def test_what_a_kill_left_beside_what_is_done_goes_with_the_next_run(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    """It came as a file of the run was written, or as a student's checkpoints went."""
    run = make_run("damaged", {"distill.seed": 77})
    recipe, store = load_recipe(str(run / "recipe.yaml")), Store(run.parent / "store")
    out = tmp_path / "again"
    student = run_recipe(recipe, out=out, store=store, until="distill").students["leaf"]
    left = [
        out / ".report.json.4711.tmp",
        student / "checkpoint-000002" / "weights.safetensors",
        student / ".checkpoint-000003.4711.tmp" / "weights.safetensors",
    ]
    kept = out / ".notes.tmp"
    for path in (*left, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    run_recipe(recipe, out=out, store=store, until="distill")
    assert [path for path in left if path.exists()] == []
    assert not any(student.glob("*checkpoint-*"))
    assert kept.exists()


def test_damaged_weights_of_a_student_are_named_and_not_used(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    run = make_run("damaged", {"distill.seed": 77})
    recipe = load_recipe(str(run / "recipe.yaml"))
    store = run.parent / "store"
    for done in (store / "students").glob("*/done.json"):
        files = {file["file"] for file in json.loads(done.read_text())["files"]}
        there = {
            path.relative_to(done.parent).as_posix()
            for path in done.parent.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
        assert files == there - {"done.json", "times.jsonl"}
        assert "model/model.safetensors" in files
    found = run_recipe(recipe, out=tmp_path / "again", store=Store(store), until="distill")
    weights = found.students["leaf"] / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    # As damage would: published students are links to the same file.
    weights.write_bytes(data)
    with pytest.raises(StoreError, match=f"{weights}: damaged or missing; delete the folder"):
        run_recipe(recipe, out=tmp_path / "again", store=Store(store), until="distill")
