"""A model folder of one's own, and a place of one's own for what is kept of models."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(cue_pair: Path, tmp_path: Path) -> Path:
    """A model folder of one's own, to be spoilt."""
    return Path(shutil.copytree(cue_pair / "student", tmp_path / "model"))
