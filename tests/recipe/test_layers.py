"""What lies over what: recipes that extend others, and `--set`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe, recipe_names

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]


def overridden(minimal: Path, *overrides: str) -> Recipe:
    return load_recipe(str(minimal), overrides)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-5", 1e-5), ("2.5E-4", 2.5e-4), (".5e0", 0.5), ("1E+0", 1.0)]
)
def test_set_reads_numbers_with_an_exponent(minimal: Path, text: str, number: float) -> None:
    assert overridden(minimal, f"distill.learning_rate={text}").distill.learning_rate == number


def test_set_reads_null_true_and_text(minimal: Path) -> None:
    recipe = overridden(
        minimal,
        "distill.max_steps=7",
        "distill.max_steps=null",
        "prune.bridge_whitespace=true",
        "data.path=/data/a=b.jsonl",
        "student.system=",
        "data.before='null'",
    )
    assert recipe.distill.max_steps is None
    assert recipe.prune.bridge_whitespace is True
    assert recipe.data.path == "/data/a=b.jsonl"
    assert recipe.student.system is None
    assert recipe.data.before == "null"


def test_set_reaches_into_a_benchmark_and_adds_one(minimal: Path) -> None:
    recipe = overridden(
        minimal,
        "evaluate.benchmarks.gsm8k.limit=16",
        "evaluate.benchmarks.mine.task=table",
        "evaluate.benchmarks.mine.path=mine.jsonl",
    )
    assert recipe.evaluate.benchmarks["gsm8k"].limit == 16
    assert recipe.evaluate.benchmarks["gsm8k"].split == "test"
    assert recipe.evaluate.benchmarks["mine"].path == "mine.jsonl"


def test_set_takes_text_that_is_no_yaml_as_it_is(minimal: Path) -> None:
    assert overridden(minimal, "data.after=[Answer: {").data.after == "[Answer: {"


@pytest.mark.parametrize("override", ["prune.threshold", "=3", ""])
def test_set_without_a_key_or_a_value_shows_how_it_is_written(
    minimal: Path, override: str, refusal: Refusal
) -> None:
    assert "must be key=value, as in --set prune.threshold=0.05" in refusal(minimal, override)


def test_set_below_a_value_says_that_it_is_one(minimal: Path, refusal: Refusal) -> None:
    message = refusal(minimal, "student.model.name=x")
    assert message == "--set student.model.name=x: `model` is a value, it has no `name`"


def test_extends_takes_a_path_relative_to_the_recipe(write: Write) -> None:
    path = write(
        "deep/er.yaml",
        "extends: ../small.yaml\nname: deeper\n"
        "prune: {threshold: 0.2}\nstudent: {dtype: float32}\n",
    )
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.prune.threshold) == ("deeper", 0.2)
    # Sections are laid over each other key by key.
    assert (recipe.student.model, recipe.student.dtype) == ("org/student", "float32")


def test_extends_goes_through_several_recipes_and_the_nearest_wins(
    minimal: Path, write: Write
) -> None:
    write("b.yaml", "extends: small.yaml\nprune: {threshold: 0.2, rule: quantile}\n")
    path = write("c.yaml", "extends: b.yaml\nprune: {threshold: 0.3}\n")
    recipe = load_recipe(str(path), ["prune.threshold=0.4"])
    assert (recipe.prune.threshold, recipe.prune.rule) == (0.4, "quantile")
    assert load_recipe(str(path)).prune.threshold == 0.3


def test_extends_takes_a_shipped_recipe_by_name(write: Write) -> None:
    shipped = recipe_names()[0]
    path = write("mine.yaml", f"extends: {shipped}\nname: mine\n")
    recipe = load_recipe(str(path))
    assert recipe.name == "mine"
    # All but what the other says of itself.
    other = load_recipe(shipped)
    own = {"name": other.name, "description": other.description}
    assert recipe.model_copy(update=own) == other


def test_benchmarks_are_replaced_as_a_whole(write: Write) -> None:
    path = write(
        "mine.yaml",
        "extends: small.yaml\nevaluate: {benchmarks: {mine: {task: table, path: a.jsonl}}}\n",
    )
    assert list(load_recipe(str(path)).evaluate.benchmarks) == ["mine"]


def test_null_takes_an_arm_or_a_benchmark_out(write: Write) -> None:
    path = write(
        "mine.yaml",
        "extends: small.yaml\narms: {one: {}, two: {}}\n"
        "evaluate: {benchmarks: {a: {task: gsm8k}, b: {task: svamp}}}\n",
    )
    words = ["arms.one=null", "evaluate.benchmarks.b=null"]
    recipe = load_recipe(str(path), words)
    assert (list(recipe.arms), list(recipe.evaluate.benchmarks)) == (["two"], ["a"])
    # Of what is not there nothing is taken out; any other null is a value.
    assert load_recipe(str(path), ["arms.three=null"]).arms == {"one": {}, "two": {}}
    assert load_recipe(str(path), ["data.limit=null"]).data.limit is None


def test_extends_in_a_circle_is_refused(tmp_path: Path, write: Write, refusal: Refusal) -> None:
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: ./a.yaml\n")
    assert refusal(tmp_path / "a.yaml").endswith("`extends` goes round in a circle")
    itself = write("self.yaml", "extends: self.yaml\n")
    assert refusal(itself).endswith("`extends` goes round in a circle")


def test_extends_must_name_a_recipe(tmp_path: Path, write: Write, refusal: Refusal) -> None:
    path = write("a.yaml", "extends: [b.yaml]\n")
    assert refusal(path) == f"{path}: `extends` must name a recipe, but is ['b.yaml']"
    path = write("b.yaml", "extends: missing.yaml\n")
    assert refusal(path) == f"{tmp_path / 'missing.yaml'}: no such recipe file"


@pytest.mark.parametrize("parent", ["gsm8k", "file"])
def test_a_recipe_does_not_inherit_what_another_says_of_itself(tmp_path: Path, parent: str) -> None:
    if parent == "file":
        (tmp_path / "base.yaml").write_text("extends: gsm8k\ndescription: One on top of GSM8K.\n")
        parent = "base.yaml"
    own = tmp_path / "own.yaml"
    own.write_text(f"extends: {parent}\nname: own\n")
    assert load_recipe(str(own)).description == ""
    own.write_text(f"extends: {parent}\nname: own\ndescription: Mine.\n")
    assert load_recipe(str(own)).description == "Mine."


def test_every_shipped_recipe_says_what_it_is() -> None:
    assert all(load_recipe(name).description for name in recipe_names())
