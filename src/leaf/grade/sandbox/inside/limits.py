"""The limits of every process inside, set before any code of others runs."""

import resource
import signal

INTERPRETER = 256 * 2**20
"""Bytes of address space for the interpreter and its libraries, besides a program's own."""

FILE = 64 * 2**20
"""Bytes of the longest file, and of all files of a sandbox together."""

INODES = 20_000
"""Files and folders of each file system of a sandbox."""

_PROCESSES = 64
"""Processes and threads of one sandbox."""

_FILES = 64
"""Open files of one process."""


def confine(*, memory: int, seconds: int | None) -> None:
    """Limit this process and all that it starts; nothing can raise the limits again.

    Args:
        memory: Bytes that a program may take.
        seconds: Processor time of one process; None for a server that outlives programs.
    """
    limits = {
        resource.RLIMIT_AS: memory + INTERPRETER,
        resource.RLIMIT_NPROC: _PROCESSES,
        resource.RLIMIT_NOFILE: _FILES,
        resource.RLIMIT_FSIZE: FILE,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 128,
    }
    if seconds is not None:
        limits[resource.RLIMIT_CPU] = seconds
    for kind, limit in limits.items():
        _soft, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)  # noqa: PLW2901  (one line says it best)
        resource.setrlimit(kind, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
