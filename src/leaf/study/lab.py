"""Where studies get their results: recipes with some values changed, run over one store.

What two settings have in common is in the store once, so it is computed once; a killed study goes
on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.pipeline.stages import Pipeline
from leaf.progress import say
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe, describe
from leaf.store.results import Results
from leaf.store.store import Store

_SEEDED = ("data.", "attribute.", "prune.", "distill.")
"""Sections whose seeds differ between the seeds of a study; the test questions stay the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One setting of a recipe, run up to some stage."""

    recipe: Recipe
    pipeline: Pipeline

    @property
    def results(self) -> Results:
        """What it found."""
        return self.pipeline.results


class Lab:
    """Runs variants of one recipe."""

    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        seeds: Sequence[int] = (0,),
        taus: Sequence[float] | None = None,
        rules: Sequence[str] | None = None,
    ) -> None:
        self.recipe = recipe
        self.store = store
        self.seeds = tuple(seeds)
        """Seed 0 is the recipe as it is."""
        self.taus = None if taus is None else tuple(taus)
        """Thresholds of a study that sweeps over them; None: its own."""
        self.rules = None if rules is None else tuple(rules)
        """Rules (`leaf.prune.RULES`) of a study that sweeps over them; None: all."""

    def variant(self, changes: Mapping[str, Any], seed: int = 0) -> Recipe:
        """Return the recipe with dotted keys changed and `seed` added to its random choices.

        Raises:
            RecipeError: a key or value out of the rules.
        """
        recipe = self._with(self.recipe, changes)
        moved = {
            key: value + seed
            for key, value, _ in describe(recipe)
            if key.startswith(_SEEDED)
            and key.endswith("seed")
            and isinstance(value, int)
            and key not in changes
        }
        return self._with(recipe, moved)

    def _with(self, recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
        values = recipe.model_dump(by_alias=True)
        for key, value in changes.items():
            *sections, last = key.split(".")
            place = values
            for section in sections:
                # A detector's options need not be there yet.
                place = place.setdefault(section, {})
            place[last] = value
        return check_recipe(values, source=f"recipe {self.recipe.name}")

    def run(
        self, changes: Mapping[str, Any] | None = None, *, until: str, seed: int = 0, label: str
    ) -> Run:
        """Run a variant up to a stage.

        Args:
            changes: Dotted keys of the recipe and their values.
            until: One of `leaf.pipeline.stages.STAGES`.
            seed: One of `seeds`.
            label: What is different, for people.
        """
        say(f"-- {label}" + f", seed {seed}" * (len(self.seeds) > 1))
        recipe = self.variant(changes or {}, seed)
        pipeline = Pipeline(recipe, self.store)
        pipeline.run(until=until, after_stage=lambda: None)
        return Run(recipe=recipe, pipeline=pipeline)

    def runs(
        self, changes: Mapping[str, Any] | None = None, *, until: str, label: str
    ) -> list[Run]:
        """Run a variant for each seed, without the recipe's controls unless `changes` name some."""
        changes = {"attribute.controls": [], **(changes or {})}
        return [self.run(changes, until=until, seed=seed, label=label) for seed in self.seeds]
