"""Which paths both models take, and what cannot be right: the rehearsal that a run makes, too."""

from collections.abc import Iterator, Sequence

from leaf.distill.rehearsal import rehearse_training
from leaf.doctor.files import ModelFiles
from leaf.doctor.finding import Finding
from leaf.errors import LeafError
from leaf.models import load
from leaf.models.rehearsal import rehearse_copy
from leaf.models.spread import check_map, check_places
from leaf.pipeline.rehearsal import check_detectors, uses_of, verdict
from leaf.recipe import Recipe
from leaf.store.memory import memory_of, size_of


def check_paths(
    recipe: Recipe, models: Sequence[ModelFiles | None], *, trained: bool
) -> Iterator[Finding]:
    """Rehearse models on a tiny copy, and on their own weights where these fit in memory.

    `trained`: whether what learns could be counted; else why not is told already.
    """
    # A student without a teacher stands in both places.
    for model in {each.role: each for each in models if each}.values():
        uses = uses_of(recipe, model.role, asked=True, training=True)
        if not uses or model.source.files is None:
            continue
        _, free = memory_of(load.best_device())
        fits = model.weights <= free
        try:
            if model.section.device_map is not None:
                check_places(model.section)
                check_map(model.section, load.skeleton(model.source))
            paths = verdict(model.section, model.source) if fits else rehearse_copy(model.config)
            for use in uses:
                paths.check(use, model.section.model)
            check_detectors(recipe, model.role, paths, model.section.model)
            if "training" in uses and trained:
                rehearse_training(model.config, recipe.distill, name=model.section.model)
        except LeafError as error:
            yield Finding("bad", f"{model.role}: {error}")
            continue
        own = "" if fits else f"; its own weights ({size_of(model.weights)}) were not tried"
        yield Finding("good", f"{model.role}: paths: {paths.line}{own}")
