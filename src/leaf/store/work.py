"""One result to compute: its kind, what decides it, who computes it, and what became of it.

A subclass of `Work` is a kind of result that is computed shard by shard. To add one: such a class,
and a stage that hands it to `leaf.pipeline.session.Session.compute` (docs/extending.md).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from leaf.progress import Ticker
from leaf.store.keys import stage_key, user_code_digest
from leaf.store.runner import Worker

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What of a run a result is. Titles are made of it; nothing reads a title."""

    role: str = ""
    """`student`, `teacher`, an arm (a name in `leaf.store.arms.ARMS`), or the weights' name."""
    detector: str = ""
    """Whose scores or cuts it is of, else ""."""
    level: str = "instruction"
    """What was scored or changed: `instruction` or `response`."""
    changed: str = ""
    """How the questions were changed: `pruned`, `transplanted`, `injected`, `placebo`;
    `sampled` are cuts, placebos and whole ones, asked several times; "" of whole ones."""
    asked: str = ""
    """The benchmark, or what else was asked; "" of the training problems."""

    @property
    def in_response(self) -> str:
        """What a title says of the response level."""
        return " in the response" if self.level == "response" else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What a model read and wrote, padding and what was read a second time left out."""

    read: int
    """Of prompts, and of what was scored."""
    written: int = 0
    """Of answers, ends of turns included."""


class Result(ABC, Generic[T]):
    """What a result of items T is called, and what decides it."""

    kind: ClassVar[str]
    """Its folder in the store, and part of its key."""
    version: ClassVar[int] = 1
    """Raised when its code changes what comes out: what was stored before is not found again."""
    about: About

    @property
    @abstractmethod
    def title(self) -> str:
        """What is computed, for people."""

    @abstractmethod
    def settings(self, items: Sequence[T]) -> Mapping[str, Any]:
        """Return what of the recipe decides the result, as JSON values, and nothing else.

        How fast, where and in how much memory it is computed is no part of it. A setting that came
        later is left out at its default, so that results keep the names that they had.
        """

    @abstractmethod
    def inputs(self, items: Sequence[T]) -> list[str]:
        """Return digests of the items and models, and keys of the results that it is made of."""

    def key(self, items: Sequence[T], **besides: Any) -> str:
        """Return what names this result in the store; a user's class is named by its file too.

        Args:
            items: What it is computed of.
            besides: What decides it besides its settings: `shard_size`.
        """
        return self._key(items, self.inputs(items), besides)

    def earlier_keys(self, items: Sequence[T], **besides: Any) -> Iterator[str]:
        """Yield what named the same result in stores of earlier versions, likeliest first."""
        return (self._key(items, inputs, besides) for inputs in self.earlier_inputs(items))

    def earlier_inputs(self, items: Sequence[T]) -> Iterator[list[str]]:
        """Yield what `inputs` returned in earlier versions, where that was something else."""
        yield from ()

    def _key(self, items: Sequence[T], inputs: list[str], besides: Mapping[str, Any]) -> str:
        return stage_key(self.kind, self.version, self._decided_by(items, besides), inputs)

    def _decided_by(self, items: Sequence[T], besides: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.settings(items), **besides, **user_code_digest(type(self))}


class Work(Result[T], Generic[T, R]):
    """A result of records R that are computed shard by shard; it can be pickled, for workers."""

    record: ClassVar[type]
    """Class of the records."""
    unit: ClassVar[str] = "problems"
    """What an item is, for people."""
    travels: ClassVar[bool] = True
    """Whether the recipe's runner works on it; False: too little to carry elsewhere."""

    def kindred_keys(self, items: Sequence[T], **besides: Any) -> Iterator[str]:
        """Yield what names results of which some records are this one's too, best first."""
        yield from ()

    def shares(self, record: R) -> bool:
        """Whether a record of a kindred result is this one's too."""
        return False

    def missing(self, record: R) -> str:
        """Return why there is no record, where this one only stands for it; "": it is one.

        What stands for a record is never kept: the same command asks for it again. Such work gives
        one record an item.
        """
        return ""

    def tokens(self, records: Sequence[R]) -> "Tokens | None":
        """Return how many tokens a model read and wrote for its records; None: no model did."""
        return None

    @abstractmethod
    def open(self, tick: Ticker) -> AbstractContextManager[Worker[T, R]]:
        """Load what turns items into records; it ticks finished items."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageLog:
    """What became of one result in this process."""

    title: str
    """For people."""
    kind: str
    """`answers`, `scores`, `sensitivities`, `counterfactuals`, `students` (see `Result.kind`)."""
    about: About = field(default_factory=About)
    stage: str = ""
    """The stage of the run that asked for it (`leaf.pipeline.stages.STAGES`); "" outside a run."""
    key: str
    items: int
    records: int
    computed: int
    """Shards (or optimiser steps) computed now; 0 when all were there before."""
    seconds: float
    """Seconds that the whole result took, earlier processes included."""
    peak_bytes: int | None = None
    """Highest memory of a process that computed it (GPU memory where there is one)."""
    missing: int = 0
    """Records that are missing; the result is unfinished then."""
    tokens: Tokens | None = None
    """What the model read and wrote for the whole result; None: no model was asked, or it was not
    counted."""
