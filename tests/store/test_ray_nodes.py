"""Ray on more than one machine: two nodes here, one lost in the middle of a stage."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from leaf.pipeline.run import run_recipe
from leaf.recipe import RaySection
from leaf.recipe.reading import load_recipe
from leaf.records import Drop
from leaf.store.ray import RayRunner
from leaf.store.runner import OpenWorker, Runner
from leaf.store.store import LOCAL, Store
from tests.works import Given, contents, drops

pytestmark = pytest.mark.long

KEY = "0123456789abcdef"

SHARDS = 8


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, list[Any]]]:
    """A head that has no room for workers, and two nodes with room for one each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    both = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster, both
    ray.shutdown()
    cluster.shutdown()
    torch.set_num_threads(threads)


@contextmanager
def losing(cluster: Any, node: Any, due: Callable[[], bool]) -> Iterator[None]:
    """Kill a node during a block, once its moment has come; which it must."""

    def lose() -> None:
        while not due():
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    yield
    thread.join(timeout=1)
    assert not thread.is_alive(), "the moment has come"


def compute(root: Path, job: OpenWorker[int, Drop], runner: Runner) -> Path:
    store = Store(root)
    work = Given(kind="s", named=KEY, worker=job)
    store.compute(work, range(SHARDS), shard_size=1, runner=runner)
    return store.folder("s", KEY)


def test_a_node_lost_while_it_answers_loses_nothing(
    nodes: tuple[Any, list[Any]], tmp_path: Path
) -> None:
    cluster, both = nodes
    marks = tmp_path / "marks"
    marks.mkdir()

    def work(part: Sequence[int]) -> list[Drop]:
        import ray

        (marks / f"{ray.get_runtime_context().get_node_id()} {part[0]}").touch()
        time.sleep(0.5)
        return drops(part)

    lost = both[1]

    def at_work() -> bool:
        return any(path.name.startswith(lost.node_id) for path in marks.iterdir())

    with losing(cluster, lost, at_work):
        there = compute(
            tmp_path / "there", lambda tick: nullcontext(work), RayRunner(RaySection(workers=2))
        )
    worked = {path.name.split()[0] for path in marks.iterdir()}
    assert worked == {node.node_id for node in both}

    alone = compute(tmp_path / "here", lambda tick: nullcontext(drops), LOCAL)
    assert contents(there) == contents(alone)
    assert os.environ["RAY_ADDRESS"]


def test_stage_1_writes_the_same_bytes_where_a_node_is_lost_while_the_student_answers(
    nodes: tuple[Any, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    cluster, both = nodes
    lost = both[1]
    (raylet,) = lost.all_processes["raylet"]

    def stage_1(name: str) -> dict[str, bytes]:
        settings = ["data.world.size=100", "store.shard_size=1", f"runner={name}"]
        # Fewer results: Ray starts its workers for each, in seconds.
        settings += ["prune.strategy=span", "attribute.controls=[]"]
        root = tmp_path / name
        run_recipe(
            load_recipe("demo", settings),
            out=root / "run",
            store=Store(root / "store"),
            until="verify",
            command="again",
        )
        return {
            "ledger": (root / "run" / "ledger.parquet").read_bytes(),
            **contents(root / "store"),
        }

    def answers() -> bool:
        """Whether the student's answers, the first results of a run, are there in part."""
        folders = [*(tmp_path / "ray" / "store" / "answers").glob("*")]
        if len(folders) != 1 or (folders[0] / "done.json").exists():
            return False
        return len([*folders[0].glob("part-*")]) > 1 and _works(raylet.process.pid)

    with losing(cluster, lost, answers):
        there = stage_1("ray")
    before, lost_one, after = capfd.readouterr().err.partition("Ray lost a machine")
    assert lost_one
    assert "student answers: 100/100" not in before
    assert "student answers: 100/100" in after
    here = stage_1("local")
    assert there == here


def _works(raylet: int) -> bool:
    """Whether a process of a Ray node is open for shards: Ray names it by what it does."""
    try:
        workers = psutil.Process(raylet).children(recursive=True)
        titles = [" ".join(one.cmdline()) for one in workers]
    except psutil.NoSuchProcess:  # one ended in between
        return False
    return any("(Shards)" in title and "__init__" not in title for title in titles)
