"""A stage of a user's own is one file: stored, resumed, named by its settings, in the report."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from leaf.cli.main import main
from leaf.errors import UsageError
from leaf.pipeline import stages
from leaf.pipeline.run import run_recipe
from leaf.pipeline.stages import add_stage
from leaf.recipe.reading import load_recipe
from leaf.store.store import stream_records
from leaf.store.work import About


@pytest.fixture
def own_stage(example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, added to the stages for one test."""
    monkeypatch.setattr(stages, "STEPS", dict(stages.STEPS))
    return example("own_stage")


def cost(run: Path) -> dict[str, dict[str, object]]:
    report = json.loads((run / "report.json").read_text())
    return {stage["name"]: stage for stage in report["cost"]["stages"]}


def test_its_results_are_stored_reported_and_found_again(own_stage, cue_pair: Path, tmp_path: Path):
    recipe = load_recipe(str(cue_pair / "recipe.yaml"))
    results = run_recipe(recipe, out=tmp_path / "run", until="lengths")
    (folder,) = (tmp_path / "store" / "lengths").iterdir()
    lengths = list(stream_records(folder, own_stage.Length))
    cuts = {cut.id: cut for cut in results.cuts["gradient"].kept}
    assert {length.id: length.characters for length in lengths} == {
        name: sum(len("".join(span.text.split())) for span in cut.spans)
        for name, cut in cuts.items()
    }
    assert any(f"{len(cuts)} verified cuts" in note for note in results.notes)
    stage = cost(tmp_path / "run")["measuring cuts"]
    assert (stage["stage"], stage["kind"], stage["reused"]) == ("lengths", "lengths", False)
    run_recipe(recipe, out=tmp_path / "run", until="lengths")
    assert cost(tmp_path / "run")["measuring cuts"]["reused"] is True


def test_its_key_follows_from_its_settings_and_version(own_stage, monkeypatch) -> None:
    def key(spaces: bool) -> str:
        return str(own_stage.LengthWorker(about=About(), spaces=spaces).key([]))

    first = key(False)
    assert (key(False), key(True)) == (first, key(True))
    assert key(True) != first
    monkeypatch.setattr(own_stage.LengthWorker, "version", 2)
    assert key(False) != first


def test_until_may_name_it(own_stage, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["run", "demo", "--until", "length"])
    assert "verify, lengths, distill" in capsys.readouterr().err


def test_a_stage_needs_a_new_name_and_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STEPS", dict(stages.STEPS))
    for name, after in (("verify", "prune"), ("lengths", "nowhere")):
        with pytest.raises(UsageError, match="needs a new name and one of problems, answers"):
            add_stage(name, lambda pipeline: None, after=after)
