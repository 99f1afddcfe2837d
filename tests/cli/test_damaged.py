"""Unfinished and damaged run folders: one line that names the file and the way out."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import StoreError
from leaf.pipeline.stages import STAGES
from leaf.store.run_folder import ROWS, VALUES, repeat
from tests.command_line import Done, complaint, leaf


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A run folder that may be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def one_line(done: Done, code: int) -> str:
    assert (done.code, done.out) == (code, "")
    assert done.err.count("\n") == 1
    return done.err.removeprefix("leaf: ").rstrip("\n")


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def swapped(data: bytes) -> bytes:
    """Damage what the footer says and leave the magic bytes."""
    return data[:-100] + b"\xff" * 92 + data[-8:]


def other(data: bytes) -> bytes:
    return b"no Parquet at all"


# Unfinished runs.


@pytest.mark.parametrize("until", STAGES)
def test_a_run_that_stopped_anywhere_has_a_page(make_run: Any, until: str) -> None:
    run = make_run(until, until=until)
    done = leaf("report", run)
    assert (done.code, done.err) == (0, "")
    page = (run / "report.html").read_text()
    assert ("Not there yet" in page) == (until != "evaluate")


@pytest.mark.parametrize("until", STAGES)
def test_a_run_that_stopped_before_verification_has_nothing_to_explain(
    make_run: Any, until: str
) -> None:
    run = make_run(until, until=until)
    if until in {"verify", "distill", "evaluate"}:
        assert leaf("explain", run).code == 0
        return
    message = complaint("explain", run)
    assert message.startswith(f"{run}/ledger.parquet: not there; `leaf run`")


# Damaged files.


@pytest.mark.parametrize("damage", [cut, swapped, other])
@pytest.mark.parametrize("words", [("explain",), ("explain", "train-1")])
def test_a_damaged_ledger_is_named(copy: Path, damage: Any, words: tuple[str, ...]) -> None:
    ledger = copy / "ledger.parquet"
    ledger.write_bytes(damage(ledger.read_bytes()))
    message = one_line(leaf(words[0], copy, *words[1:]), 1)
    assert message.startswith(f"{ledger}: damaged; `leaf run` with its recipe writes it")


@pytest.mark.parametrize("damage", [cut, swapped, other])
def test_damaged_rows_are_named(copy: Path, tmp_path: Path, damage: Any) -> None:
    rows, out = copy / ROWS, tmp_path / "x.jsonl"
    rows.write_bytes(damage(rows.read_bytes()))
    message = one_line(leaf("export", copy, "--format", "trl", "--out", out), 1)
    assert message.startswith(f"{rows}: damaged; `{repeat(copy)} --until verify` writes it")
    assert not out.exists()


@pytest.mark.parametrize("damage", [cut, swapped, other])
def test_damaged_values_are_named(copy: Path, finished: Path, damage: Any) -> None:
    values = copy / VALUES
    values.write_bytes(damage(values.read_bytes()))
    message = one_line(leaf("report", finished, copy), 1)
    assert message == f"{values}: damaged; `{repeat(copy)}` writes it again"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", ":1: not JSON: "),
        (b'{"format": 2, "recipe": {\n"name": "x', ":2: not JSON: "),
        (b'{"format": "\xff"}', ": not JSON: byte 12 is not UTF-8 text"),
        (b"[1]", ": not a report, but a list"),
        (b"{}", ": has format None, but this version of leaf "),
    ],
    ids=["empty", "cut", "bytes", "list", "no format"],
)
@pytest.mark.parametrize("others", [0, 1])
def test_a_damaged_report_is_named(
    copy: Path, finished: Path, text: bytes, said: str, others: int
) -> None:
    (copy / "report.json").write_bytes(text)
    message = complaint("report", *[finished] * others, copy)
    assert message.startswith(f"{copy}/report.json{said}")
    assert message.endswith("writes it again")


def test_a_report_that_lacks_a_part_is_named(copy: Path) -> None:
    report = json.loads((copy / "report.json").read_text())
    del report["steps"]
    (copy / "report.json").write_text(json.dumps(report))
    message = complaint("report", copy)
    assert message.startswith(f"{copy}/report.json: damaged (")
    assert message.endswith("writes it again")


def test_a_missing_recipe_is_named(copy: Path) -> None:
    (copy / "recipe.yaml").unlink()
    command = json.loads((copy / "report.json").read_text())["command"]
    assert complaint("explain", copy) == (f"{copy}/recipe.yaml: not there; `{command}` writes it")


def test_without_a_report_the_recipe_beside_it_says_how_to_go_on(copy: Path) -> None:
    (copy / "report.json").unlink()
    assert repeat(copy) == f"leaf run {copy}/recipe.yaml --out {copy}"
    (copy / "recipe.yaml").unlink()
    assert repeat(copy) == f"leaf run RECIPE --out {copy}"


def test_a_report_whose_command_is_no_text_is_not_repeated(copy: Path) -> None:
    (copy / "report.json").write_text('{"command": 5}')
    assert repeat(copy) == f"leaf run {copy}/recipe.yaml --out {copy}"


@pytest.mark.parametrize("damage", [cut, other])
def test_a_damaged_shard_is_named_with_the_way_out(
    finished: Path, tmp_path: Path, make_run: Any, damage: Any
) -> None:
    store = shutil.copytree(finished.parent / "store", tmp_path / "store")
    # Which of them a run reads first depends on its keys, and these on the processor.
    shards = sorted(store.glob("answers/*/part-00000.parquet"))
    for shard in shards:
        shard.write_bytes(damage(shard.read_bytes()))
    words = ("--out", tmp_path / "again", "--store", store, "--until", "answers")
    done = leaf("run", finished / "recipe.yaml", *words)
    assert done.code == StoreError.exit_code == 1
    assert done.err.splitlines()[-1] in {
        f"leaf: {shard}: damaged or missing; delete the folder {shard.parent} and run the same "
        "command to compute it again"
        for shard in shards
    }
