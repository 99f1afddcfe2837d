"""Needless pieces on the demo world: what ablation says that solved problems can do without."""

from pathlib import Path

from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store


def test_what_is_put_in_was_planted_where_it_comes_from(tmp_path: Path) -> None:
    recipe = load_recipe(
        "demo",
        [
            "arms={}",
            "data.world.size=200",
            "data.world.asides=0.3",
            "attribute.detector=ablation",
            "attribute.controls=[]",
            "prune.strategy=[inject]",
            "prune.inject={sources: [needless], per: 1}",
            "prune.units=[clause, sentence]",
            "verify.injections=unasked",
            "verify.effect=0",
        ],
    )
    pipeline = Pipeline(recipe, Store(tmp_path))
    pipeline.run(until="verify", after_stage=lambda: None)
    problems = {problem.id: problem for problem in pipeline.results.problems or ()}
    kept = pipeline.results.cuts["ablation"].kept
    assert len(kept) > 20
    for item in kept:
        donor = problems[item.donor.partition("/")[0]]
        planted = [donor.question[one.start : one.end].strip() for one in donor.distractors]
        assert item.inserted.strip() in planted
