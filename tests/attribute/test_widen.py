"""Tokens joined to words, clauses and sentences."""

from collections.abc import Sequence
from itertools import accumulate, cycle
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.attribute.ranking import widen
from leaf.prune import candidates
from leaf.recipe import PruneSection
from leaf.records import RankedUnits


def scores(tokens: Sequence[str], gap: Sequence[float]) -> RankedUnits:
    ends = tuple(accumulate(map(len, tokens)))
    return RankedUnits(problem_id="p", starts=(0, *ends[:-1]), ends=ends, rank_score=tuple(gap))


def units(tokens: Sequence[str], unit: str) -> list[str]:
    text = "".join(tokens)
    wide = widen(scores(tokens, [at / len(tokens) for at in range(len(tokens))]), text, unit)
    if isinstance(wide, str):  # rising gaps have different means, so there is but one unit of text
        return [text]
    return [text[start:end] for start, end in zip(wide.starts, wide.ends, strict=True)]


@pytest.mark.parametrize(
    ("unit", "tokens", "expected"),
    [
        # A word is its letters and the space before them, in however many tokens.
        ("word", ["B", "en", " has", " ", "pen", "s", "."], ["Ben", " has", " pens."]),
        ("word", ["Ben", "\n\n", "has"], ["Ben", "\n\nhas"]),
        # A sentence ends with its mark and what closes after it.
        ("sentence", ["Ben", " naps", ".", " Why", "?"], ["Ben naps.", " Why?"]),
        ("sentence", ["He", ' said "', "no", "!", '"', " Why"], ['He said "no!"', " Why"]),
        ("sentence", ["(", "No", ".)", " Why"], ["(No.)", " Why"]),
        ("sentence", ["At", " noon", ",", " Ben"], ["At noon, Ben"]),
        # The point of a number ends nothing, nor does its comma.
        ("sentence", ["3", ".", "5", " kg", "."], ["3.5 kg."]),
        ("sentence", ["$", ".", "50", " each"], ["$.50 each"]),
        ("clause", ["1", ",", "000", " pens", ",", " Ben"], ["1,000 pens,", " Ben"]),
        ("clause", ["At", " noon", ",", " Ben", ";", " so", "."], ["At noon,", " Ben;", " so."]),
        ("clause", ["at", " 12", ":", "30", " Ben"], ["at 12:30 Ben"]),
        # A sum at the end of a sentence does end it.
        ("sentence", ["He", " has", " 5", ".", " 3", " go"], ["He has 5.", " 3 go"]),
        # Several marks are one end.
        ("sentence", ["Wait", ".", ".", ".", " what", "?", "!"], ["Wait...", " what?!"]),
        ("clause", ["Wait", ".", ".", ".", " what", "?!"], ["Wait...", " what?!"]),
        # A line's end is an end; the next line begins with it.
        ("sentence", ["One", "\n", "Two", "\n\n", "Three"], ["One", "\nTwo", "\n\nThree"]),
        # A token over a border belongs where it begins, its leading space not counted.
        ("sentence", ["Ben", ". Mia", " naps", "."], ["Ben. Mia", " naps."]),
        ("word", ["Be", "n na", "ps"], ["Ben na", "ps"]),
        ("clause", ["noon", ",", " B", "en"], ["noon,", " Ben"]),
        ("sentence", ["naps", ".\n\n", "Mia"], ["naps.\n\n", "Mia"]),
    ],
)
def test_tokens_join_to_units(unit: str, tokens: list[str], expected: list[str]) -> None:
    assert units(tokens, unit) == expected


def test_a_token_is_a_unit_by_itself() -> None:
    tokens = scores(["Ben", " has", " pens"], [0.1, 0.2, 0.3])
    assert widen(tokens, "Ben has pens", "token") == tokens


