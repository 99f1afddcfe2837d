"""Multiple choice: options by label and by text, as models write them."""

import pytest

from leaf.grade import GRADERS
from leaf.grade.choice import options_of
from leaf.grade.judgement import Judgement
from leaf.records import Answer, Outcome, Problem

QUESTION = "Which city?\n\nA. Rome\nB. Paris\nC. New York\nD. York"


def judged(text: str, *, gold: str = "B", question: str = QUESTION, cut: bool = False) -> Judgement:
    problem = Problem(id="p", question=question, answer=gold, solution="", grader="choice")
    answer = Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=cut)
    found = GRADERS["choice"]().judge(problem, answer)
    assert isinstance(found, Judgement)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "(b)",
        "B.",
        "B) Paris",
        "B. Paris",
        "**B**",
        "Answer: B",
        "Answer: (B) Paris",
        "The answer is B.",
        "The correct answer is option B.",
        "It rains in Rome.\nAnswer: B",
        "Rome is old, so it is not A.\n\nB",
        "\\boxed{B}",
        "\\boxed{\\text{(B)}}",
        "Paris",
        "Answer: Paris",
        "It is Paris.",
    ],
)
def test_an_answer_that_names_the_gold_option_is_right(text: str) -> None:
    assert judged(text).outcome is Outcome.RIGHT


@pytest.mark.parametrize(
    "text",
    ["A", "(C)", "Answer: A. Rome", "New York", "A, B", "A or B", "(A), (B), (C), (D)", "not B"],
)
def test_an_answer_that_names_another_or_several_is_wrong(text: str) -> None:
    assert judged(text).outcome is Outcome.WRONG


def test_a_text_inside_another_that_is_named_is_not_named() -> None:
    assert judged("It is New York.", gold="C").outcome is Outcome.RIGHT
    assert judged("It is York.", gold="C").outcome is Outcome.WRONG


@pytest.mark.parametrize("text", ["A city in France.", "I do not know.", "E"])
def test_an_answer_that_names_no_option_is_not_gradable(text: str) -> None:
    assert judged(text).outcome is Outcome.UNGRADABLE


def test_a_word_that_is_a_letter_is_no_label() -> None:
    question = "Which?\n\nA. a cat\nB. a dog"
    assert judged("A dog", question=question).outcome is Outcome.RIGHT
    assert judged("Answer: a dog", question=question).outcome is Outcome.RIGHT


def test_the_vitamin_after_a_label_is_no_label() -> None:
    question = "Which?\n\nA. Vitamin A\nB. Vitamin C\nC. Vitamin B"
    assert judged("B. Vitamin C", question=question).outcome is Outcome.RIGHT
    assert judged("Answer: Vitamin C", question=question).outcome is Outcome.RIGHT


def test_a_gold_is_a_label_before_the_text_of_another_option() -> None:
    question = "Which vitamin?\nA. A\nB. C\nC. D"
    assert judged("Answer: C", gold="C", question=question).outcome is Outcome.RIGHT
    assert judged("Answer: B", gold="C", question=question).outcome is Outcome.WRONG
    small = "Which letter?\nA. a\nB. c\nC. d"
    assert judged("Answer: B", gold="c", question=small).outcome is Outcome.RIGHT


def test_golds_and_labels_may_be_numbers_or_texts() -> None:
    question = "2 + 2?\n\n1. 3\n2. 4"
    assert judged("Answer: 2", gold="2", question=question).outcome is Outcome.RIGHT
    assert judged("B", gold="Paris").outcome is Outcome.RIGHT
    assert judged("B", question="A or B?").outcome is Outcome.RIGHT


def test_an_answer_that_was_cut_before_its_end_is_not_gradable() -> None:
    assert judged("Rome is old and", cut=True).outcome is Outcome.UNGRADABLE
    assert judged("Answer: B\nsince", cut=True).outcome is Outcome.RIGHT


def test_options_are_the_lines_that_end_a_question() -> None:
    assert options_of(QUESTION) == {"A": "Rome", "B": "Paris", "C": "New York", "D": "York"}
    assert options_of("I saw Dr. No. Who?") == {}
    assert options_of("1. Read this.\nWhich?\n\nA. x\nB. y") == {"A": "x", "B": "y"}
