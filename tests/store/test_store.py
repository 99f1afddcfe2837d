"""Stage results survive kills, full disks and damage; their keys name what decides them."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from leaf.errors import StoreError
from leaf.progress import Ticker
from leaf.records import Drop
from leaf.store.keys import stage_key
from leaf.store.memory import forget_peak, peak_bytes
from leaf.store.parquet import from_table
from leaf.store.runner import Worker
from leaf.store.store import Store, note_cost, space_guard, spent
from tests.works import Given

KEY = "0123456789abcdef"

KILLER = """
import contextlib, os, random, signal, sys, time
from pathlib import Path
from leaf.records import Drop
from leaf.store.store import Store
from tests.works import Given

def work(part):
    time.sleep(0.005)
    return [Drop(stage="s", problem_id=f"p{item}", reason="r" * item) for item in part]

def compute(root):
    given = Given(named=sys.argv[2], worker=lambda tick: contextlib.nullcontext(work))
    Store(root).compute(given, range(160), shard_size=4)

def killed_after(seconds):
    child = os.fork()
    if child == 0:
        compute(root / "broken")
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

root, rng = Path(sys.argv[1]), random.Random(0)
kills = sum(killed_after(rng.uniform(0, 0.012)) for _ in range(25))
compute(root / "broken")
compute(root / "whole")
print(kills)
"""
"""40 shards of at least 5 ms: what lives 12 ms at most is killed before it can finish."""

LOCKER = """
import sys, time
from pathlib import Path
from leaf.store.memory import forget_peak
from leaf.store.store import Store

with Store(Path(sys.argv[1])).building("stage", sys.argv[2]):
    print("locked", flush=True)
    time.sleep(60)
"""


class Stage:
    """A stage of one `Drop` an item; notes what it computed."""

    def __init__(self, root: Path, *, reason: str = "r", shard_size: int = 2) -> None:
        self.store = Store(root)
        self.folder = self.store.folder("stage", KEY)
        self.reason = reason
        self.shard_size = shard_size
        self.opened = 0
        self.shards: list[list[int]] = []

    def compute(self, items: Sequence[int]) -> list[Drop]:
        work = Given(named=KEY, worker=self._open)
        records, self.log = self.store.compute(work, items, shard_size=self.shard_size)
        return records

    def expected(self, items: Sequence[int]) -> list[Drop]:
        return [Drop(stage="s", problem_id=f"p{item}", reason=self.reason) for item in items]

    def error(self, items: Sequence[int]) -> str:
        with pytest.raises(StoreError) as caught:
            self.compute(items)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 1
        return str(caught.value)

    @contextlib.contextmanager
    def _open(self, tick: Ticker) -> Iterator[Worker[int, Drop]]:
        self.opened += 1

        def work(part: Sequence[int]) -> list[Drop]:
            self.shards.append(list(part))
            return self.expected(part)

        yield work


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "store")


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of a result: its shards and done.json, not the notes beside them."""
    return {path.name: path.read_bytes() for path in [*folder.glob("part-*"), folder / "done.json"]}


def test_a_stage_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLER, str(tmp_path), KEY]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) >= 20
    whole = contents(tmp_path / "whole" / "stage" / KEY)
    assert len(whole) == 41  # 160 items / 4 a shard, and done.json
    assert contents(tmp_path / "broken" / "stage" / KEY) == whole
    assert not list(tmp_path.rglob("*.tmp"))


def test_records_come_back_in_the_order_of_the_items(stage: Stage) -> None:
    items = [5, 3, 9, 1, 7]
    assert stage.compute(items) == stage.expected(items)
    assert stage.shards == [[5, 3], [9, 1], [7]]
    assert (stage.log.items, stage.log.records, stage.log.computed) == (5, 5, 3)


def test_a_finished_stage_is_read_without_opening_the_worker(stage: Stage) -> None:
    stage.compute(range(5))
    again = Stage(stage.store.root)
    assert again.compute(range(5)) == stage.expected(range(5))
    assert again.opened == 0
    assert again.log.computed == 0


def test_only_missing_shards_are_computed(stage: Stage) -> None:
    stage.compute(range(6))
    whole = contents(stage.folder)
    (stage.folder / "done.json").unlink()
    (stage.folder / "part-00001.parquet").unlink()
    again = Stage(stage.store.root)
    assert again.compute(range(6)) == stage.expected(range(6))
    assert again.shards == [[2, 3]]
    assert contents(stage.folder) == whole


def test_killed_between_the_last_shard_and_its_end_nothing_is_computed_again(stage: Stage) -> None:
    stage.compute(range(6))
    whole = contents(stage.folder)
    (stage.folder / "done.json").rename(stage.folder / ".done.json.1.tmp")
    again = Stage(stage.store.root)
    again.compute(range(6))
    assert again.opened == 0
    assert contents(stage.folder) == whole
    assert not list(stage.folder.glob(".*.tmp"))


