"""Judges side by side: threads, each with processes of its own that can be ended at any time."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from leaf.grade.judgement import Judgement

J = TypeVar("J")
J_contra = TypeVar("J_contra", contravariant=True)


class Station(Protocol[J_contra]):
    """What one thread judges with."""

    def judge(self, job: J_contra) -> Judgement:
        """Judge one job, starting what is needed for it."""
        ...

    def stop(self) -> None:
        """End its processes, from any thread; what waits for them goes on with an error."""
        ...

    def close(self) -> None:
        """Give back what it holds, after its thread ended."""
        ...


class StationPool(ABC, Generic[J]):
    """Judges jobs side by side; nothing is started before the first one."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._stations: list[Station[J]] = []

    @abstractmethod
    def _open(self) -> None:
        """Prepare what all stations share; called before the first one is made."""

    @abstractmethod
    def _station(self) -> Station[J]:
        """Make the station of one thread."""

    def run(self, jobs: Sequence[J]) -> list[Judgement]:
        """Judge each job; the order is kept.

        Raises:
            LeafError: a process cannot be started.
        """
        if not jobs:
            return []
        if self._threads is None:
            self._open()
            self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="grade")
        futures = [self._threads.submit(self._judge, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """End the processes; a later run starts them again."""
        for station in tuple(self._stations):
            station.stop()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
        for station in self._stations:
            station.close()
        self._stations.clear()
        self._local = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _judge(self, job: J) -> Judgement:
        station: Station[J] | None = getattr(self._local, "station", None)
        if station is None:
            station = self._local.station = self._station()
            self._stations.append(station)
        return station.judge(job)
