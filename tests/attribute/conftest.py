"""The tiny trained student, with a real tokenizer and template, as an attributor gets it."""

from pathlib import Path

import pytest

from leaf.models.load import Loaded, load
from leaf.recipe import ModelSection


@pytest.fixture(scope="module")
def loaded(cue_pair: Path) -> Loaded:
    return load(ModelSection(model=str(cue_pair / "student"), dtype="float32"))
