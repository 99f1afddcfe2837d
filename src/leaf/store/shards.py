"""The shards of an unfinished result: what is there, what is not, and what could not be had."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from leaf.store.parquet import DAMAGE, from_table, to_bytes
from leaf.store.runner import Shards
from leaf.store.seal import Written, damaged, seal
from leaf.store.work import Work

T = TypeVar("T")
R = TypeVar("R")


class Filling(Generic[T, R]):
    """An unfinished result: its shards are written as they come, each under its number."""

    def __init__(self, folder: Path, work: Work[T, R], sizes: Sequence[int]) -> None:
        """Look at what is there.

        Args:
            folder: Where it lies; it is held against other processes.
            work: What is computed.
            sizes: Items of each shard.

        Raises:
            StoreError: something there is damaged, or of another result.
        """
        self._folder, self._work, self._sizes = folder, work, sizes
        self._written = Written(folder)
        self._some: dict[int, dict[int, R]] = {}
        """Shard to the records that are there by their places, where others are missing."""
        self.gaps: dict[int, dict[int, R]] = {}
        """The same, for what stands for the missing ones; shards in the order in which they came.
        """
        self.left = []
        """Shards that are not there whole."""
        for at in range(len(sizes)):
            whole, some = _whole(folder, at), _some(folder, at)
            if whole.is_file():
                self._written.of(whole)
                continue
            self.left.append(at)
            if some.is_file():
                said = self._written.of(some)
                found = read_shard(some, said["sha256"], self._records)
                self._some[at] = dict(zip(said["places"], found, strict=True))

    @property
    def there(self) -> int:
        """Items that are done."""
        return sum(self._sizes) - sum(
            self._sizes[at] - len(self._some.get(at, {})) for at in self.left
        )

    def todo(self, shards: Iterable[Sequence[T]]) -> Shards[T]:
        """Yield the number of each shard that is not there whole, with the items to compute."""
        left = set(self.left)
        for at, (_, items) in enumerate(zip(self._sizes, shards, strict=True)):
            if at in left:
                there = self._some.get(at, {})
                yield at, [item for place, item in enumerate(items) if place not in there]

    def write(self, at: int, found: Sequence[R]) -> None:
        """Write a shard, or as much of it as there is; `found` are the records of `todo`."""
        some = self._some.pop(at, {})
        if some or any(map(self._work.missing, found)):
            places = (place for place in range(self._sizes[at]) if place not in some)
            pairs = list(zip(places, found, strict=True))
            gaps = {place: record for place, record in pairs if self._work.missing(record)}
            some |= {place: record for place, record in pairs if place not in gaps}
            if gaps:
                self.gaps[at] = gaps
                self._keep_some(at, some)
                return
            found = [some[place] for place in sorted(some)]
        self._written.add(_whole(self._folder, at), to_bytes(found, self._work.record))
        _some(self._folder, at).unlink(missing_ok=True)

    def take_over(self, records: Sequence[R]) -> int:
        """Keep what a kindred result, all of it, shares with this one; return how many that are."""
        taken, first = 0, 0
        for at, size in enumerate(self._sizes):
            shard = records[first : first + size]
            first += size
            shared = [place for place, record in enumerate(shard) if self._work.shares(record)]
            taken += len(shared)
            if len(shared) == size:
                self.write(at, shard)
                self.left.remove(at)
            elif shared:
                self._keep_some(at, {place: shard[place] for place in shared})
        return taken

    def _keep_some(self, at: int, some: dict[int, R]) -> None:
        self._some[at] = some
        data = to_bytes([some[place] for place in sorted(some)], self._work.record)
        self._written.add(_some(self._folder, at), data, places=sorted(some))

    def finish(self) -> None:
        """Mark the result as complete."""
        files = [self._written.of(_whole(self._folder, at)) for at in range(len(self._sizes))]
        self._written.tidy(files)
        seal(self._folder, {"shards": files})

    def records(self) -> Iterator[R]:
        """Yield all records with what stands for the missing, one shard in memory at a time."""
        for at, size in enumerate(self._sizes):
            if at in self.gaps:
                every = self._some[at] | self.gaps[at]
                yield from (every[place] for place in range(size))
            else:
                path = _whole(self._folder, at)
                yield from read_shard(path, self._written.of(path)["sha256"], self._records)

    def _records(self, table: pa.Table) -> list[R]:
        return from_table(table, self._work.record)


def read_shard(path: Path, sha256: str, records: Callable[[pa.Table], list[R]]) -> list[R]:
    """Return a shard's records; raises `StoreError` where its bytes are not those of `sha256`."""
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise damaged(path)
        # Not read_table: threads of its own hold the file, or our bytes, after it has returned.
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            return records(file.read())
    except DAMAGE as error:
        raise damaged(path) from error


def _whole(folder: Path, at: int) -> Path:
    return folder / f"part-{at:05d}.parquet"


def _some(folder: Path, at: int) -> Path:
    """Return where a shard lies that lacks records."""
    return folder / f"some-{at:05d}.parquet"
