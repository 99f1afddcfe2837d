"""Files that appear whole or not at all, locks that go with their process, full disks."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

from leaf.errors import StoreError
from leaf.progress import say

BUSY = "is writing into this folder; wait for it, or name another --out"
"""What holds the folder of a run, an evaluation or a study."""

_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system says that cannot lock files, or flush them."""


def to_disk(file: IO[Any]) -> None:
    """Bring a file's bytes to the disk; a file system without that writes them when it likes."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside, flush it to the disk and rename it into place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with space_guard(path):
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                to_disk(file)
            aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; raises `OSError` where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder where it is not there; what is empty in the end, as after a fault, goes again.

    Raises:
        StoreError: no space is left.
    """
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    with space_guard(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        # A folder that holds something stays, and so do those above it.
        with contextlib.suppress(OSError):
            for one in new:
                one.rmdir()


@contextlib.contextmanager
def locked(folder: Path, busy: str, *, tidy: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold a folder against other processes, and make it where it is not there (see `made`).

    The lock goes with the process. A file system without locks holds nobody off.

    Args:
        folder: What is held.
        busy: What another process is doing that holds it, and what to do, for the message.
        tidy: Whether the lock's file goes in the end, from a folder that people look into, and what
            a killed process left half-written there goes at once.
        wait: Whether another process that holds it is waited for.

    Raises:
        StoreError: another process holds it and is not waited for, or no space is left.
    """
    path = folder / ".lock"
    while True:
        with made(folder):
            try:
                with space_guard(folder):
                    lock = path.open("w")
            except FileNotFoundError:
                if folder.is_dir():
                    raise
                continue  # who held it has just taken the empty folder away
            with lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not wait:
                        raise StoreError(f"{folder}: another leaf process {busy}") from None
                    say(f"waiting for another leaf process, which {busy}")
                    fcntl.flock(lock, fcntl.LOCK_EX)
                except OSError as error:
                    if error.errno not in _UNKNOWN:
                        raise
                # Who held it may have taken the file away in between: that is no lock any more.
                if not path.exists() or not os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                    continue
                if tidy:
                    # Not more: such a folder may hold files of others.
                    sweep(folder, ".*.[0-9]*.tmp")
                try:
                    yield
                finally:
                    if tidy:
                        path.unlink(missing_ok=True)
                return


def sweep(folder: Path, pattern: str) -> None:
    """Remove what a killed process left half-written in a folder that is held."""
    for leftover in folder.glob(pattern):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
