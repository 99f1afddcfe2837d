"""Where the shards of a stage are worked on: here, or wherever a runner carries them."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, runtime_checkable

from leaf.progress import Ticker

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)

Worker = Callable[[Sequence[T]], list[R]]
"""Turns the items of one shard into its records."""

Shards = Iterable[tuple[int, Sequence[T]]]
"""Numbers and items of shards."""


@runtime_checkable
class StreamWorker(Protocol[T_contra, R]):
    """A `Worker` that would rather have the next shard's items before a shard is finished."""

    def __call__(self, items: Sequence[T_contra], /) -> list[R]:
        """Turn the items of one shard into its records."""
        ...

    def stream(self, shards: Shards[T_contra], /) -> Generator[tuple[int, list[R]], None, None]:
        """Yield each shard's number and records as it is finished, in any order."""
        ...


OpenWorker = Callable[[Ticker], AbstractContextManager[Worker[T, R]]]
"""Loads what a stage needs. It ticks finished items."""


class Runner(Protocol):
    """Works on shards with as many workers as it has, each opened once."""

    def run(
        self,
        open_worker: OpenWorker[T, R],
        shards: Shards[T],
        tick: Ticker,
    ) -> Generator[tuple[int, list[R]], None, None]:
        """Yield each shard's number and records as it is finished, in any order.

        Args:
            open_worker: Opens a worker; a runner may pickle it and call it in another process.
            shards: Numbers and items of the shards.
            tick: Told of finished items.

        Raises:
            LeafError: whatever a worker raised, as if it had worked here.
        """
        ...

    def close(self) -> None:
        """Give back what is held between two stages; a later `run` takes it again."""
        ...


class LocalRunner:
    """Works in this process."""

    def run(
        self,
        open_worker: OpenWorker[T, R],
        shards: Shards[T],
        tick: Ticker,
    ) -> Generator[tuple[int, list[R]], None, None]:
        """Yield each shard's number and records; a shard is asked for when it is due."""
        with open_worker(tick) as work:
            if isinstance(work, StreamWorker):
                yield from work.stream(shards)
            else:
                for at, shard in shards:
                    yield at, work(shard)

    def close(self) -> None:
        """Do nothing: nothing is held."""
