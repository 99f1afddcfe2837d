"""The section `prune`: strategies as a list, and as version 0.1.0 wrote them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from leaf.recipe.reading import dump_recipe, load_recipe


@pytest.mark.parametrize(
    ("written", "strategies"),
    [
        ("span", ["span"]),
        ("span+transplant", ["span", "transplant"]),
        ("[transplant, inject]", ["transplant", "inject"]),
        ("[span,collective]", ["span", "collective"]),
    ],
)
def test_strategies_are_a_list_and_a_text_of_0_1_0_is_read(
    minimal: Path, tmp_path: Path, written: str, strategies: list[str]
) -> None:
    recipe = load_recipe(str(minimal), [f"prune.strategy={written}"])
    assert recipe.prune.strategy == strategies
    dumped = dump_recipe(recipe)
    assert yaml.safe_load(dumped)["prune"]["strategy"] == strategies
    path = tmp_path / "again.yaml"
    path.write_text(dumped, encoding="utf-8")
    assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "prune.strategy=span+spam",
            "`prune.strategy.1` must be 'span', 'collective', 'transplant'",
        ),
        ("prune.strategy=[]", "`prune.strategy` must have at least 1 item, but is []"),
        ("prune.share=1.5", "`prune.share` must be less than or equal to 1"),
        ("prune.inject.per=0", "`prune.inject.per` must be greater than or equal to 1"),
        ("prune.inject.sorces=[a]", "unknown key `prune.inject.sorces`; did you mean `sources`?"),
        ("prune.inject.topic=[]", "`prune.inject.topic` must have at least 1 item"),
        ("verify.ambiguity=maybe", "`verify.ambiguity` must be 'off', 'sample' or 'always'"),
    ],
)
def test_what_is_out_of_the_rules_is_one_line(
    minimal: Path, refusal: Callable[..., str], change: str, said: str
) -> None:
    assert said in refusal(minimal, change)


@pytest.mark.parametrize("written", ["off", "'off'", "sample", "null"])
def test_off_is_a_word_here_whatever_yaml_takes_it_for(
    minimal: Path, tmp_path: Path, written: str
) -> None:
    recipe = load_recipe(str(minimal), [f"verify.ambiguity={written}"])
    assert recipe.verify.ambiguity == {"null": None}.get(written, written.strip("'"))
    path = tmp_path / "again.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize(
    ("settings", "cuts_spans", "cuts"),
    [
        (["prune.strategy=[span]"], True, True),
        (["prune.strategy=[collective]"], False, True),
        (["prune.strategy=[inject]"], False, False),
        (["prune.strategy=[inject]", "prune.inject.sources=[verified]"], True, True),
        (["prune.strategy=[inject, substitute]"], False, True),
        (["prune.strategy=[inject, transplant]"], True, True),
    ],
)
def test_spans_are_cut_where_something_is_made_of_them(
    minimal: Path, settings: list[str], cuts_spans: bool, cuts: bool
) -> None:
    section = load_recipe(str(minimal), settings).prune
    assert (section.cuts_spans, section.cuts) == (cuts_spans, cuts)
