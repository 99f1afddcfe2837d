r"""Answers that are one number; expected outcomes are worked out by hand."""

import time
from fractions import Fraction

import pytest

from leaf.grade import Graders
from leaf.grade.numbers import Numbers
from leaf.records import Answer, Outcome, Problem, Score
from leaf.text.number import read_number

RIGHT, WRONG, UNGRADABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE


def judge(grader: Graders, gold: str, text: str, *, truncated: bool = False) -> Score:
    problem = Problem(id="p", question="?", answer=gold, solution="", grader="numbers")
    answer = Answer(
        problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated
    )
    (score,) = grader.grade([problem], [answer])
    return score


@pytest.mark.parametrize(
    ("gold", "text", "outcome"),
    [
        # how a number is written
        ("18", r"\boxed{18}", RIGHT),
        ("18", r"\boxed{19}", WRONG),
        ("18", r"\boxed{18.00}", RIGHT),
        ("18", r"\boxed{18.}", RIGHT),
        ("18", r"\boxed{18.01}", WRONG),
        ("18", r"\boxed{\$18}", RIGHT),
        ("18", r"\boxed{$18$}", RIGHT),
        ("18", r"\boxed{018}", RIGHT),
        ("1234.5", r"\boxed{1,234.50}", RIGHT),
        ("1,234", r"\boxed{1234}", RIGHT),
        ("10000", r"\boxed{10{,}000}", RIGHT),
        ("10000", r"\boxed{10\,000}", RIGHT),
        ("0.5", r"\boxed{.5}", RIGHT),
        ("0.5", r"\boxed{1/2}", RIGHT),
        ("0.5", r"\boxed{2/4}", RIGHT),
        ("0.33", r"\boxed{1/3}", WRONG),
        ("1.5", r"\boxed{1 1/2}", RIGHT),
        ("-5", r"\boxed{-5}", RIGHT),
        ("-5", r"\boxed{−5}", RIGHT),
        ("-5", r"\boxed{-\$5}", RIGHT),
        ("5", r"\boxed{-5}", WRONG),
        ("15", r"\boxed{- 15}", WRONG),
        ("1234567890123456789", r"\boxed{1234567890123456789}", RIGHT),
        ("1234567890123456789", r"\boxed{1234567890123456788}", WRONG),
        # units and words around it
        ("18", r"\boxed{18 dollars}", RIGHT),
        ("18", r"\boxed{18\text{ dollars}}", RIGHT),
        ("18", r"\boxed{18 eggs per day}", RIGHT),
        ("18", r"\boxed{18\,\text{cm}^2}", RIGHT),
        ("18", r"\boxed{18\text{ m/s}}", RIGHT),
        ("60", r"\boxed{60 km/h}", RIGHT),
        ("20", r"\boxed{20\%}", RIGHT),
        ("20", "The answer is 20%.", RIGHT),
        ("90", r"\boxed{90^\circ}", RIGHT),
        ("18", r"\boxed{x = 18}", RIGHT),
        ("3000000", r"\boxed{3 million}", RIGHT),
        ("3", r"\boxed{3 million}", WRONG),
        ("18", r"\boxed{18k}", WRONG),
        ("3", r"\boxed{3x}", WRONG),
        ("5", r"\boxed{5!}", WRONG),
        ("2", r"\boxed{2 and 3}", WRONG),
        ("5", r"\boxed{no solution}", WRONG),
        # through the symbolic comparison
        ("0.5", r"\boxed{\frac{1}{2}}", RIGHT),
        ("1.5", r"\boxed{1\frac{1}{2}}", RIGHT),
        ("4", r"\boxed{2^2}", RIGHT),
        ("12", r"\boxed{3 \times 4}", RIGHT),
        ("12", r"\boxed{3 \times 5}", WRONG),
        # where it stands
        ("18", "16 - 3 - 4 = 9 eggs\n9 * 2 = $18\n#### 18", RIGHT),
        ("18", "The answer is 9 * 2 = 18 dollars a day.", RIGHT),
        ("18", "The answer is 18 because 9 and 9 make it.", RIGHT),
        ("18", "The answer is what we had. So: 18", RIGHT),
        ("18", "She makes 9 * 2 = $18 every day at the market.", RIGHT),
        ("5", "She is left with 10-5", RIGHT),
        ("18", r"\boxed{17} or rather \boxed{18}", RIGHT),
        ("17", r"\boxed{17} or rather \boxed{18}", WRONG),
        ("18", "#### Step 2: sell them\nShe gets 18 for them", RIGHT),
    ],
)
def test_a_number_is_judged_by_its_value(
    grader: Graders, gold: str, text: str, outcome: Outcome
) -> None:
    assert judge(grader, gold, text).outcome is outcome


def test_a_text_without_a_number_is_not_gradable(grader: Graders) -> None:
    score = judge(grader, "18", "I do not know H2O.")
    assert (score.outcome, score.reason) == (UNGRADABLE, "no final number found")


def test_a_cut_answer_is_not_judged_by_a_number_of_its_reasoning(grader: Graders) -> None:
    score = judge(grader, "18", "First, 9 * 2 = 18, then", truncated=True)
    assert score.outcome is UNGRADABLE
    assert score.reason == "cut at the token limit before a final answer"


def test_a_cut_answer_that_had_said_its_final_answer_is_judged(grader: Graders) -> None:
    assert judge(grader, "18", r"\boxed{18} Let us check", truncated=True).right
    assert judge(grader, "18", "The answer is 18. Let us", truncated=True).right


@pytest.mark.parametrize("text", ["The answer is 18", "The answer is 18.", "so\n#### 18"])
def test_a_number_at_the_very_cut_may_go_on_and_is_not_judged(grader: Graders, text: str) -> None:
    assert judge(grader, "18", text).right
    assert judge(grader, "18", text, truncated=True).outcome is UNGRADABLE
    assert judge(grader, "18", text + "\nCheck", truncated=True).right


def test_the_score_keeps_what_was_taken_for_the_final_answer(grader: Graders) -> None:
    assert judge(grader, "18", r"\boxed{\$17.50}").extracted == r"\$17.50"
    assert judge(grader, "18", "so 1,750 in all").extracted == "1,750"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", Fraction(2469, 2)),
        ("-1 1/2", Fraction(-3, 2)),
        ("2.5 million dollars", Fraction(2_500_000)),
        ("an 18-inch pipe", Fraction(18)),
        ("1/0", None),
        ("5:30", None),
        ("12/25/2020", None),
        ("1e5", Fraction(100_000)),
        ("9" * 1001, None),
        ("", None),
    ],
)
def test_only_a_plain_number_is_read_without_symbolic_mathematics(
    text: str, value: Fraction | None
) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    "part", ["9", "1 ", "1,", "1/", "a", " ", "^ ", "^{ ", "\\text{", "$", "-", ".", "answer is 1"]
)
def test_hostile_repetition_is_read_in_linear_time(part: str) -> None:
    text = part * (100_000 // len(part))
    problem = Problem(id="p", question="?", answer="18", solution="")
    answer = Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=False)
    begun = time.thread_time()
    Numbers().judge(problem, answer)
    # Linear: about 0.2 s here. Quadratic would be 10^10 steps, minutes.
    assert time.thread_time() - begun < 5
