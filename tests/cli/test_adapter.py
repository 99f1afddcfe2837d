"""A run with adapters keeps them by themselves, and `leaf evaluate` puts them onto their base."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import leaf


@pytest.fixture(scope="module", autouse=True)
def cache(own_cache: None) -> None:
    """Fingerprints of its own."""


@pytest.fixture(scope="module")
def recipe(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    test = {"task": "table", "path": str(cue_pair / "test.jsonl")}
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "distill": {
            "tuning": "lora",
            "lora": {"rank": 2},
            "learning_rate": 1e-2,
            "max_steps": 3,
            "compute_dtype": "float32",
        },
        "evaluate": {"benchmarks": {"own": test}, "resamples": 100},
    }
    path = tmp_path_factory.mktemp("recipes") / "lora.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def scores(out: Path) -> Any:
    return json.loads((out / "scores.json").read_text())["scores"]


def test_the_adapters_of_a_run_score_as_its_students(
    recipe: Path, cue_pair: Path, tmp_path: Path
) -> None:
    assert leaf("run", recipe, "--out", tmp_path / "run").code == 0
    task = ["--benchmark", f"table={cue_pair / 'test.jsonl'}", "--max-new-tokens", 8]
    for name in ("student", "student-kd"):
        folder = tmp_path / "run" / f"{name}-adapter"
        base = ["--model", cue_pair / "student", "--adapter", folder]
        for out, words in (("base", base), ("whole", ["--model", tmp_path / "run" / name])):
            done = leaf("evaluate", *words, *task, "--out", tmp_path / f"{name}-{out}")
            assert done.code == 0, done.err
        assert scores(tmp_path / f"{name}-base") == scores(tmp_path / f"{name}-whole")
    words = ("--to", "me/small", "--adapter", "--dry-run", "--json")
    said = json.loads(leaf("push", tmp_path / "run", *words).out)
    assert said["files"] == ["adapter_config.json", "adapter_model.safetensors", "README.md"]
    assert "library_name: peft" in said["card"]
    assert (
        'PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("student"), "me/small")'
        in said["card"]
    )
    wrong = leaf(
        "evaluate", "--model", cue_pair / "teacher", "--adapter", folder, *task, "--out", tmp_path
    )
    assert wrong.code == 2
    assert wrong.err.count("\n") == 1
    assert "an adapter of another model than" in wrong.err
