r"""Where a response says its final answer."""

import time

import pytest

from leaf.grade.final import FinalAnswer, Mark, final_answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"So \boxed{18}.", "18"),
        (r"\boxed{17}, no: \boxed{18}", "18"),
        (r"\boxed{\frac{1}{2}} done", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed {18}", "18"),
        (r"\fbox{1} \fboxed{18}", "18"),
        (r"\boxed{18} and then \boxed{}", "18"),
        (r"\boxed{18} and then \boxed{ 19", "18"),
        (r"\boxed{so \boxed{18}}", "18"),
        (r"a stray } and { before \boxed{18}", "18"),
        ("#### 17\nThe answer is 16. \\boxed{18}\n#### 19", "18"),
    ],
)
def test_the_last_complete_box_wins_over_every_other_mark(text: str, expected: str) -> None:
    assert final_answer(text) == FinalAnswer(text=expected, mark=Mark.BOXED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9 * 2 = 18\n#### 18", "18"),
        ("#### 18\n\nQuestion: next one?", "18"),
        ("#### -1,234.5\nand more", "-1,234.5"),
        ("#### 17\n#### 18\n", "18"),
        ("The answer is 17.\n#### \\frac{1}{2}", r"\frac{1}{2}"),
    ],
)
def test_hashes_mark_a_number_on_its_line_or_what_stands_last(text: str, expected: str) -> None:
    assert final_answer(text) == FinalAnswer(text=expected, mark=Mark.HASHES)


@pytest.mark.parametrize(
    "text",
    [
        "#### Step 1: add 9 and 9\nThat gives 18.",
        "#### 2. Add them\nThat gives 18.",
        "#### Conclusion",
        "####",
    ],
)
def test_a_markdown_heading_is_no_final_answer(text: str) -> None:
    assert final_answer(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 18.", "18"),
        ("The final answer is: 18", "18"),
        ("**Answer:** 18 eggs\nHope this helps.", "18 eggs"),
        ("**Answer**: 18", "18"),
        ("#### Answer: 18", "18"),
        ("Answer:\n\n\\[\n18\n\\]", "18"),
        ("The answer is 17. Wait. The answer is 18.5. Yes.", "18.5"),
        ("The answer is 18. The answer is ", "18"),
    ],
)
def test_a_statement_holds_until_its_sentence_ends(text: str, expected: str) -> None:
    assert final_answer(text) == FinalAnswer(text=expected, mark=Mark.STATED)


@pytest.mark.parametrize("text", ["", "so 18", "an answerable question", r"\boxed{", "the answer"])
def test_an_unmarked_text_has_no_final_answer(text: str) -> None:
    assert final_answer(text) is None


@pytest.mark.parametrize(
    "part", ["\\boxed{", "{", "}", "\\", "#### ", "####1\n", "answer is ", "answer is. ", " ", "$$"]
)
def test_hostile_repetition_is_read_in_linear_time(part: str) -> None:
    begun = time.thread_time()
    final_answer(part * (100_000 // len(part)))
    # Linear: under 0.1 s here. Quadratic would be 10^10 steps, minutes.
    assert time.thread_time() - begun < 5
