"""Words, clauses and sentences of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.text.units import BORDERS, may_go, pieces, without


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("word", "Ben  has\n3 pens. ", ["Ben", "  has", "\n3", " pens. "]),
        (
            "clause",
            "At noon, Mr. Ho paid $3.50; why?",
            ["At noon,", " Mr. Ho paid $3.50;", " why?"],
        ),
        ("sentence", 'He said "no!" Why? \n', ['He said "no!"', " Why? \n"]),
        ("sentence", "他有3支笔。5个人！多少支？", ["他有3支笔。", "5个人！", "多少支？"]),
        ("clause", "她说「好。」为什么？", ["她说「好。」", "为什么？"]),
        ("sentence", "كم قلما؟ نعم.", ["كم قلما؟", " نعم."]),
        ("sentence", "One line\n\nAnother", ["One line", "\n\nAnother"]),
        ("sentence", "... Ben naps", ["...", " Ben naps"]),
        ("sentence", " \n ", []),
    ],
)
def test_a_piece_takes_the_space_before_it(unit: str, text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in pieces(text, unit)] == expected


@given(
    text=st.text(st.sampled_from(list("ab. ,?\n\t3")), max_size=30),
    unit=st.sampled_from(list(BORDERS)),
)
def test_pieces_tile_a_text_and_each_holds_more_than_space(text: str, unit: str) -> None:
    found = pieces(text, unit)
    assert "".join(text[start:end] for start, end in found) == (text if text.strip() else "")
    assert all(text[start:end].strip() for start, end in found)


def test_what_is_left_begins_with_text_as_before() -> None:
    text = "Ben naps. Mia reads. Why?"
    assert without(text, (0, 9)) == "Mia reads. Why?"
    assert without(text, (9, 20)) == "Ben naps. Why?"
    # Space that stood first anyway, before the piece, goes with the piece that it belongs to.
    assert without("  Ben naps. Why?", (0, 11)) == "Why?"


def test_neither_space_nor_what_asks_may_go() -> None:
    assert [may_go(text) for text in (" Mia reads.", " ", " Why?", "为什么？")] == [
        True,
        False,
        False,
        False,
    ]
