"""Shards on Ray Data actors: more processes, GPUs or machines for the same result.

Each actor opens a stage's worker once and turns whole shards into records. The records travel back
and only the process that holds the stage's lock writes them: machines that Ray joins need not see
the store, a shard is there whole or not at all as everywhere, and one that a lost actor had in work
is simply worked on again.
"""

import logging
import math
import os
import pickle
import socket
import sys
import time
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from leaf.errors import LeafError, UsageError
from leaf.progress import Ticker, console, say
from leaf.recipe import RaySection
from leaf.store.runner import OpenWorker, Worker

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
R = TypeVar("R")

RESTARTS = 3
"""How often a lost actor is started again, and a shard that it had in work is tried again."""

EXPECTED = (LeafError, OSError)
"""What a worker may raise that people are told in one line."""

_LOSS_KNOWN = 20.0
"""Seconds in which Ray finds out that a machine is gone."""

_OBJECT_STORE = 256 * 2**20
"""Bytes of the store through which items and records pass, of a Ray that is started here."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
}
"""Settings of Ray, unless they are set: report to nobody, no internals on the terminal."""


class RayRunner:
    """Works on a Ray cluster: that of `RAY_ADDRESS`, else one that is started on this machine.

    A Ray that this process is connected to already is used and left as it is.
    """

    def __init__(self, section: RaySection) -> None:
        """Note the settings; Ray starts with the first shard.

        Raises:
            UsageError: Ray is not installed.
        """
        missing = missing_ray()
        if missing:
            raise UsageError(missing)
        self._section = section
        self._started = False

    def run(
        self,
        open_worker: OpenWorker[T, R],
        shards: Iterable[tuple[int, Sequence[T]]],
        tick: Ticker,
    ) -> Generator[tuple[int, list[R]], None, None]:
        """Yield each shard's number and records as an actor finishes it; see `Runner`.

        Raises:
            LeafError: of a worker; or Ray cannot be reached, has no room, or loses its actors.
        """
        rows, sizes = {}, {}
        for at, shard in shards:
            rows[at] = {"at": at, "items": pickle.dumps(list(shard))}
            sizes[at] = len(shard)
        self.connect()
        from ray.exceptions import RayActorError

        while rows:
            nodes = _alive()
            try:
                with closing(self._found(open_worker, list(rows.values()))) as found:
                    for row in found:
                        result = pickle.loads(row["found"])  # noqa: S301 - from our own actors
                        if isinstance(result, EXPECTED):
                            raise result
                        for line in row["said"].splitlines():
                            say(f"worker {row['worker']}: {line}")
                        yield row["at"], result
                        tick(sizes[row["at"]])
                        del rows[row["at"]]
            except RayActorError as error:
                _go_on_or_raise(nodes, error)

    def close(self) -> None:
        """Stop the Ray that this runner started, so that training has the memory."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def connect(self) -> None:
        """Start Ray or connect to it, unless this process is connected; `run` does it by itself.

        Raises:
            LeafError: Ray cannot be reached or started.
        """
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import ray

        if ray.is_initialized():
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        address = os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = {"address": address}
        if not address:
            options = {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE,
                "num_cpus": self._section.workers * _threads() + 1,
            }
        host, _, port = (address or "").rpartition("//")[2].rpartition(":")
        try:
            if port.isdigit():
                # Ray itself would wait for minutes.
                socket.create_connection((host, int(port)), timeout=10).close()
            with _stderr_closed():
                ray.init(**options, logging_level="error", log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            where = f"at RAY_ADDRESS={address}" if address else "on this machine"
            raise LeafError(
                f"runner: ray: no Ray {where} ({reason}); set RAY_ADDRESS to a cluster's address, "
                "leave it unset to start Ray here, or use runner: local"
            ) from error
        self._started = True

    def _found(
        self, open_worker: OpenWorker[Any, Any], rows: Sequence[dict[str, Any]]
    ) -> Generator[dict[str, Any], None, None]:
        """Yield a row with the records, or the error, of each shard."""
        import ray.data

        cpus, gpus = self._share()
        workers = min(self._section.workers, self._room(cpus, gpus))
        # A shard that waits behind another one would wait while a second worker is idle.
        pool = ray.data.ActorPoolStrategy(
            size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1
        )
        with warnings.catch_warnings():
            # There is no other way yet to say how often; without, a shard that kills its worker
            # would be tried for ever.
            warnings.filterwarnings("ignore", message=".*ray_remote_args")
            dataset = ray.data.from_items(list(rows), override_num_blocks=len(rows)).map_batches(
                Shards,
                fn_constructor_args=(open_worker, _threads()),
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=cpus,
                num_gpus=gpus,
                compute=pool,
                max_restarts=RESTARTS,
                max_task_retries=RESTARTS,
            )
        dataset.context.enable_progress_bars = False
        yield from dataset.iter_rows()

    def _share(self) -> tuple[int, float]:
        """Return the CPUs and GPUs that Ray sets aside for one worker."""
        import ray

        gpus = self._section.gpus
        if gpus is None:
            gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0))
        return (1 if gpus else _threads()), gpus

    def _room(self, cpus: int, gpus: float) -> int:
        """Return how many workers fit on the nodes of Ray; say so where not all do."""
        import ray

        room = 0
        for node in ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                fit = has.get("CPU", 0.0) / cpus
                fit = min(fit, has.get("GPU", 0.0) / gpus) if gpus else fit
                room += math.floor(fit + 1e-6)
        need = f"{cpus} CPUs and {gpus:g} GPUs"
        if not room:
            raise LeafError(
                f"runner: ray: no machine of Ray has the {need} that a worker needs; set ray.gpus, "
                "or OMP_NUM_THREADS, which is the CPUs of a worker without a GPU"
            )
        if room < self._section.workers:
            say(f"Ray has room for {room} of {self._section.workers} workers ({need} each)")
        return room


