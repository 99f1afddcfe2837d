"""The tiny trained student, with a real tokenizer and template, as an attributor gets it."""

from pathlib import Path

import pytest

from leaf.config import ModelSection
from leaf.models import Loaded, load


@pytest.fixture(scope="module")
def loaded(cue_pair: Path) -> Loaded:
    return load(ModelSection(model=str(cue_pair / "student"), dtype="float32"))
