"""`leaf.run_recipe`: every way to name a recipe, and short reprs."""

from pathlib import Path
from typing import Any

import pytest

import leaf
from leaf.errors import RecipeError, UsageError
from leaf.statistics import Estimate

SMALL = ["data.world.size=40"]


def test_a_recipe_is_named_in_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = leaf.load_recipe("demo-0.1", SMALL)
    (tmp_path / "own.yaml").write_text(leaf.dump_recipe(recipe))
    values = recipe.model_dump(by_alias=True)
    ways: list[Any] = [recipe, values, "own.yaml", tmp_path / "own.yaml"]
    for way in ways:
        results = leaf.run_recipe(way, until="problems")
        assert results.problems and len(results.problems) == 40
    assert (tmp_path / "runs" / recipe.name / "recipe.yaml").is_file()


def test_a_wrong_key_of_a_dict_is_one_line(tmp_path: Path) -> None:
    values = leaf.load_recipe("demo-0.1", SMALL).model_dump(by_alias=True)
    with pytest.raises(RecipeError, match="unknown key `datta`; did you mean `data`"):
        leaf.run_recipe({**values, "datta": {}}, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("recipe", "changes", "told"),
    [
        ("demo", {"until": "prob"}, "until: unknown `prob`; did you mean `problems`? (stages: pro"),
        ("demo", {"until": None}, "until: unknown `None`"),
        (None, {}, "recipe: must be a name, a file, a dict or a `Recipe`, but is None"),
        ("demo", {"out": __file__}, "is a file; name a folder"),
    ],
)
def test_wrong_arguments_are_one_line(recipe: Any, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        leaf.run_recipe(recipe, **changes)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_recipe_is_one_line() -> None:
    recipe = leaf.load_recipe("demo")
    assert repr(recipe).startswith("Recipe('demo': ")
    assert len(repr([recipe])) < 250
    assert str(recipe) == repr(recipe)


def test_results_and_entries_are_short(tmp_path: Path) -> None:
    recipe = leaf.load_recipe("demo-0.1", SMALL)
    results = leaf.run_recipe(recipe, out=tmp_path / "run", until="verify")
    assert repr(results).startswith("Results(40 problems; ")
    assert len(repr(results)) < 250
    assert repr(results.cuts).startswith("{'gradient': Cuts(")
    assert len(repr(results.cuts)) < 250
    assert all(len(repr(problem)) < 100 for problem in results.problems or ())
    assert repr(leaf.Store("kept")) == "Store('kept')"
    results.estimates = {
        "own <b>": {"before": Estimate(n=4, value=0.5, low=0.1, high=0.9, right=2, ungradable=0)}
    }
    assert "own <b>: before 50.0%" in repr(results)
    table = results._repr_html_()
    assert "<th>own &lt;b&gt;</th><td>50.0% <small>10.0% to 90.0%</small></td>" in table
    entries = leaf.read_ledger(tmp_path / "run" / "ledger.parquet")
    assert max(map(len, map(repr, entries))) < 150
