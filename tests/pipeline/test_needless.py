"""Needless pieces on the demo world: what ablation says that solved problems can do without."""

from pathlib import Path

from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store

SETTINGS = [
    "arms={}",
    "data.world.asides=0.3",
    "attribute.detector=ablation",
    "attribute.controls=[]",
    "prune.strategy=[inject]",
    "prune.inject={sources: [needless], per: 1}",
    "verify.injections=unasked",
    "verify.effect=0",
]


def verified(store: Path, *words: str) -> Pipeline:
    pipeline = Pipeline(load_recipe("demo", [*SETTINGS, *words]), Store(store))
    pipeline.run(until="verify", after_stage=lambda: None)
    return pipeline


def test_what_is_put_in_was_planted_where_it_comes_from(tmp_path: Path) -> None:
    pipeline = verified(tmp_path, "data.world.size=200", "prune.units=[clause, sentence]")
    problems = {problem.id: problem for problem in pipeline.results.problems or ()}
    kept = pipeline.results.cuts["ablation"].kept
    assert len(kept) > 20
    for item in kept:
        donor = problems[item.donor.partition("/")[0]]
        planted = [donor.question[one.start : one.end].strip() for one in donor.distractors]
        assert item.inserted.strip() in planted


def test_pieces_are_what_ablation_takes_away_whatever_is_cut(tmp_path: Path) -> None:
    small = ["data.world.size=60", "attribute.ablation.unit=sentence"]
    found = {
        units: [(item.id, item.question) for item in cuts["ablation"].kept]
        for units in ("sentence", "clause", "token")
        for cuts in [verified(tmp_path, f"prune.units=[{units}]", *small).results.cuts]
    }
    assert found["sentence"]
    assert found["clause"] == found["token"] == found["sentence"]


def test_that_words_are_taken_away_is_said_with_the_way_out(tmp_path: Path) -> None:
    small = ["data.world.size=30", "attribute.ablation.unit=word"]
    results = verified(tmp_path, "prune.units=[sentence]", *small).results
    assert not results.cuts["ablation"].kept
    said = "needless finds nothing, since ablation takes away a word at a time; set attribute."
    assert [note for note in results.notes if said in note]