def test_a_stage_without_items_is_done_and_empty(stage: Stage) -> None:
    assert stage.compute([]) == []
    assert stage.opened == 0
    assert stage.store.is_done("stage", KEY)
    assert Stage(stage.store.root).compute([]) == []


def test_items_may_give_several_records_or_none(tmp_path: Path) -> None:
    def work(part: Sequence[int]) -> list[Drop]:
        return [Drop(stage="s", problem_id=str(n), reason="r") for n in part for _ in range(n)]

    given = Given(named=KEY, worker=lambda tick: contextlib.nullcontext(work))
    records, log = Store(tmp_path).compute(given, [0, 3, 0, 1], shard_size=1)
    assert [record.problem_id for record in records] == ["3", "3", "3", "1"]
    assert (log.items, log.records) == (4, 4)


def test_a_damaged_shard_is_named_with_the_way_out(stage: Stage) -> None:
    stage.compute(range(6))
    shard = stage.folder / "part-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    message = stage.error(range(6))
    assert message.startswith(f"{shard}: damaged or missing; delete the folder {stage.folder}")


def test_a_missing_shard_of_a_finished_stage_is_named(stage: Stage) -> None:
    stage.compute(range(6))
    (stage.folder / "part-00002.parquet").unlink()
    assert stage.error(range(6)).startswith(
        f"{stage.folder}/part-00002.parquet: damaged or missing"
    )


def test_a_shard_cut_before_the_stage_was_finished_is_named(stage: Stage) -> None:
    stage.compute(range(6))
    (stage.folder / "done.json").unlink()
    shard = stage.folder / "part-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:100])
    assert stage.error(range(6)).startswith(f"{shard}: damaged or missing")


@pytest.mark.parametrize("text", ["", '{"shards": [', "[]", '{"shards": [{}]}'])
def test_a_damaged_end_mark_is_named(stage: Stage, text: str) -> None:
    stage.compute(range(6))
    (stage.folder / "done.json").write_text(text)
    assert stage.error(range(6)).startswith(f"{stage.folder}/done.json: damaged or missing")


