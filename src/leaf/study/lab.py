"""Where studies get their results: recipes with some values changed, run over one store.

What two settings have in common is in the store once, so it is computed once; a killed study
resumes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import StudyError
from leaf.models.files import Source, trained
from leaf.pipeline.stages import Pipeline
from leaf.progress import say
from leaf.recipe import GenerateSection, Recipe
from leaf.recipe.reading import check_recipe, describe
from leaf.records import Problem, Sensitivity
from leaf.store.ledger import Entry, Variant
from leaf.store.results import Graded, Results
from leaf.store.store import Store
from leaf.store.work import About

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

    @property
    def detector(self) -> str:
        """The recipe's own detector."""
        return self.recipe.attribute.detector

    @property
    def entries(self) -> list[Entry]:
        """What stage 1 found out about each problem, as the ledger describes it."""
        return list(self.results.entries())

    def verified_removals(self, entry: Entry) -> list[Variant]:
        """Return what the recipe's detector cut out of a question, where verification kept it."""
        if entry.level != "instruction":
            return []
        removals = [item for item in entry.tried(self.detector) if item.kept]
        return [item for item in removals if item.strategy in {"span", "collective"}]

    @property
    def sources(self) -> dict[str, Source | None]:
        """Arm to its weights; None where they are the recipe's own student or teacher."""
        students = {arm: trained(arm, folder) for arm, folder in self.results.students.items()}
        teacher = {} if self.recipe.alone else {"teacher": None}
        return {"before": None, **students, **teacher}

    def answers(
        self,
        arm: str,
        problems: Sequence[Problem],
        asked: str,
        generate: GenerateSection | None = None,
    ) -> Graded:
        """Let an arm answer problems; what `leaf run` computed is found again."""
        session, role = self.pipeline.session, "teacher" if arm == "teacher" else "student"
        section = self.recipe.teaching if arm == "teacher" else self.recipe.student
        source = self.sources[arm] or session.sources[role]
        about = About(role=arm, asked=asked)
        return session.answers(section, source, problems, about, generate=generate)

    def look(
        self, arm: str, measure: str, pairs: Sequence[tuple[Problem, str]]
    ) -> list[Sensitivity]:
        """Measure where an arm looks, on problems with their references."""
        role = "teacher" if arm == "teacher" else "student"
        return self.pipeline.session.sensitivities(role, measure, pairs, source=self.sources[arm])


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What is named on the command line of what a study goes over; None: the study's own."""

    taus: tuple[float, ...] | None = None
    """Thresholds."""
    rules: tuple[str, ...] | None = None
    """Of `leaf.prune.RULES`."""
    shares: tuple[float, ...] | None = None
    """Of `prune.share`."""
    weights: tuple[float | str, ...] | None = None
    """Of `distill.lambda`."""
    clean: tuple[str, ...] | None = None
    """Benchmarks in which nothing distracts."""
    distracted: tuple[str, ...] | None = None
    """Benchmarks in which something does."""


class Lab:
    """Runs variants of one recipe."""

    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        seeds: Sequence[int] = (0,),
        choices: Choices = Choices(),
    ) -> None:
        # Other students than the recipe's own would be trained and tested at every setting.
        self.recipe = recipe.model_copy(update={"arms": {}})
        self.store = store
        self.seeds = tuple(seeds)
        """Seed 0 is the recipe as it is."""
        self.choices = choices

    def check_teacher(self, why: str) -> None:
        """Refuse a recipe without a teacher; `why` it is needed.

        Raises:
            StudyError: `teacher: self`.
        """
        if self.recipe.alone:
            raise StudyError(f"recipe {self.recipe.name} has no teacher (teacher: self), and {why}")

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
        say(f"-- {label}, seed {seed}" if len(self.seeds) > 1 else f"-- {label}")
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
