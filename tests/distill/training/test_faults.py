"""What spoils a training is said in one line, and what is left out of it is counted."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from leaf.cli.main import main
from leaf.distill import TrainingExample
from leaf.distill.train_student import run_job
from leaf.errors import DataError, NonFiniteError
from leaf.models import opening
from leaf.pipeline.stages import Pipeline
from leaf.pipeline.training_sets import TrainingSet, why_no_row
from leaf.recipe.reading import check_recipe
from leaf.records import Outcome, Score
from leaf.store.store import Store
from tests.distill.training.runs import job_of, metrics, run, values_of


def complaint(capfd: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Return the exit code of a command and the line that it stopped with."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("leaf: ")]
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, line


def test_a_loss_that_is_no_number_stops_with_step_problems_and_checkpoint(
    cue_pair: Path, store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The first step has a rate of 0, the second breaks every weight.
    changes = {"learning_rate": 1e30, "warmup_steps": 1, "checkpoint_every": 1}
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(values_of(cue_pair, **changes)))
    words = ("run", path, "--out", tmp_path / "run", "--store", store, "--until", "distill")
    code, line = complaint(capfd, *words)
    assert code == 1
    # Whether the loss or its gradient is it first depends on how the device rounds.
    assert re.search(r"distillation, step 3: .* is (nan|inf)", line)
    assert re.search(r"; the step has the problems train-\d, ", line)
    (kept,) = (store / "students").glob("*/checkpoint-*2*")
    assert f"the last good checkpoint is {kept}" in line
    assert not list((store / "students").glob("*/done.json"))


@pytest.mark.parametrize("kept", ["online", "hidden"])
def test_a_broken_weight_of_the_teacher_is_found_with_the_problems_that_meet_it(
    cue_pair: Path, tmp_path: Path, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Such a file is refused when it is opened; here it was good then.
    monkeypatch.setattr(opening, "open_first", lambda source, **options: None)
    broken = Path(shutil.copytree(cue_pair / "teacher", tmp_path / "broken"))
    (token,) = AutoTokenizer.from_pretrained(broken)(" red")["input_ids"]
    tensors = load_file(broken / "model.safetensors")
    tensors["model.embed_tokens.weight"][token] = torch.inf
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    job = job_of(tmp_path, cue_pair / "student", broken, cue_pair, teacher=kept, batch_size=8)
    with pytest.raises(NonFiniteError) as raised:
        run_job(job)
    text = str(raised.value)
    # Every second question has the cue.
    assert "step 1: the loss is nan" in text
    named = text.partition("of problem ")[2].partition(";")[0]
    assert sorted(named.split(", ")) == [f"problem-{n}" for n in (1, 3, 5, 7)]
    assert "there is no checkpoint yet" in text


def test_a_cutoff_below_every_row_is_refused_and_each_row_counted(
    cue_pair: Path, store: Path
) -> None:
    recipe = check_recipe(values_of(cue_pair, cutoff=10), source="test")
    pipeline = Pipeline(recipe, Store(store))
    with pytest.raises(DataError, match=r"no training row is left: .* distill.cutoff \(10 tokens"):
        pipeline.run(until="distill", after_stage=lambda: None)
    drops = [drop for drop in pipeline.results.drops if drop.stage == "distill"]
    assert len(drops) == 12  # 8 questions, and the 4 that were cut
    assert {drop.reason for drop in drops} == {"longer than distill.cutoff of 10 tokens"}


def test_where_no_row_is_left_the_key_that_did_it_is_named(cue_pair: Path) -> None:
    recipe = check_recipe(values_of(cue_pair, student_wrong_originals=False), source="test")
    scores = [Score(problem_id="a", outcome=Outcome.WRONG, extracted="1", reason="")]
    empty = TrainingSet(rows=[], held_out=[])
    assert "student_wrong_originals: false" in str(why_no_row(recipe, ([], scores), empty))
    scores += [Score(problem_id="b", outcome=Outcome.RIGHT, extracted="1", reason="")]
    assert "no problem has a reference response" in str(why_no_row(recipe, ([], scores), empty))
    row = TrainingExample(problem_id="a", content="x", response="y", counterfactual=False)
    held_out = TrainingSet(rows=[], held_out=[row])
    assert "validation.share (0) holds out all 1" in str(why_no_row(recipe, ([], scores), held_out))


def test_an_empty_response_is_left_out_and_counted(cue_pair: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cue_pair, tmp_path / "pair"))
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    lines[0]["solution"] = ""
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (folder / "recipe.yaml").read_text().replace(str(cue_pair), str(folder))
    (folder / "recipe.yaml").write_text(text)
    results = run(folder, tmp_path / "store", epochs=1).results
    (drop,) = [drop for drop in results.drops if drop.stage == "distill"]
    assert drop.reason == "no gold reference response to train on"
    assert sum(line["rows"] for line in metrics(results.students["kd"])) >= 7
