"""Compares in other processes, each under our own limits of time and memory.

Hostile or unlucky LaTeX (`9^{9^{9^9}}`, ten thousand nested braces) may run for ever, fill the
memory or crash the interpreter. It does so in a worker that is killed and replaced; the answer
counts as not gradable and everything else goes on.
"""

import math
import multiprocessing
import resource
import signal
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self

import psutil
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from leaf.errors import LeafError
from leaf.grade.judgement import Comparison, Judgement, ungradable
from leaf.grade.symbolic import compare, warm_up

_MEMORY = 2 * 1024**3
"""Bytes of address space that a comparison may take beyond what its imports hold."""

_STARTS = 3
"""How often the processes are started anew for what is left when all of them died at once."""


class ComparisonPool:
    """Runs comparisons; no process exists before the first one is needed."""

    def __init__(self, *, time_limit: float, workers: int) -> None:
        """Set the limits: `time_limit` in seconds a comparison, without start and imports."""
        self._time_limit = time_limit
        self._workers = workers
        self._pool: ProcessPool | None = None

    def compare(self, comparisons: Sequence[Comparison]) -> list[Judgement]:
        """Compare each pair; the order is kept.

        Raises:
            LeafError: the processes cannot be started at all.
        """
        done: dict[int, Judgement] = {}
        for _start in range(_STARTS):
            done |= self._compare_left(comparisons, done)
            if len(done) == len(comparisons):
                return [done[index] for index in range(len(comparisons))]
            self.close()
        raise LeafError(
            f"the processes that compare answers died {_STARTS} times at their start; a script "
            'that grades must keep its main code under `if __name__ == "__main__":`'
        )

    def close(self) -> None:
        """End the processes; a later comparison starts them again."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _compare_left(
        self, comparisons: Sequence[Comparison], done: dict[int, Judgement]
    ) -> dict[int, Judgement]:
        """Compare what is not done; what a broken pool did not finish is missing in the result."""
        left = [index for index in range(len(comparisons)) if index not in done]
        finished: dict[int, Judgement] = {}
        if not left:
            return finished
        try:
            pool = self._started()
            futures = {
                index: pool.schedule(
                    _compare_limited,
                    args=(comparisons[index], self._time_limit),
                    timeout=self._time_limit,
                )
                for index in left
            }
            for index, future in futures.items():
                finished[index] = self._judgement(pool, future, comparisons[index])
        except RuntimeError:  # broken: BrokenProcessPool from a future, or `schedule` refused
            pass
        return finished

    def _started(self) -> ProcessPool:
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=self._workers,
                initializer=prepare_worker,
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool

    def _judgement(
        self, pool: ProcessPool, future: ProcessFuture[Judgement], comparison: Comparison
    ) -> Judgement:
        # A pool that breaks forgets what its workers had not fetched: never wait for that.
        while not wait([future], timeout=1.0).done:
            if not pool.active:
                raise BrokenProcessPool
        try:
            return future.result()
        except BrokenProcessPool:
            raise
        except FutureTimeoutError:
            reason = f"symbolic comparison took longer than {self._time_limit:g} s"
        except ProcessExpired as death:
            reason = f"symbolic comparison killed its process (exit {death.exitcode})"
        except MemoryError:
            reason = f"symbolic comparison needs more than {_MEMORY // 1024**3} GiB"
        except Exception as error:  # any fault of a parser on a model's text, named in the record
            reason = f"symbolic comparison failed: {type(error).__name__}: {error!s:.80}"
        return ungradable(reason, comparison.answer if comparison.whole else None)


def _compare_limited(comparison: Comparison, time_limit: float) -> Judgement:
    # The pool keeps the time. The alarm ends a worker whose pool was killed, even inside C code.
    signal.alarm(math.ceil(time_limit) + 10)
    try:
        return compare(comparison)
    finally:
        signal.alarm(0)


def prepare_worker() -> None:
    """Make a worker ready: quick to kill, warm, and limited in memory from here on."""
    # Die at once when asked: Python's own handler would wait for a long integer power to end.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warm_up()
    limit = psutil.Process().memory_info().vms + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
