"""The three loops of the example train the same student in the same way."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def test_all_three_ways_make_the_same_steps(
    example: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    made = example("own_trainer")
    plain = made.main("plain", tmp_path, steps=3)
    assert plain[-1] < plain[0]
    # TRL's two batches of two count as one of four; both trainers clip the gradient's norm.
    for way in ("trainer", "trl"):
        losses = made.main(way, tmp_path / way, steps=3)
        assert losses[0] == pytest.approx(plain[0], rel=1e-3)
        assert losses[-1] < losses[0]
