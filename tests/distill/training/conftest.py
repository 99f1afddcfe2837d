"""A store with stage 1 of the pair's recipe, and who is in memory when."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leaf.distill import train_student
from leaf.models import load
from leaf.models.load import Loaded
from leaf.recipe import ModelSection
from tests.distill.training.runs import run


@pytest.fixture(scope="module", autouse=True)
def cache(own_cache: None) -> None:
    """Every module has converted models of its own."""


@pytest.fixture(scope="module")
def verified(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with stage 1 of the pair's recipe."""
    store = tmp_path_factory.mktemp("verified")
    run(cue_pair, store, "verify")
    return store


@pytest.fixture
def store(verified: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(verified, tmp_path / "store"))


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of models as they come into memory and leave it, and `train`, in order."""
    seen: list[str] = []
    real_loaded, real_train = load.loaded, train_student.train

    @contextlib.contextmanager
    def loaded(section: ModelSection, source: Any) -> Iterator[Loaded]:
        name = Path(section.model).name
        seen.append(f"+{name}")
        with real_loaded(section, source) as model:
            yield model
        seen.append(f"-{name}")

    def train(*args: Any, **options: Any) -> Any:
        seen.append("train")
        return real_train(*args, **options)

    monkeypatch.setattr(load, "loaded", loaded)
    monkeypatch.setattr(train_student, "train", train)
    return seen
