"""Where two tokenisations of one response have borders in common."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.distill.align import Aligner, align
from leaf.models.load import Tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.models.token_units import Unit
from leaf.models.vocabulary import common_tokens


def units(*borders: int, tokens: Sequence[int] = ()) -> list[Unit]:
    """Units between borders and the end of the turn; `tokens` says how many each has, else 1."""
    counts = [*(tokens or [1] * (len(borders) - 1)), 1]
    ends = [sum(counts[: at + 1]) for at in range(len(counts))]
    places = [*pairwise(borders), (borders[-1], borders[-1] + 1)]
    return [
        Unit(start=start, end=end, tokens=tuple(range(last - count, last)))
        for (start, end), last, count in zip(places, ends, counts, strict=True)
    ]


def shape(pieces: Any) -> list[tuple[int, int, int]]:
    """Characters, student's tokens and teacher's tokens of each piece."""
    return [(piece.characters, len(piece.student), len(piece.teacher)) for piece in pieces]


def test_pieces_end_where_both_models_have_a_border() -> None:
    # Student: [0 3 5 9], teacher: [0 3 4 9]: they share 3 and 9, and the end of the turn.
    pieces = align(units(0, 3, 5, 9), units(0, 3, 4, 9), lambda own, other: True)
    assert shape(pieces) == [(3, 1, 1), (6, 2, 2), (0, 1, 1)]
    assert [piece.student for piece in pieces] == [range(1), range(1, 3), range(3, 4)]
    assert [piece.pair for piece in pieces] == [True, False, True]


def test_tokens_that_share_a_character_stay_in_one_piece() -> None:
    # The character 3:4 takes the student three tokens and the teacher one.
    pieces = align(units(0, 3, 4, tokens=[1, 3]), units(0, 3, 4), lambda own, other: True)
    assert shape(pieces) == [(3, 1, 1), (1, 3, 1), (0, 1, 1)]


def test_one_token_each_that_is_not_the_same_is_no_pair() -> None:
    pieces = align(units(0, 3, 5), units(0, 3, 5), lambda own, other: own != 1)
    assert [piece.pair for piece in pieces] == [True, False, True]


def test_an_empty_response_is_the_end_of_the_turn() -> None:
    assert shape(align(units(0), units(0), lambda own, other: True)) == [(0, 1, 1)]


def test_units_of_different_responses_are_refused() -> None:
    with pytest.raises(ValueError, match="different responses"):
        align(units(0, 3), units(0, 4), lambda own, other: True)


@pytest.fixture(scope="module")
def pair(cue_pair: Any, other_tokenizer: Any) -> tuple[PromptFormat, PromptFormat]:
    from transformers import AutoTokenizer

    student: Tokenizer = AutoTokenizer.from_pretrained(cue_pair / "student")
    return PromptFormat(student, name="student"), PromptFormat(other_tokenizer, name="teacher")


@pytest.fixture(scope="module")
def aligner(pair: tuple[PromptFormat, PromptFormat]) -> Aligner:
    return Aligner(*pair, common_tokens(*pair))


def said(chat: PromptFormat, content: str, response: str, begun: str) -> list[int]:
    conversation = chat.encode(content, response, begun)
    return list(conversation.ids[conversation.prompt_length :])


@given(st.text("Ada has pens?cup é☃\n", max_size=20), st.sampled_from(["", "Ada", "☃ "]))
def test_each_piece_is_the_same_text_to_both_models(
    pair: tuple[PromptFormat, PromptFormat], aligner: Aligner, response: str, begun: str
) -> None:
    aligned = aligner("Hats?", response, begun)
    ours = said(pair[0], "Hats?", response, begun)
    theirs = said(pair[1], "Hats?", response, begun)
    assert aligned.tokens == pair[1].encode("Hats?", response, begun)
    assert [at for piece in aligned.pieces for at in piece.student] == list(range(len(ours)))
    assert [at for piece in aligned.pieces for at in piece.teacher] == list(range(len(theirs)))
    place = 0
    for piece in aligned.pieces[:-1]:
        text = response[place : place + piece.characters]
        assert pair[0].tokenizer.decode([ours[at] for at in piece.student]) == text
        assert pair[1].tokenizer.decode([theirs[at] for at in piece.teacher]) == text
        place += piece.characters
    assert (place, aligned.pieces[-1].characters) == (len(response), 0)


def test_pairs_and_their_share_of_the_characters(byte_level: Any) -> None:
    student = byte_level([("c", "a"), ("ca", "b"), ("o", "n")], "<end>")
    teacher = byte_level([("a", "b"), ("c", "a"), ("o", "n")], "</s>")
    # The student says "cab" and "on", the teacher "c" "ab" and "on".
    aligned = Aligner(student, teacher, common_tokens(student, teacher))("x", "cabon")
    assert shape(aligned.pieces) == [(3, 1, 2), (2, 1, 1), (0, 1, 1)]
    assert [piece.pair for piece in aligned.pieces] == [False, True, True]
    assert (aligned.paired_characters, aligned.characters) == (2, 5)
