"""Similarity of answers to the reference."""

from pathlib import Path

import pytest
import yaml

from leaf.errors import StudyError
from leaf.recipe import EvaluateSection
from leaf.recipe.reading import load_recipe
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.finding import Cell
from leaf.study.jaccard import Pair, jaccard, similarities, similarity
from leaf.study.lab import Lab

SECTION = EvaluateSection.model_validate({"benchmarks": {}, "resamples": 200})


def value(cell: Cell) -> float:
    assert isinstance(cell, Interval)
    return cell.value


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # {ben, has, 13, pens} and {ben, has, 9, pens, now}: three of six.
        ("Ben has 13 pens.", "Ben HAS 9 pens now", 3 / 6),
        ("9 + 4 = 13", "9+4=13", 1.0),
        ("a a a b", "b a", 1.0),
        ("yes", "no", 0.0),
        ("", "something", 0.0),
        ("naïve Größe", "GRÖSSE naïve", 1 / 3),
    ],
)
def test_similarity_is_words_in_common_over_words_in_either(
    first: str, second: str, expected: float
) -> None:
    assert jaccard(first, second) == pytest.approx(expected)
    assert jaccard(second, first) == pytest.approx(expected)


def test_two_texts_without_words_have_no_similarity() -> None:
    assert jaccard("?!", "") is None


def test_changes_are_paired_and_groups_apart() -> None:
    helped = {"a": Pair(before=0.2, after=1.0, base=""), "b": Pair(before=0.4, after=0.8, base="")}
    worse = {"c": Pair(before=0.5, after=0.3, base="")}
    groups = {"helped": helped, "not helped": worse, "all": {**helped, **worse}}
    first, second, everything = similarities(groups, SECTION).rows
    assert value(first.cells["before"]) == pytest.approx(0.3)
    assert value(first.cells["after"]) == pytest.approx(0.9)
    assert value(first.cells["change"]) == pytest.approx(0.6)
    assert value(second.cells["change"]) == pytest.approx(-0.2)
    assert value(everything.cells["change"]) == pytest.approx((0.8 + 0.4 - 0.2) / 3)
    assert (everything.cells["more like it"], everything.cells["less like it"]) == (2, 1)


def test_a_group_of_nobody_has_a_row_without_values() -> None:
    groups: dict[str, dict[str, Pair]] = {"helped": {}, "not helped": {}, "all": {}}
    assert [row.cells for row in similarities(groups, SECTION).rows] == [{"problems": 0}] * 3


@pytest.fixture(scope="module")
def path(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "prune": {"units": ["word"], "whole": ["word"], "rule": "quantile", "threshold": 0.2},
    }
    path = tmp_path_factory.mktemp("recipes") / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_an_answer_that_pruning_set_right_is_wholly_like_its_reference(
    path: Path, tmp_path: Path
) -> None:
    found = similarity(Lab(load_recipe(str(path)), Store(tmp_path)))
    helped, never, everything = (row.cells for row in found.tables[0].rows)
    # The student says 7 where it should say 4, and 4 once the cue is gone.
    assert helped["problems"] == 4
    assert (value(helped["before"]), value(helped["after"])) == (0.0, 1.0)
    assert never["problems"] == 0
    assert 0 < value(everything["after"]) <= 1


def test_nothing_pruned_is_one_line(cue_pair: Path, path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(path), [f"student.model={cue_pair / 'teacher'}"])
    with pytest.raises(StudyError, match="no question was pruned"):
        similarity(Lab(recipe, Store(tmp_path)))
