"""What a text says and its twin does not."""

import pytest

from leaf.text.added import added

CLEAN = "Joan found 6 shells and Jo found 8. How many did they find?"
DISTRACTED = (
    "Joan found 6 shells, which raised her weight to 60 kg. Now it rains a lot. Jo found 8. "
    "How many did they find?"
)


def test_what_only_the_longer_text_says_is_found_sentence_by_sentence() -> None:
    found = [DISTRACTED[start:end] for start, end in added(DISTRACTED, CLEAN)]
    assert found == ["which raised her weight to 60 kg", "Now it rains a lot"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Jo has 3 pens.", "Jo has 3 pens."),
        ("jo has 3 pens now!", "Jo has 3 pens"),  # one word is no piece
        ("", ""),
        ("Jo owns a pack of pens.", "Jo has got just about three or four pens."),  # other words
    ],
)
def test_nothing_is_added_where_a_text_says_the_same(text: str, plain: str) -> None:
    assert added(text, plain) == []
