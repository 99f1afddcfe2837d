import json
from pathlib import Path

import numpy as np
import pytest

from leaf.records import Outcome, Span
from leaf.report.plain import TEXT_LIMIT, clipped, plain


def test_records_enums_tuples_paths_and_numpy_scalars_become_json() -> None:
    span = Span(start=1, end=3, text="ab", gap=0.5, units=1)
    values = {"span": span, "o": Outcome.RIGHT, "t": (1, 2), "p": Path("a"), "n": np.float32(0.5)}
    assert json.loads(json.dumps(plain(values))) == {
        "span": {"start": 1, "end": 3, "text": "ab", "gap": 0.5, "units": 1},
        "o": "right",
        "t": [1, 2],
        "p": "a",
        "n": 0.5,
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("-inf")])
def test_numbers_that_json_cannot_hold_become_null(number: float) -> None:
    assert plain([number]) == [None]


def test_a_lone_surrogate_becomes_the_replacement_character_and_a_pair_stays() -> None:
    assert plain({"a\ud83d": "x\udc00y 👩"}) == {"a\ufffd": "x\ufffdy 👩"}


def test_a_long_text_is_clipped_and_says_how_much_is_left_out() -> None:
    assert clipped("x" * (TEXT_LIMIT + 5)) == {"text": "x" * TEXT_LIMIT, "omitted": 5}
    assert clipped("short") == {"text": "short", "omitted": 0}
