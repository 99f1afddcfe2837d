"""The source of the example goes into a recipe by its name, and its texts into questions."""

from pathlib import Path

import pytest

from leaf.cli.main import main
from leaf.pipeline.run import run_recipe
from leaf.prune.inject import SOURCES
from leaf.recipe.reading import load_recipe
from tests.examples.conftest import EXAMPLES

SETTINGS = [
    *("data.world.size=12", "attribute.controls=[]", "verify.injections=unasked"),
    *("prune.strategy=[inject]", "prune.inject.sources=[weather]", "prune.share=1"),
]


def test_a_recipe_takes_the_file_and_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Gone afterwards.
    monkeypatch.setitem(SOURCES, "weather", None)
    plugin = f"attribute.plugins=[{EXAMPLES / 'own_source.py'}]"
    recipe = load_recipe("demo", [plugin, *SETTINGS])
    results = run_recipe(recipe, out=tmp_path / "run", until="verify")
    kept = results.cuts[recipe.attribute.detector].kept
    assert kept
    assert {item.donor.partition("/")[0] for item in kept} == {"weather"}
    assert {item.inserted for item in kept} <= {
        " It was sunny.",
        " It was raining hard.",
        " There was a little snow on the roofs.",
    }


def test_without_the_file_the_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["show", "demo", "--set", "prune.inject.sources=[weather]"])
    said = capsys.readouterr().err
    assert "`prune.inject.sources.0` must be 'verified', 'needless', " in said
