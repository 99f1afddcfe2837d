"""A resolved recipe can be read back, and every key of it explained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from leaf.recipe.reading import check_recipe, describe, dump_recipe, load_recipe

Write = Callable[[str, str], Path]


def test_a_dumped_recipe_reads_back_the_same(minimal: Path, write: Write) -> None:
    overrides = [
        "distill.lambda=0.7",
        "distill.learning_rate=3e-6",
        "evaluate.benchmarks.gsm8k.after=\"∠\\n  'x': #\"",
        "data.before='null'",
        "student.revision='12e4'",  # a short commit, not a number
    ]
    recipe = load_recipe(str(minimal), overrides)
    copy = write("copy.yaml", dump_recipe(recipe))
    assert load_recipe(str(copy)) == recipe
    assert "lambda: 0.7" in copy.read_text(encoding="utf-8")


@settings(max_examples=40, deadline=None)
@example(text="a\x85b\u2028c\u2029", number=1.0)
@given(
    text=st.text() | st.from_regex(r"[-+]?[0-9.]*[eE]?[-+]?[0-9]+", fullmatch=True),
    number=st.floats(min_value=1e-300, max_value=1e300),
)
def test_any_text_and_number_survive_dumping(
    tmp_path_factory: pytest.TempPathFactory, text: str, number: float
) -> None:
    values = {
        "name": "any",
        "description": text,
        "student": {"model": "org/student"},
        "teacher": {"model": "org/teacher"},
        "data": {"task": "gsm8k"},
        "distill": {"learning_rate": number},
        "evaluate": {"benchmarks": {}},
    }
    recipe = check_recipe(values, source="values")
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every dotted key of nested mappings with its value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {}
        flat |= inner or {f"{prefix}{key}": value}
    return flat


def test_describe_tells_every_key_that_a_dump_has_with_its_value_and_meaning(minimal: Path) -> None:
    recipe = load_recipe(str(minimal))
    described = list(describe(recipe))
    assert {key: value for key, value, _ in described} == leaves(
        yaml.safe_load(dump_recipe(recipe))
    )
    assert len({key for key, _, _ in described}) == len(described)
    assert all(meaning for _, _, meaning in described)
    assert "evaluate.benchmarks.gsm8k.columns.question" in {key for key, _, _ in described}


def test_a_checked_recipe_cannot_be_changed(minimal: Path) -> None:
    recipe = load_recipe(str(minimal))
    assert isinstance(recipe, BaseModel)
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"  # type: ignore[misc]
