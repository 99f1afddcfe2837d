"""Stage results: content-addressed, written in shards, resumable.

A stage's records lie at `<root>/<stage>/<key>/part-00000.parquet ...` plus `done.json`. A shard is
written aside, flushed and renamed, so it is there whole or not at all: a kill at any moment costs
at most the shard in work, and what is there in the end has the same bytes as an uninterrupted run.
"""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq

from leaf.errors import MissingError, check_type
from leaf.progress import progress, say
from leaf.store.disk import locked, space_guard, sweep, write_whole
from leaf.store.memory import forget_peak, peak_bytes
from leaf.store.parquet import DAMAGE, from_table
from leaf.store.runner import LocalRunner, Runner
from leaf.store.seal import DONE, check_files, damaged, listed, unsealed
from leaf.store.shards import Filling, read_shard
from leaf.store.work import Result, StageLog, Work

__all__ = ["Store", "note_cost", "space_guard", "spent", "stream_records", "write_whole"]

T = TypeVar("T")
R = TypeVar("R")

LOCAL = LocalRunner()
"""Works where nothing else is asked for."""


class Store:
    """Stage results below one folder; one process computes a stage at a time.

    Args:
        root: The folder; it is made when the first result is kept.

    Example:
        >>> leaf.Store("runs/store")
        Store('runs/store')
    """

    def __init__(self, root: Path | str) -> None:
        check_type("store", root, (str, Path), "a folder's path")
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def folder(self, stage: str, key: str) -> Path:
        """Return where a result lies, whether it is there or not."""
        return self.root / stage / key

    def is_done(self, stage: str, key: str) -> bool:
        """Whether a result is complete."""
        return (self.folder(stage, key) / DONE).is_file()

    def key_of(self, work: Work[T, R], items: Sequence[T], *, shard_size: int) -> str:
        """Return what names a result here: where it lies under an earlier name, that one."""
        key = work.key(items, shard_size=shard_size)
        if self.folder(work.kind, key).is_dir() or not (self.root / work.kind).is_dir():
            return key
        earlier = work.earlier_keys(items, shard_size=shard_size)
        return next((old for old in earlier if self.folder(work.kind, old).is_dir()), key)

    def checked(self, stage: str, key: str) -> dict[str, Any]:
        """Return what `done.json` of a result says that lists its files; each is looked at.

        Raises:
            StoreError: names a file that is damaged, missing or of another result.
        """
        return check_files(self.folder(stage, key))

    def compute(
        self,
        work: Work[T, R],
        items: Sequence[T],
        *,
        shard_size: int,
        runner: Runner = LOCAL,
        missing: int = 0,
    ) -> tuple[list[R], StageLog]:
        """Return the records of a result, computing only the shards that are not there yet.

        Args:
            work: What is computed, and who computes it.
            items: What it is computed of.
            shard_size: Items in a shard.
            runner: Works on the shards; one that works elsewhere takes all missing ones at once.
            missing: How many records may be missing in the end (`Work.missing`). What stands for
                them is among what is returned, the result stays unfinished, and the next call asks
                for them again.

        Raises:
            StoreError: no space is left, a shard is damaged, or another process is at it.
            MissingError: more are missing; what there is is kept.
        """
        key = self.key_of(work, items, shard_size=shard_size)
        begun = any(self.folder(work.kind, key).glob("*.parquet"))
        if not begun and not self.is_done(work.kind, key):
            self._take_over(work, key, items, shard_size)
        shards = (items[at : at + shard_size] for at in range(0, len(items), shard_size))
        records, log = self.stream(
            work,
            key,
            shards,
            total=len(items),
            shard_size=shard_size,
            runner=runner,
            missing=missing,
        )
        return list(records), log

    def stream(
        self,
        work: Work[T, R],
        key: str,
        shards: Iterable[Sequence[T]],
        *,
        total: int,
        shard_size: int,
        runner: Runner = LOCAL,
        missing: int = 0,
    ) -> tuple[Iterator[R], StageLog]:
        """Do what `compute` does with one shard in memory at a time, whatever there is in all.

        Args:
            work: What is computed; its worker is opened only when a shard is missing.
            key: Names the result.
            shards: The items, `shard_size` at a time; not looked at where all is there.
            total: How many items there are.
            shard_size: Items in a shard.
            runner: As of `compute`.
            missing: As of `compute`.

        Returns:
            The records, read as they are asked for, and what became of the result.

        Raises:
            StoreError: as `compute`; a damaged shard is found when its records are asked for.
            MissingError: as `compute`.
        """
        folder = self.folder(work.kind, key)
        computed = 0
        if not self.is_done(work.kind, key):
            with _locked(folder):
                filling = Filling(folder, work, _sizes(total, shard_size))
                computed = _fill(filling, folder, shards, total, work, runner)
                if gaps := [one for found in filling.gaps.values() for one in found.values()]:
                    if len(gaps) > missing:
                        raise MissingError(_missing(work, gaps, total))
                    log = self.log(work, key, items=total, records=total, computed=computed)
                    return filling.records(), replace(log, missing=len(gaps))
                filling.finish()
        log = self.log(work, key, items=total, records=_count(folder), computed=computed)
        return stream_records(folder, work.record), log

    def _take_over(self, work: Work[T, R], key: str, items: Sequence[T], shard_size: int) -> None:
        """Begin a result with what a kindred one shares with it."""
        there = {each.name for each in (self.root / work.kind).glob("*")}
        kindred = work.kindred_keys(items, shard_size=shard_size) if there else ()
        done = (one for one in kindred if one in there and self.is_done(work.kind, one))
        other = next(done, None)
        if other is None:
            return
        records: list[R] = list(stream_records(self.folder(work.kind, other), work.record))
        folder = self.folder(work.kind, key)
        with _locked(folder):
            filling = Filling(folder, work, _sizes(len(items), shard_size))
            taken = filling.take_over(records)
        if taken:
            say(f"{work.title}: {taken} of {len(items)} ended by themselves within another limit")

    def log(
        self, result: Result[Any], key: str, *, items: int, records: int, computed: int
    ) -> StageLog:
        """Say what became of a complete result."""
        return StageLog(
            title=result.title,
            kind=result.kind,
            about=result.about,
            key=key,
            items=items,
            records=records,
            computed=computed,
            **spent(self.folder(result.kind, key)),
        )

    @contextlib.contextmanager
    def building(self, stage: str, key: str) -> Iterator[Path]:
        """Hold a result folder for a stage that writes it by itself (a trained student)."""
        folder = self.folder(stage, key)
        with _locked(folder):
            yield folder


