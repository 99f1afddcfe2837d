"""How well pieces fit what distracts."""

import pytest

from benchmarks.phrases import app, overlaps
from leaf.errors import DataError

CLEAN = "Joan found 6 shells and Jo found 8. How many did they find?"
DISTRACTED = (
    "Joan found 6 shells, which raised her weight to 60 kg. Now it rains a lot. Jo found 8. "
    "How many did they find?"
)


def test_an_overlap_is_of_the_words_of_both() -> None:
    # Sentences: the first has 4 words more than the distraction's 7; the second is it.
    assert overlaps(DISTRACTED, CLEAN, ["sentence"]) == ([pytest.approx(7 / 11), 1.0], 4)
    assert overlaps(DISTRACTED, CLEAN, ["sentence", "phrase"]) == ([1.0, 1.0], 6)


def test_data_that_are_not_there_are_one_line(tmp_path) -> None:
    with pytest.raises(DataError, match=r"simple_adversarial_train\.jsonl: not there; --data"):
        app(["--data", str(tmp_path)], exit_on_error=False)
