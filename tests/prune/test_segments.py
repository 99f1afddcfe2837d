"""The beginning of a reference as what is scored and cut (response level)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.grade.final import final_answer
from leaf.prune import segments
from leaf.records import Distractor, Problem, Protected

PROBLEM = Problem(
    id="p",
    question="How many?",
    answer="72",
    solution="",
    before="Read: ",
    after=" Now.",
    grader="math",
    distractors=(Distractor(kind="cue", start=0, end=3),),
    protected=(Protected(what="entity", start=0, end=3),),
)


def says_answer(text: str) -> bool:
    return final_answer(text) is not None


def parts(reference: str, count: int) -> list[tuple[str, str, str]]:
    """Return what stands before each segment, the segment and what follows it."""
    found = segments(PROBLEM, reference, count, says_answer)
    assert not isinstance(found, str), found
    return [(item.before, item.question, item.solution) for item in found]


def test_two_segments_are_cut_at_the_line_end_nearest_to_one_half() -> None:
    # Lines of 6, 6, 12 and 7 characters: they end at 6, 12 and 24 of 31, whose half is 15.5.
    reference = "a = 1\nb = 2\nc = a + b=3\n#### 72"
    assert parts(reference, 2) == [("", "a = 1\nb = 2\n", "c = a + b=3\n#### 72")]


def test_three_segments_make_two_problems() -> None:
    # Lines end at 6, 12, 18 and 24 of 31; thirds are 10.3 and 20.7: 12 is 1.7 away, 18 is 2.7.
    reference = "a = 1\nb = 2\nc = 3\nd = 4\n#### 72"
    assert parts(reference, 3) == [
        ("", "a = 1\nb = 2\n", "c = 3\nd = 4\n#### 72"),
        ("a = 1\nb = 2\n", "c = 3\n", "d = 4\n#### 72"),
    ]


def test_where_both_thirds_are_nearest_to_one_border_the_pair_with_the_least_way_is_taken() -> None:
    # Lines end at 2, 22 and 24 of 40: thirds are 13.3 and 26.7. Pairs: (2, 22) 11.3 + 4.7 = 16,
    # (2, 24) 11.3 + 2.7 = 14, (22, 24) 8.7 + 2.7 = 11.4.
    reference = "a\n" + "b" * 19 + "\n" + "c\n" + "d" * 16
    assert [item[1] for item in parts(reference, 3)] == ["a\n" + "b" * 19 + "\n", "c\n"]


def test_too_few_lines_are_cut_between_sentences_whose_space_goes_to_the_next() -> None:
    reference = "She has 3.5 pens. He has 4. So there are 72."
    assert parts(reference, 2) == [("", "She has 3.5 pens.", " He has 4. So there are 72.")]


def test_a_sentence_at_the_end_of_its_line_takes_the_line_end_along() -> None:
    # One line end is too few for three segments; a sentence ends there as well.
    reference = "One is 3. Two is 4.  \n\nSo there are 72."
    assert [item[1] for item in parts(reference, 3)] == ["One is 3.", " Two is 4.  \n\n"]


def test_the_answer_is_always_left_to_say() -> None:
    # The line end nearest to one half comes after the answer was said.
    reference = "a = 1\nThe answer is 72.\nb\nc\nd\ne\nfffffffffffffffffffff"
    assert parts(reference, 2)[0][1] == "a = 1\n"


@pytest.mark.parametrize(
    ("reference", "count", "reason"),
    [
        (" \n", 2, "no reference response"),
        ("15 - 10 = 5", 2, "response level: the reference has fewer than 2 steps"),
        ("The answer is 72.\nIt was easy.", 2, "response level: the reference has fewer than 2"),
        ("\n\n15 - 10 = 5\n", 2, "response level: the reference has fewer than 2 steps"),
        ("a = 1\n#### 72", 3, "response level: the reference has fewer than 3 steps"),
    ],
)
def test_a_reference_with_too_few_steps_says_so(reference: str, count: int, reason: str) -> None:
    found = segments(PROBLEM, reference, count, says_answer)
    assert isinstance(found, str)
    assert found.startswith(reason)


def test_a_response_level_problem_asks_what_its_problem_asks() -> None:
    asked = replace(PROBLEM, golds=("six",), grader_options='{"threshold": 0.3}')
    (found,) = segments(asked, "a = 1\n#### 72", 2, says_answer)
    assert isinstance(found, Problem)
    assert (found.id, found.level, found.content) == ("p/r1", "response", "Read: How many? Now.")
    assert (found.response_prefix, found.answer, found.grader) == ("a = 1\n", "72", "math")
    assert (found.golds, found.grader_options) == (("six",), '{"threshold": 0.3}')
    # Their places are those of the instruction.
    assert (found.distractors, found.protected) == ((), ())


texts = st.text(st.sampled_from("ab 1.!?\n\t#,é∠")) | st.text()


@given(texts, st.sampled_from([2, 3]))
def test_segments_join_to_the_reference_and_none_is_blank(reference: str, count: int) -> None:
    found = segments(PROBLEM, reference, count, says_answer)
    if isinstance(found, str):
        return
    assert len(found) == count - 1
    reached = ""
    for item in found:
        assert item.before == reached
        reached += item.question
        assert reached == item.response_prefix
        assert item.response_prefix + item.solution == reference
        assert item.question.strip()
        assert item.solution.strip()
        assert not says_answer(item.response_prefix)
