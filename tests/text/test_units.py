"""Words, clauses and sentences of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.text.units import UNITS, may_go, pieces, without


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
        ("paragraph", "A. B\nC.\n \n\nD\n", ["A. B\nC.", "\n \n\nD\n"]),
        # Without a blank line, each line.
        ("paragraph", "A. B\nC.", ["A. B", "\nC."]),
        ("sentence", "... Ben naps", ["...", " Ben naps"]),
        ("sentence", " \n ", []),
        (
            "phrase",
            "Joan found 6 shells on the beach, which raised her weight from 50 kg to 60 kg.",
            ["Joan found 6 shells on the beach,", " which raised her weight from 50 kg to 60 kg."],
        ),
        ("phrase", "Ed has 2 cups weighing 5 pounds.", ["Ed has 2 cups", " weighing 5 pounds."]),
        (
            "phrase",
            "They sold 45 cats and the humidity rose as it rained.",
            ["They sold 45 cats", " and the humidity rose", " as it rained."],
        ),
        ("phrase", "Ben won at a temperature of 3.5.", ["Ben won", " at a temperature of 3.5."]),
        ("phrase", "The cups (two red ones) broke.", ["The cups", " (two red ones) broke."]),
        ("phrase", "Ed naps — so they say — a lot.", ["Ed naps", " — so they say", " — a lot."]),
    ],
)
def test_a_piece_takes_the_space_before_it(unit: str, text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in pieces(text, unit)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Ann has twice as many old pens as Ben.",
        "Ed had 7 - 3 pens.",
        "While shopping they met.",
        "Ben and Mia stayed here.",
        "The group is moving the king.",
        "How many pens are left if Ben and Mia take 3 while it rains?",
        "Wie viele Stifte hat er heute morgen noch übrig?",
    ],
)
def test_what_belongs_together_is_one_phrase(text: str) -> None:
    assert pieces(text, "phrase") == [(0, len(text))]


def texts(*parts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=30).map("".join)


@given(text=texts("a", "b", ".", " ", ",", "?", "\n", "as ", "which "))
def test_every_end_of_a_clause_ends_a_phrase_and_a_phrase_has_two_words(text: str) -> None:
    clauses, phrases = pieces(text, "clause"), pieces(text, "phrase")
    assert {end for _, end in clauses} <= {end for _, end in phrases}
    assert all(len(text[start:end].split()) > 1 for start, end in set(phrases) - set(clauses))


@given(
    text=texts(*"ab. ,?\n\t3(—)", " as", " which ", " ing"),
    unit=st.sampled_from(UNITS[1:]),
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
