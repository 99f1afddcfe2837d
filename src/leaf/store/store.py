"""Stage results: content-addressed, written in shards, resumable.

A stage's records lie at `<root>/<stage>/<key>/part-00000.parquet ...` plus `done.json`. A shard is
written aside, flushed and renamed, so it is there whole or not at all: a kill at any moment costs
at most the shard in work, and what is there in the end has the same bytes as an uninterrupted run.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError

from leaf.errors import StoreError, check_type
from leaf.progress import progress
from leaf.store.memory import forget_peak, peak_bytes
from leaf.store.parquet import DAMAGE, from_table, to_bytes
from leaf.store.runner import LocalRunner, Runner
from leaf.store.work import Result, StageLog, Work

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
        return (self.folder(stage, key) / "done.json").is_file()

    def compute(
        self, work: Work[T, R], items: Sequence[T], *, shard_size: int, runner: Runner = LOCAL
    ) -> tuple[list[R], StageLog]:
        """Return the records of a result, computing only the shards that are not there yet.

        Args:
            work: What is computed, and who computes it.
            items: What it is computed of.
            shard_size: Items in a shard.
            runner: Works on the shards; one that works elsewhere takes all missing ones at once.

        Raises:
            StoreError: no space is left, a shard is damaged, or another process is at it.
        """
        key = work.key(items, shard_size=shard_size)
        shards = (items[at : at + shard_size] for at in range(0, len(items), shard_size))
        records, log = self.stream(
            work, key, shards, total=len(items), shard_size=shard_size, runner=runner
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
    ) -> tuple[Iterator[R], StageLog]:
        """Do what `compute` does with one shard in memory at a time, whatever there is in all.

        Args:
            work: What is computed; its worker is opened only when a shard is missing.
            key: Names the result.
            shards: The items, `shard_size` at a time; not looked at where all is there.
            total: How many items there are.
            shard_size: Items in a shard.
            runner: As of `compute`.

        Returns:
            The records, read as they are asked for, and what became of the result.

        Raises:
            StoreError: as `compute`; a damaged shard is found when its records are asked for.
        """
        folder = self.folder(work.kind, key)
        computed = 0
        if not self.is_done(work.kind, key):
            with _locked(folder):
                sizes = [min(shard_size, total - at) for at in range(0, total, shard_size)]
                computed = _fill(folder, shards, sizes, work, runner)
                _finish(folder, work.kind, key, len(sizes))
        log = self.log(work, key, items=total, records=_count(folder), computed=computed)
        return stream_records(folder, work.record), log

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
    for name, sha256 in _shards_of(folder / "done.json"):
        yield from _read_shard(folder / name, sha256, record_type)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside, flush it to the disk and rename it into place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with space_guard(path):
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def space_guard(path: Path) -> Iterator[None]:
    """Turn "no space left" into one clear line that says where and what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if not _is_full(error):
            raise
        there = next(parent for parent in path.absolute().parents if parent.exists())
        free = shutil.disk_usage(there).free // 2**20
        raise StoreError(
            f"no space left to write {path} ({free} MiB free); nothing finished is lost: "
            "free some space and run the same command again"
        ) from None


def _is_full(error: Exception) -> bool:
    full = {errno.ENOSPC, errno.EDQUOT}
    if isinstance(error, OSError):
        return error.errno in full
    # What safetensors cannot write it says in words, with the number in them.
    return any(f"(os error {number})" in str(error) for number in full)


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
    folder: Path,
    shards: Iterable[Sequence[T]],
    sizes: Sequence[int],
    work: Work[T, Any],
    runner: Runner,
) -> int:
    """Compute the missing shards and write each as it is done; return how many there were."""
    missing = {at for at in range(len(sizes)) if not _shard(folder, at).is_file()}
    if not missing:
        return 0
    there = sum(size for at, size in enumerate(sizes) if at not in missing)
    numbered = enumerate(zip(sizes, shards, strict=True))
    todo = ((at, shard) for at, (_size, shard) in numbered if at in missing)
    begun = time.monotonic()
    forget_peak()
    with (
        progress(work.title, sum(sizes), unit=work.unit, done=there) as tick,
        # Closed at once when writing fails: a worker has a model in memory.
        contextlib.closing(runner.run(work.open, todo, tick)) as done,
    ):
        for at, records in done:
            _write_shard(_shard(folder, at), records, work.record)
            note_cost(folder, time.monotonic() - begun)
            begun = time.monotonic()
    return len(missing)


def _count(folder: Path) -> int:
    """Return how many records a complete result has."""
    count = 0
    for name, _sha256 in _shards_of(folder / "done.json"):
        try:
            count += pq.read_metadata(folder / name).num_rows
        except DAMAGE as error:
            raise _damaged(folder / name) from error
    return count


def _finish(folder: Path, stage: str, key: str, shards: int) -> None:
    parts = [_shard(folder, at) for at in range(shards)]
    done = {
        "stage": stage,
        "key": key,
        "shards": [{"file": part.name, "sha256": _sha256(part)} for part in parts],
    }
    write_whole(folder / "done.json", json.dumps(done, indent=1).encode())


def _shards_of(done: Path) -> list[tuple[str, str]]:
    """Return the name and SHA-256 of each shard of a finished result."""
    try:
        shards = json.loads(done.read_text(encoding="utf-8"))["shards"]
        return [(str(shard["file"]), str(shard["sha256"])) for shard in shards]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(done) from error


def _shard(folder: Path, at: int) -> Path:
    return folder / f"part-{at:05d}.parquet"


def _write_shard(path: Path, records: Sequence[Any], record_type: type) -> None:
    write_whole(path, to_bytes(records, record_type))


def _read_shard(path: Path, sha256: str, record_type: type[R]) -> list[R]:
    """Return a shard's records; raises `StoreError` where its bytes are not those of `sha256`."""
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _damaged(path)
        # Not read_table: threads of its own hold the file, or our bytes, after it has returned.
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            return from_table(file.read(), record_type)
    except DAMAGE as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> StoreError:
    return StoreError(
        f"{path}: damaged or missing; delete the folder {path.parent} and run the same command "
        "to compute it again"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a result folder against other processes; sweep what a killed one left half-written."""
    with space_guard(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{folder}: another leaf process is computing this; wait for it, or stop it"
            ) from None
        for leftover in folder.glob(".*.tmp"):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        yield
