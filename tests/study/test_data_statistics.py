"""Counts and lengths of originals and verified changed questions."""

from pathlib import Path

import pytest
import yaml

from leaf.models.files import find
from leaf.models.load import load_tokenizer
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store
from leaf.study.data_statistics import Samples, data_statistics, statistics_of
from leaf.study.lab import Lab


@pytest.fixture(scope="module")
def recipe(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "prune": {"units": ["word"], "whole": ["word"], "rule": "quantile", "threshold": 0.2},
    }
    path = tmp_path_factory.mktemp("recipes") / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return load_recipe(str(path))


def test_lengths_are_counted_by_kind_and_part(recipe: Recipe) -> None:
    found = [
        Samples(kind="originals", parts=("x", "y", "x"), tokens=(3, 10, 5)),
        Samples(kind="in detection", parts=("y",), tokens=(10,)),
        Samples(kind="changed questions: span", parts=(), tokens=()),
    ]
    rows = {tuple(row.labels.values()): row.cells for row in statistics_of(found, recipe, "8").rows}
    assert rows["originals", "all"] == {"min": 3, "max": 10, "mean": 6.0, "count": 3}
    assert rows["originals", "x"] == {"min": 3, "max": 5, "mean": 4.0, "count": 2}
    assert rows["in detection", "y"]["count"] == 1
    none = {"min": None, "max": None, "mean": None, "count": 0}
    assert rows["changed questions: span", "all"] == none
    assert len(rows) == 6


def test_the_paper_stands_beside_its_own_student_and_data() -> None:
    found = [
        Samples(kind="originals", parts=("math",), tokens=(3,)),
        Samples(kind="changed questions: span", parts=("math",), tokens=(3,)),
    ]
    recipe = load_recipe("demo", ["student.model=meta-llama/Llama-3.2-1B-Instruct"])
    data = recipe.data.model_copy(update={"task": "numina_math"})
    same = recipe.model_copy(update={"data": data})
    # Table 8 of the paper.
    assert [row.paper for row in statistics_of(found, same, "8").rows] == [
        {"min": 23, "max": 2711, "mean": 98.5, "count": 12000},
        {"min": 24, "max": 2710, "mean": 160.78, "count": 4576},
    ]
    assert not any(row.paper for row in statistics_of(found, recipe, "8").rows)


def test_a_run_s_questions_are_counted_in_the_student_s_tokens(
    recipe: Recipe, tmp_path: Path
) -> None:
    lab = Lab(recipe, Store(tmp_path))
    rows = {tuple(row.labels.values()): row.cells for row in data_statistics(lab).tables[0].rows}
    results = lab.run({}, until="verify", label="again").results
    tokenizer = load_tokenizer(find(recipe.student))
    lengths = [len(tokenizer.tokenize(problem.question)) for problem in results.problems or ()]
    assert rows["originals", "all"]["count"] == len(lengths) == 8
    assert (rows["originals", "all"]["min"], rows["originals", "all"]["max"]) == (
        min(lengths),
        max(lengths),
    )
    assert rows["originals", "all"]["mean"] == pytest.approx(sum(lengths) / 8)
    kept = results.cuts["gradient"].kept
    cut = [len(tokenizer.tokenize(item.question)) for item in kept]
    assert kept
    assert rows["changed questions: span", "all"]["count"] == len(kept)
    assert rows["changed questions: span", "all"]["mean"] == pytest.approx(sum(cut) / len(cut))
    assert rows["in detection", "all"]["count"] == 4
