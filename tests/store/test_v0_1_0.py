"""What version 0.1.0 left behind is found and read.

`tests/data/v0.1.0.tar.xz` holds a store and a run folder that commit 5110f55 (0.1.0) made on two
cores of a CPU with float32 models: the recipe in it, to its end. Weights were taken out again.
"""

import dataclasses
import shutil
from pathlib import Path

import pytest

from leaf.cli.main import main
from leaf.pipeline.grading import GradeWorker
from leaf.pipeline.run import run_recipe
from leaf.recipe.reading import load_recipe
from leaf.report.formats import as_said
from leaf.store.ledger import Entry, read_ledger
from leaf.store.store import Store
from tests.works import unpack

ARCHIVE = Path(__file__).parents[1] / "data" / "v0.1.0.tar.xz"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(ARCHIVE, tmp_path_factory.mktemp("old")) / "v1"


@pytest.fixture
def store(old: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(old / "store", tmp_path / "store"))


def keys(store: Path) -> set[Path]:
    return {path.relative_to(store) for path in store.glob("*/*")}


def test_every_result_of_a_store_of_0_1_0_is_found_and_only_grading_is_done_again(
    old: Path, store: Path, tmp_path: Path
) -> None:
    """All five detectors, transplants and both students, by the names that they had.

    Graders have learnt to read more since, so that what they said has other names.
    """
    before = keys(store)
    recipe = load_recipe(str(old / "run" / "recipe.yaml"))
    results = run_recipe(recipe, out=tmp_path / "run", store=Store(store), until="distill")
    assert before <= keys(store)
    assert {path.parts[0] for path in keys(store) - before} == {GradeWorker.kind}
    assert set(results.cuts) == {"gradient", "random", "perplexity", "ablation", "attention"}
    assert set(results.students) == {"kd", "leaf"}
    entries = read_ledger(tmp_path / "run" / "ledger.parquet")
    assert all(entry.rankings for entry in entries if entry.entered)
    kept = read_ledger(old / "run" / "ledger.parquet")
    assert [as_in_0_1_0(entry) for entry in entries] == [in_todays_words(one) for one in kept]


def test_another_grader_asks_no_model_of_a_store_of_0_1_0_again(
    old: Path, store: Path, tmp_path: Path
) -> None:
    before = keys(store)
    recipe = load_recipe(str(old / "run" / "recipe.yaml"), ["data.grader=close"])
    run_recipe(recipe, out=tmp_path / "run", store=Store(store), until="answers")
    # Both models' answers are graded anew, and that is all.
    assert sorted(path.parent.name for path in keys(store) - before) == ["scores", "scores"]


def in_todays_words(entry: Entry) -> Entry:
    """With reasons that say `not gradable`."""
    variants = (dataclasses.replace(one, reason=as_said(one.reason)) for one in entry.variants)
    return dataclasses.replace(entry, variants=tuple(variants))


def as_in_0_1_0(entry: Entry) -> Entry:
    """Without what its ledger did not hold."""
    answers = {
        role: dataclasses.replace(getattr(entry, role), extracted=None, truncated=None)
        for role in ("student", "teacher")
    }
    return dataclasses.replace(entry, rankings=(), **answers)


def test_the_page_of_a_run_folder_of_0_1_0_is_written_again(old: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(old / "run", tmp_path / "run"))
    before = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["report", str(folder)])
    after = (folder / "report.html").read_text(encoding="utf-8")
    results = after.index("<h2"), before.index("<h2")
    assert after[results[0] :].count("conflict") == before[results[1] :].count("conflict") > 0


def test_rows_of_a_run_folder_of_0_1_0_are_exported(old: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["export", str(old / "run"), "--format", "trl", "--out", str(rows)])
    originals, transplants = 120, 6
    assert len(rows.read_text(encoding="utf-8").splitlines()) == originals + transplants
