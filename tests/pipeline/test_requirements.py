"""What a recipe needs is looked for before anything is computed, and not where all is there."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import UsageError
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
    assert not list((tmp_path / "run").iterdir())


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
