"""Compares in other processes, each under our own limits of time and memory.

Hostile or unlucky LaTeX (`9^{9^{9^9}}`, ten thousand nested braces) may run for ever, fill the
memory or crash the interpreter. It does so in a process that is killed and replaced; the answer
counts as not gradable and everything else goes on.

The process is an interpreter of its own (`leaf.grade.comparer`), which never imports the user's
script: grading works in a notebook and without a `__main__` guard.
"""

import socket
import subprocess
import sys
from multiprocessing.connection import Connection

from leaf.errors import LeafError
from leaf.grade.judgement import NOT_COMPARED, Comparison, Judgement, ungradable
from leaf.grade.stations import Station, StationPool

_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:]; from leaf.grade.comparer import main; "
    "main(float(sys.argv[1]))"
)
"""Imports what we would import, in the same order."""

_START = 300.0
"""Seconds that a process may take to start and to import, on a busy machine."""


class ComparisonPool(StationPool[Comparison]):
    """Runs comparisons; no process exists before the first one is needed."""

    def __init__(self, *, time_limit: float, workers: int) -> None:
        """Set the limits: `time_limit` in seconds a comparison, without start and imports."""
        super().__init__(workers)
        self._time_limit = time_limit

    def _open(self) -> None:
        pass

    def _station(self) -> Station[Comparison]:
        return _Comparer(self._time_limit)


class _Comparer:
    """One thread's process, started when there is something to compare."""

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._stopped = False

    def judge(self, comparison: Comparison) -> Judgement:
        try:
            line = self._line or self._start()
            line.send(comparison)
            if line.poll(self._time_limit):
                judgement: Judgement = line.recv()
                return judgement
            reason = f"{NOT_COMPARED} took longer than {self._time_limit:g} s"
        except (EOFError, OSError):
            reason = f"{NOT_COMPARED} killed its process (exit {self._ended()})"
        self.close()
        if self._stopped:
            raise LeafError("the processes that compare answers were ended while one worked")
        return ungradable(reason, comparison.answer if comparison.whole else None)

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> Connection:
        near, far = socket.socketpair()
        with near, far:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", _BOOT, str(self._time_limit), *sys.path],
                stdin=far.fileno(),
            )
            self._line = Connection(near.detach())
        if self._stopped:
            self._process.kill()
        try:
            said = self._line.recv() if self._line.poll(_START) else f"it took over {_START:g} s"
        except (EOFError, OSError):
            said = f"it ended (exit {self._ended()})"
        if said != "ready":
            self.close()
            raise LeafError(f"a process that compares answers cannot be started: {said}")
        return self._line

    def _ended(self) -> int | None:
        """Return the exit status of a process that closed its end; below 0 it was a signal."""
        return self._process.wait() if self._process is not None else None
