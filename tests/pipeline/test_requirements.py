"""What a recipe needs is looked for before anything is computed, and not where all is there."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from leaf.doctor import examine
from leaf.errors import DataError, UsageError
from leaf.pipeline.run import run_recipe
from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import check_recipe
from leaf.store.store import Store
from tests.distill.training.runs import run, values_of

SERVED = {"url": "http://127.0.0.1:9/v1", "model": "big", "key_variable": "BIG_KEY"}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No extra is installed and no key is set."""
    for module in ("distill.tracking", "distill.optim", "generate.vllm", "generate.llamacpp"):
        monkeypatch.setattr(import_module(f"leaf.{module}"), "find_spec", lambda name: None)
    monkeypatch.delenv("BIG_KEY", raising=False)


TRAINING: list[tuple[dict[str, Any], str]] = [
    ({"tracking": ["wandb"]}, "distill.tracking: wandb is not installed: pip install "),
    ({"optimizer": "adamw_8bit"}, "distill.optimizer: adamw_8bit needs bitsandbytes, which is "),
    (
        {"teacher": "served", "served": SERVED},
        "distill.served.key_variable: the environment variable BIG_KEY is not set; ",
    ),
]


@pytest.mark.parametrize(("distill", "line"), TRAINING, ids=["tracker", "8bit", "key"])
def test_what_training_lacks_stops_a_run_before_it_answers(
    cue_pair: Path, tmp_path: Path, distill: dict[str, Any], line: str
) -> None:
    with pytest.raises(UsageError) as caught:
        run(cue_pair, tmp_path, **distill)
    assert str(caught.value).startswith(line)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_run_that_cannot_go_on_claims_no_folder(cue_pair: Path, tmp_path: Path) -> None:
    recipe = check_recipe(values_of(cue_pair, tracking=["wandb"]), source="test")
    with pytest.raises(UsageError, match="wandb is not installed"):
        run_recipe(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("distill", "line"), TRAINING, ids=["tracker", "8bit", "key"])
def test_it_stops_no_run_that_does_not_train(
    cue_pair: Path, tmp_path: Path, distill: dict[str, Any], line: str
) -> None:
    run(cue_pair, tmp_path, until="answers", **distill)
    # With the answers there, a later run gets as far as it can.
    run(cue_pair, tmp_path, until="verify", **distill)


TEACHERS: list[tuple[dict[str, Any], str]] = [
    ({"engine": "vllm"}, "teacher: engine vllm needs vllm, which is not installed: "),
    ({"engine": "llamacpp"}, "teacher: engine llamacpp needs xllamacpp, which is not installed: "),
    (
        {"engine": "openai", "server": SERVED},
        "teacher: server.key_variable: the environment variable BIG_KEY is not set; ",
    ),
]


@pytest.mark.parametrize(("teacher", "line"), TEACHERS, ids=["vllm", "llamacpp", "openai"])
def test_what_the_teacher_lacks_stops_a_run_before_the_student_answers(
    cue_pair: Path, tmp_path: Path, teacher: dict[str, Any], line: str
) -> None:
    values = values_of(cue_pair)
    recipe = check_recipe({**values, "teacher": {**values["teacher"], **teacher}}, source="test")
    with pytest.raises(UsageError) as caught:
        Pipeline(recipe, Store(tmp_path)).run(until="answers", after_stage=lambda: None)
    assert str(caught.value).startswith(line)
    assert not list(tmp_path.rglob("*.parquet"))


def test_answers_that_are_there_need_no_engine(
    cue_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cue_pair, tmp_path, until="answers")
    monkeypatch.setattr(
        "leaf.pipeline.requirements.missing_to_answer", lambda section, engine: "all is missing"
    )
    run(cue_pair, tmp_path, until="answers")
    with pytest.raises(UsageError, match="student: all is missing"):
        run(cue_pair, tmp_path / "empty", until="answers")


def test_rows_past_a_models_learned_positions_stop_a_run_and_are_left_out_where_that_is_said(
    cue_pair: Path, tmp_path: Path
) -> None:
    values = values_of(cue_pair)
    folder = tmp_path / "student"
    tokenizer = AutoTokenizer.from_pretrained(cue_pair / "student")
    GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_positions=16, n_embd=8, n_layer=1, n_head=2)
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    values["student"] = {"model": str(folder), "dtype": "float32"}
    recipe = check_recipe(values, source="test")
    with pytest.raises(DataError) as caught:
        Pipeline(recipe, Store(tmp_path)).run(until="answers", after_stage=lambda: None)
    line = str(caught.value)
    assert line.startswith(f"student: {folder}: has 16 positions and no more, but ")
    assert "of 8 training rows are longer" in line
    assert "distill.cutoff: 16" in line
    assert line in [finding.text for finding in examine(recipe) if finding.level == "bad"]
    said = check_recipe({**values, "distill": {"cutoff": 16}}, source="test")
    results = Pipeline(said, Store(tmp_path)).run(until="answers", after_stage=lambda: None)
    assert any("longer than the model's context" in drop.reason for drop in results.drops)
