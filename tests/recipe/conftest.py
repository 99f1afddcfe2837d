"""A small recipe file, and the one line that a wrong one is refused with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from leaf.errors import RecipeError
from leaf.recipe.reading import load_recipe

MINIMAL = """\
name: small
student: {model: org/student}
teacher: {model: org/teacher}
data: {task: gsm8k}
evaluate:
  benchmarks:
    gsm8k: {task: gsm8k, split: test}
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    """A recipe of what is required and no more, with one benchmark named gsm8k."""
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


@pytest.fixture
def write(minimal: Path) -> Callable[[str, str], Path]:
    """Writes a file beside the minimal recipe, or below it."""

    def write(name: str, text: str) -> Path:
        path = minimal.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Returns what a recipe is refused with, one fault a line."""

    def refusal(name_or_path: Path | str, *overrides: str) -> str:
        with pytest.raises(RecipeError) as caught:
            load_recipe(str(name_or_path), overrides)
        assert caught.value.exit_code == 2
        assert all(str(caught.value).split("\n"))
        return str(caught.value)

    return refusal
