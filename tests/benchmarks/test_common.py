"""What the benchmarks share: intervals over problems and the last line."""

import json

import pytest

from benchmarks import common
from leaf.statistics import mean


def test_columns_are_resampled_together() -> None:
    # Each problem's ratio is 1, so every resample's is: had they been drawn apart, it would vary.
    found = common.measure(common.ratio, [1, 2, 3, 4], [1, 2, 3, 4], seed=0)
    assert found is not None
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_an_interval_over_many_problems_is_that_of_the_normal_approximation() -> None:
    # 400 zeros and 400 ones: 1/2 +- 1.96 x 1/2 / sqrt(800) = 1/2 +- 0.0346.
    found = common.measure(mean, [0, 1] * 400, seed=0)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(0.5 - 0.0346, abs=0.003)
    assert found.high == pytest.approx(0.5 + 0.0346, abs=0.003)


def test_the_last_line_is_json_without_what_json_cannot_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    common.print_json("x", {"seeds": [1]}, {"a": 0.5, "b": float("nan")})
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"name": "x", "setting": {"seeds": [1]}, "figures": {"a": 0.5}}
