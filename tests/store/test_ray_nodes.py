"""Ray on more than one machine: two nodes here, one lost in the middle of a stage."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from leaf.recipe import RaySection
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

    def lose() -> None:
        while not any(path.name.startswith(lost.node_id) for path in marks.iterdir()):
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)

    losing = threading.Thread(target=lose, daemon=True)
    losing.start()
    there = compute(
        tmp_path / "there", lambda tick: nullcontext(work), RayRunner(RaySection(workers=2))
    )
    losing.join(timeout=1)
    assert not losing.is_alive(), "both nodes were at work"
    worked = {path.name.split()[0] for path in marks.iterdir()}
    assert worked == {node.node_id for node in both}

    alone = compute(tmp_path / "here", lambda tick: nullcontext(drops), LOCAL)
    assert contents(there) == contents(alone)
    assert os.environ["RAY_ADDRESS"]
