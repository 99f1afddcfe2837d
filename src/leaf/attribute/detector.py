"""What a detector is: its name, its options, what it needs, what it measures, how it ranks.

Axes: U units of one question, in text order.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from leaf.attribute.checks import check_ranking
from leaf.attribute.ranking import widen
from leaf.errors import UsageError
from leaf.progress import Ticker
from leaf.recipe.base import Section
from leaf.recipe.detectors import SHIPPED, detector_class, run_plugin
from leaf.records import Attribution, NormalisedScores, Problem, RankedUnits, Sensitivity
from leaf.text.units import Piece

if TYPE_CHECKING:  # they import torch, and a recipe is checked without
    from leaf.models.load import Loaded
    from leaf.models.output_head import Head
    from leaf.models.packing import Packer
    from leaf.models.paths import Paths
    from leaf.models.prompt_format import PromptFormat

Places = Mapping[str, Sequence[Piece]]
"""Problem id to pieces of its question."""


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """One model in memory, and how it is to be measured."""

    loaded: "Loaded"
    chat: "PromptFormat"
    token_budget: int = 8192
    """Most tokens, padding included, in one batch."""
    tick: Ticker | None = None
    """Told of problems that are done."""
    places: Places | None = None
    """What `Detector.places` chose of each question; None: all of it is measured."""

    @cached_property
    def head(self) -> "Head":
        """The model's output head."""
        from leaf.models.output_head import output_head

        head = output_head(self.loaded.model)
        self.paths.check("ablation", self.loaded.source.name)
        return head

    @cached_property
    def paths(self) -> "Paths":
        """Which ways of running it are right (`leaf.models.paths`)."""
        from leaf.models.paths import paths_of

        return paths_of(self.loaded.model)

    @cached_property
    def packer(self) -> "Packer":
        """What runs the model on batches without padding, where it can."""
        from leaf.models.packing import Packer

        self.paths.check("sensitivity", self.loaded.source.name)
        return Packer(self.loaded.model, paths=self.paths)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a detector may go by when it ranks the units of one question."""

    problem: Problem
    tokens: tuple[Piece, ...]
    """The student's tokens of the question, in text order: units are made of whole ones."""
    measured: Sensitivity | Attribution | None = None
    """What was measured: of one model, or of both side by side; None of a detector that measures
    nothing."""
    gradient: NormalisedScores | None = None
    """The gradient's scores (Eq. 3 to 5), where both models were measured by it, too."""


class Detector(ABC):
    """Says which units of a question to cut first.

    A subclass sets `name`, says what it `needs`, defines `rank` and, unless it needs nothing,
    `measure`. `@detector` puts it into the table; recipes, keys of results, help and docs then
    follow from its name, its docstring and its `Options`.
    """

    name: ClassVar[str]
    """What recipes call it."""
    needs: ClassVar[Literal["nothing", "student", "both"]] = "both"
    """Which models it cannot do without."""
    asks_teacher: ClassVar[bool] = False
    """Whether it measures the teacher as well where there is one, though it `needs` none."""
    measurement: ClassVar[str] = ""
    """What it measures in a model, for people: `surprisal`; its name where that says it."""
    goes_by: ClassVar[str] = ""
    """The detector whose measurement it shares, so that it is made once; "" for its own."""
    counts_as_gradient: ClassVar[bool] = False
    """Whether it marks as many units as the gradient would, and no rule says how many."""
    exact: ClassVar[bool] = False
    """Whether it knows what to cut to the character: `prune.units` widen nothing then, and marks
    that only spaces part are one span."""
    formerly: ClassVar[Mapping[str, str]] = {}
    """Keys of `attribute` in version 0.1.0, and the option that each is now."""

    class Options(Section):
        """Its keys in a recipe, `attribute.<name>`."""

    def __init__(self, options: Section | None = None) -> None:
        """Make the detector; `options` are its `Options`, all at their defaults if None."""
        self.options: Any = options or type(self).Options()
        self.units: tuple[str, ...] = ("token",)
        """What will be ranked and cut, `prune.units` of a recipe."""

    def roles(self, *, teacher: bool = True) -> tuple[str, ...]:
        """Return which models it measures: none, `student`, or `student` and `teacher`.

        Args:
            teacher: Whether there is one.

        Raises:
            UsageError: it compares two models and there is no teacher.
        """
        if self.needs == "nothing":
            return ()
        if self.needs == "both" and not teacher:
            alone = [name for name in SHIPPED if detector_class(name).needs == "student"]
            raise UsageError(
                f"detector `{self.name}` compares two models, and there is no teacher: name one, "
                f"or take {' or '.join(alone)}"
            )
        both = teacher and (self.needs == "both" or self.asks_teacher)
        return ("student", "teacher") if both else ("student",)

    def check_paths(self, paths: "Paths", name: str) -> None:  # noqa: B027 - most take any
        """Refuse a model that cannot be measured as the options say; told before long work.

        Args:
            paths: What the model's rehearsal found.
            name: The model's, for the message.

        Raises:
            ModelError: says why, and what to set.
        """

    def measure(
        self, model: MeasuredModel, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        """Score units of each question under one model; the order is kept.

        Args:
            model: The student, then the teacher, as `roles` says.
            problems: What is scored.
            references: The response y to each.

        Raises:
            NonFiniteError: a value is NaN or infinite; names the model, problem and dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} measures nothing")

    @abstractmethod
    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank a question's tokens, or larger units; a text says why there is no ranking."""

    def rank_units(self, evidence: Evidence, unit: str = "token") -> RankedUnits | str:
        """Rank a question's tokens, words, phrases, clauses or sentences; see `rank`."""
        ranked = check_ranking(self.name, evidence.problem, self.rank(evidence))
        if isinstance(ranked, str):
            return ranked
        return widen(ranked, evidence.problem.question, unit)

    @property
    def chooses_places(self) -> bool:
        """Whether `places` says what of a question is measured; else all of it is."""
        return False

    def places(self, evidence: Evidence, gradient: NormalisedScores) -> tuple[Piece, ...]:
        """Choose the pieces of a question that are measured, by the gradient's scores."""
        raise NotImplementedError(f"{type(self).__name__} measures all of a question")

    def measure_key(self) -> dict[str, Any]:
        """Return what of its options decides what it measures: names the result in the store."""
        return dict(self.options)

    def rank_key(self) -> dict[str, Any]:
        """Return what of its options decides how it ranks: names what is cut in the store."""
        return dict(self.options)

    def __reduce__(self) -> Any:
        """Pickle it so that a worker needs no file of the user's: a plugin's text goes along."""
        made, options = type(self), self.options.model_dump()
        module = sys.modules.get(made.__module__)
        text = getattr(module, "__text__", None)
        plugin = (made.__module__, module.__file__, text) if module and text else None
        return _again, (plugin, self.name if plugin else made, options, self.units)


def _again(
    plugin: tuple[str, str, str] | None, made: Any, options: dict[str, Any], units: tuple[str, ...]
) -> Detector:
    if plugin:
        run_plugin(*plugin)
        made = detector_class(made)
    detector: Detector = made(made.Options(**options))
    detector.units = units
    return detector
