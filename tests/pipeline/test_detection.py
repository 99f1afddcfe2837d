"""Stage 1 on tiny trained models whose cue is known: each detector's way through a run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.attribute import detector_class
from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import check_recipe
from leaf.store.store import Store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))


def run(folder: Path, store: Path, until: str, **attribute: Any) -> Pipeline:
    recipe = check_recipe(
        {
            **yaml.safe_load((folder / "recipe.yaml").read_text()),
            "attribute": attribute,
        },
        source="test",
    )
    pipeline = Pipeline(recipe, Store(store))
    pipeline.run(until=until, after_stage=lambda: None)
    return pipeline


@pytest.mark.parametrize("proposals", [None, 3])
def test_ablation_cuts_the_cue_and_verification_keeps_the_cut(
    cue_pair: Path, tmp_path: Path, proposals: int | None
) -> None:
    options = {"unit": "word", "proposals": proposals}
    chosen = {"detector": "ablation", "ablation": options}
    results = run(cue_pair, tmp_path, "verify", **chosen).results
    cuts = results.cuts["ablation"]
    # The student fails the four questions with the cue "red", and only those.
    assert len(results.attributions or ()) == 4
    assert {span.text for cut in cuts.kept for span in cut.spans} == {" red"}
    assert len({cut.problem_id for cut in cuts.kept}) == 4


@pytest.mark.parametrize("detector", ["teacher", "attention"])
def test_other_detectors_cut_every_problem_beside_the_gradient(
    cue_pair: Path, tmp_path: Path, detector: str
) -> None:
    pipeline = run(cue_pair, tmp_path, "prune", controls=[detector, "random"])
    cuts = pipeline.results.cuts
    assert list(cuts) == ["gradient", detector, "random"]
    assert len({cut.problem_id for cut in cuts[detector].tried}) == 4
    again = run(cue_pair, tmp_path, "prune", controls=[detector, "random"])
    assert again.results.cuts == cuts
    assert sum(log.computed for log in again.logs) == 0


def test_options_name_a_result_only_where_they_change_it() -> None:
    for name in ("gradient", "perplexity", "attention"):
        assert detector_class(name)().measure_key() == {}
    ablation = detector_class("ablation")
    detector = ablation(ablation.Options(unit="word", proposals=2))
    # As version 0.1.0 called it.
    assert (detector.measure_key(), detector.rank_key()) == ({"ablation_unit": "word"}, {})
    assert detector_class("random")().rank_key() == {"seed": 0}