def test_a_stage_that_another_process_computes_is_refused(stage: Stage) -> None:
    command = [sys.executable, "-c", LOCKER, str(stage.store.root), KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            message = stage.error(range(6))
        finally:
            other.kill()
    assert message.startswith(f"{stage.folder}: another leaf process is computing this")
    assert stage.opened == 0
    # The lock goes with the process that held it.
    assert stage.compute(range(6)) == stage.expected(range(6))


def test_when_no_space_is_left_what_was_finished_is_kept(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", "256k") as disk:
        # One character a byte that compression cannot shrink: about 30 kB a shard.
        big = Stage(disk / "store", reason=os.urandom(15_000).hex(), shard_size=1)
        message = big.error(range(30))
        finished = len(list(big.folder.glob("part-*")))
        assert finished >= 1
        assert "no space left to write" in message
        assert "run the same command again" in message
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        again = Stage(disk / "store", reason=big.reason, shard_size=1)
        assert again.compute(range(30)) == big.expected(range(30))
        assert again.shards == [[item] for item in range(finished, 30)]


def test_no_shard_is_open_after_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What closes a file late keeps the disk that it lies on from being unmounted."""
    opened: set[str] = set()

    def noting(table: pa.Table, record_type: type[Drop]) -> list[Drop]:
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 (pathlib is too slow to see it)
            with contextlib.suppress(OSError):  # the listing's own is gone
                opened.add(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
        return from_table(table, record_type)

    monkeypatch.setattr("leaf.store.store.from_table", noting)
    stage = Stage(tmp_path / "store", reason=os.urandom(150_000).hex())
    for _ in range(300):
        stage.compute(range(6))
    assert opened
    assert not {path for path in opened if path.endswith(".parquet")}


def test_what_safetensors_finds_no_space_for_is_told_alike(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", "256k") as disk:
        path = disk / "weights.safetensors"
        with pytest.raises(StoreError, match=f"no space left to write {path}"), space_guard(path):
            save_file({"weight": torch.zeros(2**20)}, path)


def test_the_seconds_of_all_processes_are_added_up(tmp_path: Path) -> None:
    for seconds in (0.5, 1.25):
        note_cost(tmp_path, seconds)
    assert spent(tmp_path)["seconds"] == 1.75


def test_a_note_of_seconds_cut_by_a_kill_does_not_stop_a_run(tmp_path: Path) -> None:
    note_cost(tmp_path, 0.5)
    with (tmp_path / "times.jsonl").open("a") as file:
        file.write('{"secon\n')
    note_cost(tmp_path, 1.25)
    assert spent(tmp_path)["seconds"] == 1.75


def test_the_highest_memory_that_a_process_had_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for peak in (5, 7, None, 6):
        monkeypatch.setattr("leaf.store.store.peak_bytes", lambda peak=peak: peak)
        note_cost(tmp_path, 1.0)
    assert spent(tmp_path)["peak_bytes"] == 7


def test_a_peak_is_counted_after_it_is_gone() -> None:
    before = psutil.Process().memory_info().rss
    assert len(b"x" * 2**28) == 2**28  # 256 MiB, gone again
    peak = peak_bytes()
    assert peak is None or peak > before + 2**27


def test_a_peak_before_it_does_not_count() -> None:
    assert len(b"x" * 2**28) == 2**28  # 256 MiB, gone again
    with_it = peak_bytes()
    forget_peak()
    without = peak_bytes()
    if with_it is None or without == with_it:
        pytest.skip("this kernel counts from the start of a process")
    assert without is not None
    assert without < with_it - 2**27


KEYS: dict[str, Any] = {
    "stage": "answers",
    "version": 1,
    "settings": {"max_new_tokens": 8, "dtype": "auto"},
    "inputs": ["a", "b"],
}


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "scores"},
        {"version": 2},
        {"settings": {"max_new_tokens": 9, "dtype": "auto"}},
        {"settings": {"max_new_tokens": 8, "dtype": "auto", "system": None}},
        {"inputs": ["a"]},
        {"inputs": ["b", "a"]},
        {"inputs": ["ab"]},
    ],
    ids=json.dumps,
)
def test_whatever_decides_a_result_changes_its_key(change: dict[str, Any]) -> None:
    assert stage_key(**{**KEYS, **change}) != stage_key(**KEYS)


def test_a_key_is_the_same_tomorrow_and_for_settings_in_another_order() -> None:
    reordered = {**KEYS, "settings": {"dtype": "auto", "max_new_tokens": 8}}
    # SHA-256 of the canonical JSON, by hand:
    # printf '{"inputs":["a","b"],"settings":{"dtype":"auto","max_new_tokens":8},
    # "stage":"answers","version":1}' (one line) | sha256sum | cut -c-16
    assert stage_key(**reordered) == stage_key(**KEYS) == "a3c2da06ae979a35"


@contextlib.contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of `size`; skips where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "leaf-test", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def streamed(stage: Stage, items: Sequence[int], alive: list[int]) -> Iterator[Drop]:
    """Stream a stage; `alive` notes how many shards were asked for and not yet written."""

    def shards() -> Iterator[list[int]]:
        for at in range(0, len(items), 2):
            alive.append(at // 2 - len(list(stage.folder.glob("part-*"))))
            yield list(items[at : at + 2])

    work = Given(named=KEY, worker=stage._open)
    records, stage.log = stage.store.stream(work, KEY, shards(), total=len(items), shard_size=2)
    return records


def test_a_stream_gives_what_a_list_gives_one_shard_at_a_time(stage: Stage, tmp_path: Path) -> None:
    items, alive = [5, 3, 9, 1, 7], []
    records = streamed(stage, items, alive)
    assert alive == [0, 0, 0]
    assert next(records) == stage.expected(items)[0]
    assert list(records) == stage.expected(items)[1:]
    assert (stage.log.items, stage.log.records, stage.log.computed) == (5, 5, 3)
    other = Stage(tmp_path / "other")
    other.compute(items)
    assert contents(other.folder) == contents(stage.folder)


def test_a_stream_resumes_where_it_was_and_is_not_read_when_all_is_there(stage: Stage) -> None:
    items = [5, 3, 9, 1, 7]
    list(streamed(stage, items, []))
    (stage.folder / "done.json").unlink()
    (stage.folder / "part-00001.parquet").unlink()
    stage.shards.clear()
    assert list(streamed(stage, items, [])) == stage.expected(items)
    assert stage.shards == [[9, 1]]
    asked: list[int] = []
    assert list(streamed(stage, items, asked)) == stage.expected(items)
    assert asked == []


def test_a_streams_damaged_shard_is_named_when_it_is_reached(stage: Stage) -> None:
    records = streamed(stage, [5, 3, 9, 1], [])
    last = stage.folder / "part-00001.parquet"
    last.write_bytes(last.read_bytes()[:-1] + b"x")
    assert [next(records), next(records)] == stage.expected([5, 3])
    with pytest.raises(StoreError, match=r"part-00001\.parquet: damaged or missing"):
        next(records)
