"""Nothing of a result is read unchecked: bytes, stage and key are those that were written."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from leaf.errors import StoreError
from leaf.records import Drop
from leaf.store.disk import locked
from leaf.store.seal import check_files, hashes, seal, unsealed
from leaf.store.store import Store
from tests.works import Given

ITEMS = range(8)


def compute(store: Path, key: str, *, says: str = "r", kind: str = "stage") -> list[Drop]:
    """Compute a result of four shards; each item gives one record."""

    def work(part: Sequence[int]) -> list[Drop]:
        return [Drop(stage="s", problem_id=str(item), reason=says) for item in part]

    given = Given(kind=kind, named=key, worker=lambda tick: contextlib.nullcontext(work))
    return Store(store).compute(given, ITEMS, shard_size=2)[0]


def refusal(store: Path, key: str, *, kind: str = "stage") -> str:
    with pytest.raises(StoreError) as caught:
        compute(store, key, kind=kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("finished", [True, False])
def test_a_flipped_bit_of_a_shard_is_named(tmp_path: Path, finished: bool, share: float) -> None:
    compute(tmp_path, "aa")
    if not finished:
        (tmp_path / "stage" / "aa" / "done.json").unlink()
    shard = tmp_path / "stage" / "aa" / "part-00002.parquet"
    flip(shard, int(share * shard.stat().st_size))
    assert refusal(tmp_path, "aa").startswith(f"{shard}: damaged or missing; delete the folder ")


def test_no_flipped_bit_of_done_json_is_overlooked(tmp_path: Path) -> None:
    compute(tmp_path, "aa")
    done = tmp_path / "stage" / "aa" / "done.json"
    whole = done.read_bytes()
    overlooked = []
    for at in range(len(whole)):
        flip(done, at, at % 8)
        try:
            unsealed(done.parent)
        except StoreError:
            pass
        else:
            overlooked.append(whole[at : at + 1])
        done.write_bytes(whole)
    # White space of the layout says nothing.
    assert not b"".join(overlooked).strip()


@pytest.mark.parametrize("finished", [True, False])
def test_two_results_whose_folders_are_swapped_are_refused(tmp_path: Path, finished: bool) -> None:
    for key in ("aa", "bb"):
        compute(tmp_path, key, says=key)
        if not finished:
            (tmp_path / "stage" / key / "done.json").unlink()
            (tmp_path / "stage" / key / "part-00003.parquet").unlink()
    stage = tmp_path / "stage"
    (stage / "aa").rename(stage / "x")
    (stage / "bb").rename(stage / "aa")
    (stage / "x").rename(stage / "bb")
    assert "of another result" in refusal(tmp_path, "aa")
    assert "of another result" in refusal(tmp_path, "bb")


def test_a_result_under_another_stage_is_refused(tmp_path: Path) -> None:
    compute(tmp_path, "aa", kind="scores")
    shutil.move(tmp_path / "scores", tmp_path / "answers")
    assert "of another result (scores/aa)" in refusal(tmp_path, "aa", kind="answers")


@pytest.mark.parametrize("name", ["part-00001.parquet", "part-00003.parquet"])
def test_an_unfinished_result_takes_no_shard_of_another_one(tmp_path: Path, name: str) -> None:
    """In the place of its own, or of one that is not there yet."""
    compute(tmp_path, "aa", says="ours")
    compute(tmp_path, "bb", says="theirs")
    (tmp_path / "stage" / "aa" / "done.json").unlink()
    (tmp_path / "stage" / "aa" / "part-00003.parquet").unlink()
    foreign = tmp_path / "stage" / "aa" / name
    shutil.copy(tmp_path / "stage" / "bb" / name, foreign)
    assert refusal(tmp_path, "aa").startswith(f"{foreign}: damaged or missing")
    foreign.unlink()
    assert {record.reason for record in compute(tmp_path, "aa")} <= {"ours", "r"}


def test_a_shard_that_was_never_written_here_is_refused(tmp_path: Path) -> None:
    compute(tmp_path, "bb", says="theirs")
    killed = (
        "import contextlib, os, signal, sys\n"
        "from pathlib import Path\n"
        "from leaf.records import Drop\n"
        "from leaf.store.store import Store\n"
        "from tests.works import Given\n"
        "def work(part):\n"
        "    if 4 in part: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return [Drop(stage='s', problem_id=str(n), reason='ours') for n in part]\n"
        "given = Given(named='aa', worker=lambda tick: contextlib.nullcontext(work))\n"
        "Store(sys.argv[1]).compute(given, range(8), shard_size=2)\n"
    )
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    foreign = tmp_path / "stage" / "aa" / "part-00003.parquet"
    shutil.copy(tmp_path / "stage" / "bb" / foreign.name, foreign)
    assert refusal(tmp_path, "aa").startswith(f"{foreign}: of another result")


def test_an_unfinished_result_of_an_earlier_version_resumes(tmp_path: Path) -> None:
    """It has no list of what was written, and its done.json no seal."""
    compute(tmp_path, "aa", says="old")
    folder = tmp_path / "stage" / "aa"
    (folder / ".shards.jsonl").unlink()
    done = folder / "done.json"
    content = json.loads(done.read_text())
    del content["seal"]
    done.write_text(json.dumps(content))
    assert {record.reason for record in compute(tmp_path, "aa", says="new")} == {"old"}
    done.unlink()
    (folder / "part-00003.parquet").unlink()
    reasons = [record.reason for record in compute(tmp_path, "aa", says="new")]
    assert reasons == ["old"] * 6 + ["new"] * 2


def test_every_file_that_a_result_lists_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "students" / "aa"
    weights = folder / "model" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(1000))
    (folder / "metrics.jsonl").write_text('{"loss": 1.0}\n')
    seal(folder, {"steps": 3, "files": hashes(folder, [weights, folder / "metrics.jsonl"])})
    assert check_files(folder)["steps"] == 3
    flip(weights, 777)
    with pytest.raises(StoreError) as caught:
        check_files(folder)
    way_out = f"delete the folder {folder} and run the same command to compute it again"
    assert str(caught.value) == f"{weights}: damaged or missing; {way_out}"
    weights.unlink()
    with pytest.raises(StoreError, match="damaged or missing"):
        check_files(folder)


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "run", "is at it"):
        with pytest.raises(StoreError) as caught, locked(tmp_path / "run", "is at it"):
            pass
        assert str(caught.value) == f"{tmp_path / 'run'}: another leaf process is at it"
    with locked(tmp_path / "run", "is at it"):
        pass
