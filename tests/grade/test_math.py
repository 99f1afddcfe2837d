r"""Answers that are mathematics; expected outcomes are worked out by hand."""

import pytest

from leaf.grade import Graders
from leaf.records import Answer, Outcome, Problem, Score

RIGHT, WRONG, UNGRADABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE


def judge(grader: Graders, gold: str, text: str, *, truncated: bool = False) -> Score:
    problem = Problem(id="p", question="?", answer=gold, solution="", grader="math")
    answer = Answer(
        problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated
    )
    (score,) = grader.grade([problem], [answer])
    return score


@pytest.mark.parametrize(
    ("gold", "final", "outcome"),
    [
        # numbers and fractions
        (r"\frac{3}{4}", "0.75", RIGHT),
        (r"\frac{3}{4}", r"\dfrac{6}{8}", RIGHT),
        (r"\frac34", "3/4", RIGHT),
        (r"\frac{3}{4}", r"\frac{4}{3}", WRONG),
        (r"\frac{1}{3}", "0.33", WRONG),
        (r"1\frac{1}{2}", r"\frac{3}{2}", RIGHT),
        (r"\sqrt{8}", r"2\sqrt{2}", RIGHT),
        (r"\sqrt{8}", r"2\sqrt{3}", WRONG),
        (r"\pi", "3.14", WRONG),
        ("1,000,000", "1000000", RIGHT),
        (r"\$32,\!348", "32348", RIGHT),
        ("6+9i", "9i+6", RIGHT),
        ("6+9i", "6-9i", WRONG),
        # units, percent, degrees
        ("5", r"5\text{ cm}", RIGHT),
        (r"13.5\text{ pounds}", "13.5", RIGHT),
        ("10", r"10\%", RIGHT),
        ("10", r"11\%", WRONG),
        (r"90^\circ", "90", RIGHT),
        # expressions and equations
        ("x^2+2x+1", "(x+1)^2", RIGHT),
        ("x^2+2x+1", "(x-1)^2", WRONG),
        ("p-q", "-q+p", RIGHT),
        ("p-q", "q-p", WRONG),
        ("5", "x = 5", RIGHT),
        ("y=2x+1", "y=2x+3", WRONG),
        # sets, points, intervals
        (r"\{1,2,3\}", r"\{3,2,1\}", RIGHT),
        (r"\{1,2,3\}", r"\{1,2\}", WRONG),
        ("1,2,3", "3, 1, 2", RIGHT),
        ("(3,4)", "(3, 4)", RIGHT),
        ("(3,4)", "(4,3)", WRONG),
        ("[0,1)", "[0, 1)", RIGHT),
        ("[0,1)", "[0,1]", WRONG),
        (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty) \cup (-\infty,2)", RIGHT),
        (r"(-\infty,2)\cup(3,\infty)", r"(-\infty,3)\cup(3,\infty)", WRONG),
        (r"x \in [-2,7]", "[-2,7]", RIGHT),
        # matrices
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}",
            RIGHT,
        ),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\begin{pmatrix}1&2\\3&5\end{pmatrix}",
            WRONG,
        ),
        (
            r"\begin{pmatrix}1/2\\0\end{pmatrix}",
            r"\begin{pmatrix}0.5\\0\end{pmatrix}",
            RIGHT,
        ),
        # words and options
        (r"\text{Evelyn}", "Evelyn", RIGHT),
        (r"\text{Evelyn}", r"\text{Carla}", WRONG),
        (r"\text{even}", r"\text{odd}", WRONG),
        (r"\text{(C)}", "C", RIGHT),
        (r"\text{(C)}", r"\text{(C) } 12", RIGHT),
        (r"(\text{H})", "H", RIGHT),
        ("C", "c", RIGHT),
        ("C", "(D)", WRONG),
        ("C", "12", WRONG),
    ],
)
def test_a_boxed_answer_is_judged_as_mathematics(
    grader: Graders, gold: str, final: str, outcome: Outcome
) -> None:
    assert judge(grader, gold, rf"Therefore \boxed{{{final}}}.").outcome is outcome


@pytest.mark.parametrize(
    ("gold", "text", "outcome"),
    [
        ("x^2+1", "The answer is x^2 + 1.", RIGHT),
        (r"\frac{1}{2}", r"The final answer is $\frac{1}{2}$. I hope it is correct.", RIGHT),
        (r"\frac{1}{2}", r"So it is \(\frac{2}{4}\), as we wanted.", RIGHT),
        ("[0,1)", "The answer is the interval $[0,1)$, open above.", RIGHT),
        ("5", "The answer is 5, since 3 of the 8 are gone.", RIGHT),
        ("3", "The answer is 5, since 3 of the 8 are gone.", WRONG),
        (r"\text{(C)}", "The answer is (C), because A is too small.", RIGHT),
        (r"\text{(A)}", "The answer is (C), because A is too small.", WRONG),
        ("C", "So I choose option C", RIGHT),
        (r"\frac{1}{2}", "#### \\frac{1}{2}", RIGHT),
    ],
)
def test_an_answer_without_a_box_is_searched_for(
    grader: Graders, gold: str, text: str, outcome: Outcome
) -> None:
    assert judge(grader, gold, text).outcome is outcome


@pytest.mark.parametrize(
    ("gold", "text", "reason"),
    [
        ("12", "I cannot tell.", "no final answer found"),
        ("C", "I cannot tell.", "no final answer found"),
        ("12", r"\boxed{???}", "answer is not readable: ???"),
        (r"\foo{", r"\boxed{12}", r"gold answer is not readable: \foo{"),
    ],
)
def test_what_cannot_be_read_is_not_gradable(
    grader: Graders, gold: str, text: str, reason: str
) -> None:
    score = judge(grader, gold, text)
    assert (score.outcome, score.reason) == (UNGRADABLE, reason)


def test_a_cut_answer_without_a_marked_final_answer_is_not_gradable(grader: Graders) -> None:
    score = judge(grader, "12", "Therefore $x = 12$ and", truncated=True)
    assert score.outcome is UNGRADABLE
    assert score.reason == "cut at the token limit before a final answer"


def test_texts_that_are_equal_are_right_even_where_nobody_can_read_them(grader: Graders) -> None:
    assert judge(grader, r"\foo{bar}", r"\boxed{ \foo{bar} }").right