def stream_records(folder: Path, record_type: type[R]) -> Iterator[R]:
    """Yield a complete result's records, one shard in memory at a time.

    Raises:
        StoreError: names a file that is damaged or missing.
    """
    for name, sha256 in _shards_of(folder):
        yield from read_shard(folder / name, sha256, lambda table: from_table(table, record_type))


def note_cost(folder: Path, seconds: float) -> None:
    """Add the time and memory that a process spent on a result; it is not part of the result."""
    times = folder / "times.jsonl"
    line = {"seconds": round(seconds, 3), "peak_bytes": peak_bytes()}
    with space_guard(times), times.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def spent(folder: Path) -> dict[str, Any]:
    """Return what all processes together spent on a result: `seconds` and `peak_bytes`."""
    times = folder / "times.jsonl"
    lines = times.read_text(encoding="utf-8").splitlines() if times.is_file() else []
    notes = []
    for line in lines:
        # A kill can cut a note in the middle: it is only a note.
        with contextlib.suppress(ValueError):
            notes.append(json.loads(line))
    peaks = [note["peak_bytes"] for note in notes if note.get("peak_bytes") is not None]
    return {
        "seconds": float(sum(note["seconds"] for note in notes)),
        "peak_bytes": max(peaks, default=None),
    }


def _fill(
    filling: Filling[T, R],
    folder: Path,
    shards: Iterable[Sequence[T]],
    total: int,
    work: Work[T, R],
    runner: Runner,
) -> int:
    """Compute the missing shards and write each as it is done; return how many there were."""
    missing = len(filling.left)
    if not missing:
        return 0
    if filling.there:
        say(f"{work.title}: resuming, {filling.there} of {total} {work.unit} are done")
    begun = time.monotonic()
    forget_peak()
    with (
        progress(work.title, total, unit=work.unit, done=filling.there) as tick,
        # Closed at once when writing fails: a worker has a model in memory.
        contextlib.closing(runner.run(work.open, filling.todo(shards), tick)) as done,
    ):
        for at, records in done:
            filling.write(at, records)
            note_cost(folder, time.monotonic() - begun)
            begun = time.monotonic()
    return missing


def _sizes(total: int, shard_size: int) -> list[int]:
    """Return the items of each shard."""
    return [min(shard_size, total - at) for at in range(0, total, shard_size)]


def _missing(work: Work[Any, R], gaps: Sequence[R], total: int) -> str:
    are = "is" if len(gaps) == 1 else "are"
    return (
        f"{work.title}: {len(gaps)} of {total} {are} missing, since requests failed, the last: "
        f"{work.missing(gaps[-1])}; run the same command again: it asks for these alone "
        "(generate.missing says how many a run may go on without)"
    )


def _count(folder: Path) -> int:
    """Return how many records a complete result has."""
    count = 0
    for name, _sha256 in _shards_of(folder):
        try:
            count += pq.read_metadata(folder / name).num_rows
        except DAMAGE as error:
            raise damaged(folder / name) from error
    return count


def _shards_of(folder: Path) -> list[tuple[str, str]]:
    """Return the name and SHA-256 of each shard of a finished result."""
    return listed(unsealed(folder), "shards", folder / DONE)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a result folder against other processes; sweep what a killed one left half-written."""
    with locked(folder, "is computing this; wait for it, or stop it"):
        sweep(folder, ".*.tmp")
        yield