class Shards:
    """One actor: opens a stage's worker with its first shard and keeps it."""

    def __init__(self, open_worker: OpenWorker[Any, Any], threads: int) -> None:
        import torch

        # Ray sets threads by CPUs; a sum in another order can have other last bits.
        torch.set_num_threads(threads)
        self._open_worker = open_worker
        self._stack = ExitStack()
        self._work: Worker[Any, Any] | None = None

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        """Return the number of one shard with its pickled records, or error."""
        import pyarrow as pa

        items = pickle.loads(batch["items"][0].as_py())  # noqa: S301 - from our own process
        with console.capture() as said:
            try:
                if self._work is None:
                    self._work = self._stack.enter_context(self._open_worker(_no_tick))
                found: Any = self._work(items)
            except EXPECTED as error:
                # As a value: what an actor raises arrives wrapped, or starts it again.
                found = error
        result = {"found": [pickle.dumps(found)], "said": [said.get()], "worker": [os.getpid()]}
        return pa.table({"at": batch["at"], **result})


def missing_ray() -> str | None:
    """Return the line that says that Ray is not installed and how to install it, else None."""
    if all(map(find_spec, ("ray", "pyarrow"))):
        return None
    return 'runner: ray needs Ray, which is not installed: pip install "leaf-distill[ray]"'


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Keep what a C++ library says of itself off the terminal: no setting of Ray's does."""
    sys.stderr.flush()
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _alive() -> set[str]:
    """Return the machines that Ray has now."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _go_on_or_raise(nodes: set[str], error: Exception) -> None:
    """Go on if it was a machine that was lost, once Ray knows; else tell it in one line."""
    from ray.exceptions import ActorUnavailableError

    until = time.monotonic()
    if isinstance(error, ActorUnavailableError):  # nobody has said yet that it died
        until += _LOSS_KNOWN
    while True:
        if lost := len(nodes - _alive()):
            what = "a machine" if lost == 1 else f"{lost} machines"
            say(f"Ray lost {what}; what was in work there is worked on again")
            return
        if time.monotonic() > until:
            break
        time.sleep(0.5)
    reason = str(error).strip().splitlines()[0]
    raise LeafError(
        f"runner: ray: a worker died {RESTARTS + 1} times ({reason}); if memory ran out, lower "
        "ray.workers; what was finished is kept: run the same command again"
    ) from error


def _threads() -> int:
    """Return the threads that PyTorch computes with here, and so in every worker."""
    import torch

    return torch.get_num_threads()


def _no_tick(done: int = 1) -> None:
    """Stand for a progress bar where there is none."""
