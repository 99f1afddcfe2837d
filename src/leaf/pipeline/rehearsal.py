"""Both models rehearsed before long work: which paths they take, and what cannot be right."""

from collections.abc import Collection, Iterator

from leaf.distill.rehearsal import rehearse_training
from leaf.generate import engine_of
from leaf.models import load
from leaf.models.files import Source
from leaf.models.paths import Paths, paths_of
from leaf.models.verdicts import known, own_key
from leaf.pipeline.detectors import detectors_of, needs_gradient, takes_gradient
from leaf.progress import say
from leaf.recipe import ModelSection, Recipe


def uses_of(recipe: Recipe, role: str, *, asked: bool, training: bool) -> tuple[str, ...]:
    """Return what a run runs a model for itself; none where a server or another engine does.

    Args:
        recipe: The resolved recipe.
        role: `student` or `teacher`.
        asked: Whether it has questions to answer that are not in the store.
        training: Whether a student is trained.
    """
    section = recipe.student if role == "student" else recipe.teaching
    uses = []
    if asked and engine_of(section, recipe.generate) == "hf":
        uses.append("generation")
    detectors = detectors_of(recipe.attribute) if asked else []
    for detector in detectors:
        if role in detector.roles(teacher=not recipe.alone):
            uses.append("sensitivity" if needs_gradient(detector) else "ablation")
    if detectors and takes_gradient(detectors, alone=recipe.alone):
        uses.append("sensitivity")
    if training and role == "student":
        uses.append("training")
    taught = training and recipe.distill.needs_teacher and recipe.distill.teacher != "served"
    if taught and role == "teacher":
        uses.append("ablation")
    return tuple(dict.fromkeys(uses))


def check_detectors(recipe: Recipe, role: str, paths: Paths, name: str) -> None:
    """Refuse a model that a recipe's detectors cannot measure as their options say.

    Raises:
        ModelError: says why, and what to set.
    """
    for detector in detectors_of(recipe.attribute):
        if role in detector.roles(teacher=not recipe.alone):
            detector.check_paths(paths, name)


def rehearse(recipe: Recipe, role: str, source: Source, uses: Collection[str]) -> Paths:
    """Return which paths of a model are right; its weights are loaded where no verdict is kept.

    Raises:
        ModelError: a use cannot be right, or training fails on a tiny copy.
        RecipeError: adapters are asked for that the student cannot have.
    """
    section: ModelSection = recipe.student if role == "student" else recipe.teaching
    paths = verdict(section, source)
    for use in uses:
        paths.check(use, source.name)
    if "training" in uses:
        kind = type(source.held.model) if source.held is not None else None
        config = load.load_config(source)
        rehearse_training(config, recipe.distill, name=source.name, kind=kind)
    return paths


def verdict(section: ModelSection, source: Source) -> Paths:
    """Return which paths of a model are right, as it is kept, or by loading it now."""
    if source.held is not None:
        return paths_of(source.held.model)
    device = load.best_device()
    key = own_key(source.fingerprint, load.resolve_dtype(section.dtype, device), device)
    if section.device_map is None and (found := known(key)):
        return found
    with load.loaded(section, source) as loaded:
        return paths_of(loaded.model)


def rehearse_all(
    recipe: Recipe, sources: dict[str, Source], asked: Collection[str], *, training: bool
) -> None:
    """Rehearse the models that a run runs itself; say which paths they take, if not the fastest.

    Raises:
        ModelError: see `rehearse`.
    """
    for role, source in _each(recipe, sources):
        uses = uses_of(recipe, role, asked=role in asked, training=training)
        if uses and (source.files is not None or source.held is not None):
            paths = rehearse(recipe, role, source, uses)
            if role in asked:
                check_detectors(recipe, role, paths, source.name)
            if any(paths.way(use) != "packed" for use in uses):
                say(f"{role}: {paths.line}")


def _each(recipe: Recipe, sources: dict[str, Source]) -> Iterator[tuple[str, Source]]:
    roles = ("student",) if recipe.alone else ("student", "teacher")
    yield from ((role, sources[role]) for role in roles)
