"""Two finished runs on tiny models that share a store, for commands that read run folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.pipeline.run import run_recipe
from leaf.recipe.reading import check_recipe
from leaf.store.store import Store

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A factory of run folders: make_run("a", {"prune.threshold": 0.3}, until="verify")."""
    folder = tmp_path_factory.mktemp("runs")

    def make(name: str, changes: dict[str, Any] | None = None, until: str = "evaluate") -> Path:
        values = {
            **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
            "prune": {"strategy": "span+transplant"},
            "distill": {
                "batch_size": 4,
                "epochs": 1,
                "compute_dtype": "float32",
                "validation": {"share": 0.25},
            },
            "evaluate": {
                "benchmarks": {"own": {"task": "table", "path": str(cue_pair / "test.jsonl")}},
                "resamples": 100,
            },
        }
        words = [f"{key}={value}" for key, value in (changes or {}).items()]
        recipe = check_recipe(values, source="test", overrides=words)
        out = folder / name
        if not out.exists():
            command = f"leaf run cue.yaml --out {out}"
            run_recipe(recipe, out=out, store=Store(folder / "store"), until=until, command=command)
        return out

    return make


@pytest.fixture(scope="session")
def finished(make_run: Make) -> Path:
    """A run of the whole way."""
    return make_run("first")
