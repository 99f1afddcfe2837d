"""Runs a program that reads standard input: as `python solution.py`, in a process of its own."""

import os
import selectors
import signal
import sys
import time

_FOLDER = "/std"
"""Where standard input lies and the other two streams pass; /dev/stdin and its like lead here."""

_SOLUTION = "/tmp/solution.py"  # noqa: S108  (the sandbox's own)

_PRINTED = 8 * 2**20
"""Bytes of standard output that are kept; a program that prints more is ended."""

_ERRORS = 2000
"""Bytes kept from the end of standard error."""

_AFTER = 0.5
"""Seconds in which processes that a program leaves behind may still print."""

TOO_MUCH = -1000
"""The status of a program that printed more than is kept."""


def run(source: str, given: str) -> tuple[int, str, str]:
    """Return the exit status (below 0: the signal), the output and the end of the errors."""
    with open(_SOLUTION, "wb") as file:  # noqa: PTH123  (it must import little)
        file.write(source.encode("utf-8", "surrogatepass"))
    with open(f"{_FOLDER}/in", "wb") as file:  # noqa: PTH123
        file.write(given.encode("utf-8", "surrogatepass"))
    # Pipes with names, so that a program may open /dev/stdout as it could elsewhere.
    ends = [end for name in ("out", "err") for end in _pipe(f"{_FOLDER}/{name}")]
    stdin = os.open(f"{_FOLDER}/in", os.O_RDONLY | os.O_CLOEXEC)
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-s", _SOLUTION],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, old, new) for new, old in enumerate((stdin, ends[1], ends[3]))
        ],
    )
    for end in (stdin, ends[1], ends[3]):
        os.close(end)
    status, printed, errors = _watch(child, ends[0], ends[2])
    # Whatever it left behind; this process and the sandbox's first one are spared.
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ChildProcessError, ProcessLookupError):
        pass
    os.close(ends[0])
    os.close(ends[2])
    return status, printed.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


def _pipe(path: str) -> tuple[int, int]:
    """Return both ends of a new pipe with a name, first the one to read from."""
    if os.path.lexists(path):
        os.unlink(path)  # noqa: PTH108
    os.mkfifo(path, 0o600)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return read, os.open(path, os.O_WRONLY | os.O_CLOEXEC)


def _watch(child: int, stdout: int, stderr: int) -> tuple[int, bytes, bytes]:
    """Read both streams to their end, and await the exit of the program.

    What outlives it and holds a stream open is heard a moment longer.
    """
    printed, errors = bytearray(), bytearray()
    status: int | None = None
    until = 0.0
    with selectors.DefaultSelector() as selector:
        for stream in (stdout, stderr):
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and (status is None or time.monotonic() < until):
            for key, _events in selector.select(0.01):
                part = os.read(key.fd, 2**16)
                if not part:
                    selector.unregister(key.fd)
                elif key.fd == stdout:
                    printed += part
                else:
                    errors = (errors + part)[-_ERRORS:]
            if len(printed) > _PRINTED:
                return TOO_MUCH, b"", bytes(errors)
            if status is None:
                done, ended = os.waitpid(child, os.WNOHANG)
                if done:
                    status, until = ended, time.monotonic() + _AFTER
    if status is None:
        status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), bytes(printed), bytes(errors)
