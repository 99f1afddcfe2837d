"""Which words distract, and how well pieces fit them."""

import pytest

from benchmarks.phrases import app, distractions, overlaps
from leaf.errors import DataError

CLEAN = "Joan found 6 shells and Jo found 8. How many did they find?"
DISTRACTED = (
    "Joan found 6 shells, which raised her weight to 60 kg. Now it rains a lot. Jo found 8. "
    "How many did they find?"
)


def words_of(text: str, found: set[int]) -> list[str]:
    return [text.replace(",", "").replace(".", "").split()[word] for word in sorted(found)]


def test_what_only_the_distracted_question_says_distracts_sentence_by_sentence() -> None:
    found = [" ".join(words_of(DISTRACTED, one)) for one in distractions(DISTRACTED, CLEAN)]
    assert found == ["which raised her weight to 60 kg", "Now it rains a lot"]


def test_an_overlap_is_of_the_words_of_both() -> None:
    # Sentences: the first has 4 words more than the distraction's 7; the second is it.
    assert overlaps(DISTRACTED, CLEAN, ["sentence"]) == ([pytest.approx(7 / 11), 1.0], 4)
    assert overlaps(DISTRACTED, CLEAN, ["sentence", "phrase"]) == ([1.0, 1.0], 6)


def test_data_that_are_not_there_are_one_line(tmp_path) -> None:
    with pytest.raises(DataError, match=r"simple_adversarial_train\.jsonl: not there; --data"):
        app(["--data", str(tmp_path)], exit_on_error=False)
