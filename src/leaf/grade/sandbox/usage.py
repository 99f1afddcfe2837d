"""What the processes of a sandbox hold of this machine, looked at from outside."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

_ANONYMOUS = "/dev/zero"
"""How the kernel names memory that processes share without a file."""


def processes(first: int) -> list[int]:
    """Return the ids of all processes below the first one of a sandbox."""
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():  # an option of the kernel
        try:
            return [one.pid for one in psutil.Process(first).children(recursive=True)]
        except psutil.Error:
            return []
    found = [first]
    for pid in found:  # it grows meanwhile
        try:
            for task in os.scandir(f"/proc/{pid}/task"):
                found += map(int, Path(task.path, "children").read_text().split())
        except OSError:  # it has ended
            continue
    return found[1:]


def memory(pids: Iterable[int]) -> int:
    """Return the bytes that processes hold together, memory that they share included.

    A page that several of them map counts once. What they share without a file counts as large as
    it was asked for: pages stay when the process that wrote them has ended, and whoever only keeps
    the mapping shows none of them.
    """
    held = 0
    shared: dict[str, int] = {}
    for pid in pids:
        try:
            with Path(f"/proc/{pid}/smaps").open(encoding="utf-8", errors="replace") as lines:
                held += _of_mappings(lines, shared)
        except PermissionError:
            held += _of_status(pid)
        except OSError:  # it has ended
            continue
    return held + sum(shared.values())


def files(pids: Iterable[int], folder: str) -> int:
    """Return how many files a folder holds that is a file system of the sandbox's own."""
    for pid in pids:
        try:
            system = os.statvfs(f"/proc/{pid}/root{folder}")
        except OSError:
            continue
        return system.f_files - system.f_ffree
    return 0


def _of_mappings(lines: Iterable[str], shared: dict[str, int]) -> int:
    """Return the bytes of one process, and note what it shares under the number of its object."""
    held = 0
    number: str | None = None
    sizes: dict[str, int] = {}
    for line in lines:
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            words = rest.split()
            own = len(words) > 4 and "s" in words[0] and words[4].startswith(_ANONYMOUS)
            number = words[3] if own else None
        elif number is not None and name == "Size:":
            sizes[number] = sizes.get(number, 0) + _bytes(rest)
        elif number is None and name == "Pss:":
            held += _bytes(rest)
    for one, size in sizes.items():
        shared[one] = max(size, shared.get(one, 0))
    return held


def _of_status(pid: int) -> int:
    """Return the bytes of one process where its mappings may not be read."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    counted = (line.partition(":") for line in lines)
    return sum(_bytes(rest) for name, _, rest in counted if name in {"RssAnon", "RssShmem"})


def _bytes(text: str) -> int:
    """Return what a line of the kernel says in `12 kB`."""
    return int(text.split(maxsplit=1)[0]) * 1024
