"""What `benchmarks.overhead` counts, held against the store's own answers."""

import json
from pathlib import Path

import pytest

from benchmarks import overhead
from leaf.errors import UsageError

SMALL = ["data.world.size=60", "distill.max_steps=2", "prune.inject.looked_at=8"]


def test_the_teachers_tokens_are_held_against_every_problem_and_transplant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overhead.main(pairs="demo", set_=SMALL, store=tmp_path, json_=True)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert found["demo.problems"] == 60
    # A student that solves most problems spares the teacher most answers.
    assert 0 < found["demo.teacher_tokens_ratio_to_all"] < 0.7
    every = found["demo.teacher_tokens"] / found["demo.teacher_tokens_ratio_to_all"]
    assert every == pytest.approx(round(every))
    # Both trainings and stage 1 are part of the whole; nothing but them is.
    whole = found["demo.stage_1_seconds"] + found["demo.leaf_seconds"]
    ratio = whole / found["demo.kd_seconds"]
    assert found["demo.whole_ratio_to_kd"] == pytest.approx(ratio, rel=0.05)


def test_an_unknown_pair_is_one_line() -> None:
    with pytest.raises(UsageError, match="`gpt` is none of demo, qwen"):
        overhead.main(pairs="gpt")
