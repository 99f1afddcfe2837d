"""A grader is chosen by its name, or by its name and options of its own."""

from pathlib import Path

import pytest

from leaf.errors import RecipeError
from leaf.grade import GRADERS
from leaf.recipe import name_and_options
from leaf.recipe.reading import describe, dump_recipe, load_recipe
from tests.examples.conftest import EXAMPLES


def chosen(*overrides: str) -> object:
    grader = load_recipe("demo", overrides).data.grader
    return None if grader is None else name_and_options(grader)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data.grader=close"], ("close", {})),
        (["data.grader={close: {}}"], ("close", {})),
        (["data.grader={close: }"], ("close", {})),
        (["data.grader={close: {relative: 0.1}}"], ("close", {"relative": 0.1})),
        (["data.grader.close.relative=0.1"], ("close", {"relative": 0.1})),
        (["data.grader=close", "data.grader.close.relative=1e-3"], ("close", {"relative": 1e-3})),
        (
            ["data.grader.close.relative=0", "data.grader.close.absolute=2"],
            ("close", {"relative": 0.0, "absolute": 2.0}),
        ),
        # What is said at its default is what is not said: results keep the name that they had.
        (["data.grader.close.relative=0.01"], ("close", {})),
    ],
)
def test_options_stand_below_the_name(overrides: list[str], expected: object) -> None:
    assert chosen(*overrides) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.grader.close.relativ=0.1",
            "demo: unknown key `data.grader.close.relativ`; did you mean `relative`?",
        ),
        (
            "data.grader.close.relative=much",
            "demo: `data.grader.close.relative` must be a number, but is 'much'",
        ),
        (
            "data.grader.close.relative=-1",
            "demo: `data.grader.close.relative` must be greater than or equal to 0, but is -1",
        ),
        ("data.grader.qa.relative=1", "demo: unknown key `data.grader.qa.relative`"),
        (
            "data.grader.cloze.relative=1",
            "demo: `data.grader` must be 'all', 'any', 'choice', ",
        ),
        (
            "data.grader={qa: {}, close: {}}",
            "demo: `data.grader` must be one name, alone or with its options, but is "
            "{'qa': {}, 'close': {}}",
        ),
        ("data.grader=3", "demo: `data.grader` must be 'all', 'any', 'choice', "),
    ],
)
def test_what_is_wrong_is_one_line(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("demo", [override])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_benchmark_has_a_grader_of_its_own_and_a_mistake_in_it_is_named() -> None:
    benchmarks = "evaluate.benchmarks={b: {task: playground, grader: {close: {%s: 2.0}}}}"
    recipe = load_recipe("demo", [benchmarks % "absolute"])
    grader = recipe.evaluate.benchmarks["b"].grader
    assert grader is not None
    assert name_and_options(grader) == ("close", {"absolute": 2.0})
    with pytest.raises(RecipeError, match=r"b\.grader\.close\.absolut`; did you mean `absolute`"):
        load_recipe("demo", [benchmarks % "absolut"])


def test_another_grader_in_a_recipe_above_replaces_the_one_below(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "extends: demo\ndata: {grader: {close: {relative: 0.1, absolute: 1.0}}}\n"
    )
    above = tmp_path / "above.yaml"
    above.write_text("extends: below.yaml\ndata: {grader: {close: {relative: 0.2}}}\n")
    same = load_recipe(str(above)).data.grader
    assert same is not None
    assert name_and_options(same) == ("close", {"relative": 0.2, "absolute": 1.0})
    above.write_text("extends: below.yaml\ndata: {grader: {qa: {}}}\n")
    other = load_recipe(str(above)).data.grader
    assert other is not None
    assert name_and_options(other) == ("qa", {})


def test_a_written_recipe_is_read_back_and_its_options_are_described(tmp_path: Path) -> None:
    recipe = load_recipe("demo", ["data.grader.close.relative=0.5"])
    path = tmp_path / "written.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(str(path)) == recipe
    described = {key: (value, meaning) for key, value, meaning in describe(recipe)}
    assert described["data.grader.close.relative"] == (
        0.5,
        "largest error as a share of the gold number",
    )


def test_a_grader_in_a_plugin_is_known_before_the_data_name_it() -> None:
    shown = str(EXAMPLES / "own_grader.py")
    recipe = load_recipe("demo", [f"attribute.plugins=[{shown}]", "data.grader.shown.equations=2"])
    assert recipe.data.grader is not None
    assert name_and_options(recipe.data.grader) == ("shown", {"equations": 2})
    del GRADERS["shown"]