def test_a_wide_unit_has_the_means_of_its_tokens_and_gaps_are_min_maxed_anew() -> None:
    wide = widen(
        scores(
            ["Ben", " naps", ".", " Mia", " reads", ".", " Leo", "?"],
            [0.9, 0.4, 0.5, 0.2, 1.0, 0.0, 0.7, 0.3],
        ),
        "Ben naps. Mia reads. Leo?",
        "sentence",
    )
    assert isinstance(wide, RankedUnits)
    assert (wide.starts, wide.ends) == ((0, 9, 20), (9, 20, 25))
    # Mean gaps 0.6, 0.4 and 0.5; they are scaled to 1, 0 and 0.5.
    assert wide.rank_score == pytest.approx((1.0, 0.0, 0.5))


def test_wide_units_of_tokens_follow_eq_4_and_5_on_their_mean_sensitivities() -> None:
    # min-max and mean commute with the affine map from teacher - student to a token's gap.
    teacher, student = [0.0, 0.5, 1.0, 0.25, 0.4, 0.3], [1.0, 0.2, 0.6, 0.0, 0.9, 0.1]
    raw = [one - other for one, other in zip(teacher, student, strict=True)]
    gap = [(value - min(raw)) / (max(raw) - min(raw)) for value in raw]
    tokens = ["a", ".", " b", ".", " c", "."]
    wide = widen(scores(tokens, gap), "a. b. c.", "sentence")
    assert isinstance(wide, RankedUnits)
    difference = [fmean(teacher[at : at + 2]) - fmean(student[at : at + 2]) for at in (0, 2, 4)]
    low, high = min(difference), max(difference)
    assert wide.rank_score == pytest.approx([(value - low) / (high - low) for value in difference])


def test_wide_units_of_one_gap_have_no_ranking() -> None:
    found = widen(scores(["Ben", " naps", ".", " Mia", "."], [0.2] * 5), "Ben naps. Mia.", "clause")
    assert found == "every clause has the same gap"


def test_white_space_has_no_part_in_the_mean_and_is_never_a_candidate() -> None:
    tokens = ["Ben", " ", "has", "\n", "pens", " "]
    wide = widen(scores(tokens, [0.5, 0.0, 0.6, 0.0, 0.7, 0.0]), "".join(tokens), "word")
    assert isinstance(wide, RankedUnits)
    assert wide.rank_score == pytest.approx((0.0, 0.5, 1.0, 1.0))
    # What is white space alone stays a unit, and is no candidate either.
    found = candidates(wide, "".join(tokens), PruneSection(threshold=0.10))
    assert found.tolist() == [True, False, False, False]


pieces = st.lists(st.text(alphabet="ab1 \n.,!?…\"'é", min_size=1, max_size=4), min_size=1)


@given(tokens=pieces, unit=st.sampled_from(["word", "clause", "sentence"]))
def test_wide_units_cover_the_same_characters_and_cut_no_token(
    tokens: list[str], unit: str
) -> None:
    text = "".join(tokens)
    narrow = scores(tokens, [at / len(tokens) for at in range(len(tokens))])
    wide = widen(narrow, text, unit)
    if isinstance(wide, str):
        # One unit, or space alone, or means that happen to be equal: there is nothing to rank.
        assert wide == f"every {unit} has the same gap"
        return
    assert (wide.starts[0], wide.ends[-1]) == (0, len(text))
    assert wide.starts[1:] == wide.ends[:-1]
    assert set(wide.ends) <= set(narrow.ends)


@given(words=st.lists(st.text(alphabet="ab,.é", min_size=1, max_size=5), min_size=1, max_size=9))
def test_words_are_those_of_a_reader_however_tokens_cut_them(words: list[str]) -> None:
    # Each character a token, and words apart by a space, a line's end or both.
    text = "".join(f"{word}{gap}" for word, gap in zip(words, cycle([" ", "\n", " \n"])))
    assert [unit.strip() for unit in units(list(text), "word") if unit.strip()] == text.split()
