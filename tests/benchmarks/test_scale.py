"""What the scale benchmark sends through pruning, and what it counts."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.scale import (
    SHARD,
    Passed,
    Recorded,
    copied,
    figures,
    peak_rss_bytes,
    prune_shard,
    send,
    shards,
)
from leaf.records import Attribution, Counterfactual, Problem
from leaf.store.store import stream_records

QUESTION = "Ben has 3 red pens, and no hats. How many?"


def recorded(number: int) -> Recorded:
    words = QUESTION.split(" ")
    starts = [QUESTION.index(word) for word in words]
    scores = tuple(float((at * 7 + number) % 11) for at in range(len(words)))
    return Recorded(
        problem=Problem(id=f"p{number}", question=QUESTION, answer="3", solution="3"),
        attribution=Attribution(
            problem_id=f"p{number}",
            reference="3",
            starts=tuple(starts),
            ends=tuple(start + len(word) for start, word in zip(starts, words, strict=True)),
            teacher=scores,
            student=scores[::-1],
            teacher_loss=0.5,
            student_loss=1.0,
        ),
    )


BASE = [recorded(number) for number in range(3)]


def test_copies_are_the_recorded_ones_under_ids_of_their_own() -> None:
    found = [copied(BASE, number) for number in range(10)]
    assert len({item.problem.id for item in found}) == 10
    for number, item in enumerate(found):
        assert item.problem.id == item.attribution.problem_id
        origin = BASE[number % 3]
        back = dataclasses.replace(item.attribution, problem_id=origin.problem.id)
        assert back == origin.attribution


@pytest.mark.parametrize("count", [1, SHARD, SHARD + 1])
def test_streamed_shards_give_what_a_list_at_once_gives(count: int, tmp_path: Path) -> None:
    passed = send(BASE, count, tmp_path)
    at_once = prune_shard([copied(BASE, number) for number in range(count)])
    (folder,) = (tmp_path / "counterfactuals").iterdir()
    assert list(stream_records(folder, Counterfactual)) == at_once
    assert (passed.rows, passed.counterfactuals) == (count, len(at_once))
    assert len(list(folder.glob("part-*.parquet"))) == -(-count // SHARD)


def test_shards_hold_every_item_once_in_order() -> None:
    found = list(shards(range(2 * SHARD + 3)))
    assert [len(part) for part in found] == [SHARD, SHARD, 3]
    assert [item for part in found for item in part] == list(range(2 * SHARD + 3))


def test_figures_name_every_size_and_compare_the_rates() -> None:
    sizes = [
        Passed(rows=10, counterfactuals=20, seconds=4.0, cpu_seconds=1.0, peak_rss_bytes=7),
        Passed(rows=100, counterfactuals=200, seconds=50.0, cpu_seconds=12.5, peak_rss_bytes=8),
    ]
    found = figures(sizes)
    # 10 in 4 s, 100 in 50 s; of processor time 10 and 8 a second.
    assert (found["rows_per_second.10"], found["rows_per_second.100"]) == (2.5, 2.0)
    assert (found["peak_rss_bytes.10"], found["peak_rss_bytes.100"]) == (7, 8)
    assert found["slowest_to_fastest"] == 0.8


def test_peak_memory_sees_what_was_held_and_let_go() -> None:
    before = peak_rss_bytes()
    held = bytearray(b"x" * (before + 2**25))
    del held
    assert peak_rss_bytes() >= before + 2**25
