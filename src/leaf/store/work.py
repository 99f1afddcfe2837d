"""One result to compute: its kind, what decides it, who computes it, and what became of it.

A subclass of `Work` is a kind of result. To add one: such a class, and a stage that hands it to
`leaf.pipeline.session.Session.compute` (docs/extending.md).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
    """`student`, `teacher`, an arm (a name in `leaf.records.ARMS`), or the weights' name."""
    detector: str = ""
    """Whose scores or cuts it is of, else ""."""
    level: str = "instruction"
    """What was scored or changed: `instruction` or `response`."""
    changed: str = ""
    """How the questions were changed: `pruned`, `transplanted`; "" of whole ones."""
    asked: str = ""
    """The benchmark, or what else was asked; "" of the training problems."""

    @property
    def in_response(self) -> str:
        """What a title says of the response level."""
        return " in the response" if self.level == "response" else ""


class Work(ABC, Generic[T, R]):
    """One result to compute, of items T in records R; it can be pickled, for workers elsewhere."""

    kind: ClassVar[str]
    """Its folder in the store, and part of its key."""
    version: ClassVar[int] = 1
    """Raised when its code changes what comes out: what was stored before is not found again."""
    record: ClassVar[type]
    """Class of the records."""
    unit: ClassVar[str] = "problems"
    """What an item is, for people."""
    travels: ClassVar[bool] = True
    """Whether the recipe's runner works on it; False: too little to carry elsewhere."""
    about: About

    @property
    @abstractmethod
    def title(self) -> str:
        """What is computed, for people."""

    @abstractmethod
    def settings(self, items: Sequence[T]) -> Mapping[str, Any]:
        """Return what of the recipe decides the records, as JSON values, and nothing else.

        How fast, where and in how much memory they are computed is no part of it. A setting that
        came later is left out at its default, so that results keep the names that they had.
        """

    @abstractmethod
    def inputs(self, items: Sequence[T]) -> list[str]:
        """Return digests of the items and models, and keys of the results that it is made of."""

    @abstractmethod
    def open(self, tick: Ticker) -> AbstractContextManager[Worker[T, R]]:
        """Load what turns items into records; it ticks finished items."""

    def key(self, items: Sequence[T], shard_size: int) -> str:
        """Return what names this result in the store; a user's class is named by its file too."""
        settings = {**self.settings(items), "shard_size": shard_size}
        settings |= user_code_digest(type(self))
        return stage_key(self.kind, self.version, settings, self.inputs(items))


@dataclass(frozen=True, kw_only=True, slots=True)
class StageLog:
    """What became of one result in this process."""

    title: str
    """For people."""
    kind: str
    """`answers`, `scores`, `sensitivities`, `counterfactuals`, `students` (see `Work.kind`)."""
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
