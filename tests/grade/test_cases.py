"""Every pair of `cases.jsonl` is judged as a person did; `leaf grade --cases` reads it too."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from leaf.grade import GRADERS, Graders, open_graders
from leaf.grade.final import final_answer, spoken, without_reasoning
from leaf.grade.judgement import Comparison
from leaf.recipe import GradeSection
from leaf.records import Answer, Outcome, Problem, Score

FILE = Path(__file__).with_name("cases.jsonl")
CASES: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]


def problem(gold: str | list[str], grader: str, options: str = "") -> Problem:
    golds = () if isinstance(gold, str) else tuple(gold)
    answer = gold if isinstance(gold, str) else ", ".join(gold)
    return Problem(
        id="p",
        question="?",
        answer=answer,
        solution="",
        grader=grader,
        golds=golds,
        grader_options=options,
    )


def answer(text: str, *, truncated: bool = False) -> Answer:
    return Answer(
        problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated
    )


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    """Judge all pairs at once, which is far faster than one by one."""
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as opened:
        return opened.grade(
            [problem(case["gold"], case["grader"]) for case in CASES],
            [answer(case["answer"]) for case in CASES],
        )


@pytest.mark.parametrize(
    "at", range(len(CASES)), ids=lambda at: f"{CASES[at]['grader']} {CASES[at]['gold']} {at + 1}"
)
def test_an_answer_is_judged_as_a_person_does(scores: list[Score], at: int) -> None:
    assert scores[at].right == CASES[at]["right"], (CASES[at], scores[at])


def test_there_are_150_pairs_and_more() -> None:
    assert len(CASES) >= 26 + 150
    assert len({json.dumps(case, sort_keys=True) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("grader_name", ["numbers", "math", "qa", "qa_exact", "close"])
def test_reasoning_that_was_cut_says_so(grader: Graders, grader_name: str) -> None:
    asked = [problem("5", grader_name)] * 2
    answers = [answer("<think>It is 5. \\boxed{5}", truncated=cut) for cut in (True, False)]
    cut, ended = grader.grade(asked, answers)
    assert (cut.outcome, cut.reason) == (
        Outcome.UNGRADABLE,
        "cut at the token limit before its reasoning ended",
    )
    assert ended.reason == "nothing said after its reasoning"


def test_a_run_on_that_was_cut_is_judged_by_its_first_answer(grader: Graders) -> None:
    text = "Answer: 18\n\nQuestion: How many are left?\nAnswer: 5\n\nQuestion: And"
    (score,) = grader.grade([problem("18", "numbers")], [answer(text, truncated=True)])
    assert (score.outcome, score.extracted) == (Outcome.RIGHT, "18")


def test_thoughts_in_quotes_are_no_thoughts() -> None:
    code = 'print("</think>")\nx = "<think>"'
    assert without_reasoning(code) == code


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (r"\boxed{\leq 5}", "denies the value that it names, or only bounds it"),
        ("The answer is not 5.", "denies the value that it names, or only bounds it"),
    ],
)
def test_a_hedged_answer_says_why_it_is_wrong(grader: Graders, said: str, reason: str) -> None:
    for name in ("numbers", "math", "close"):
        (score,) = grader.grade([problem("5", name)], [answer(said)])
        assert (score.outcome, score.reason) == (Outcome.WRONG, reason), name


def test_options_that_are_all_named_are_no_choice(grader: Graders) -> None:
    said = r"\boxed{\text{(A), (B), (C)}}"
    (score,) = grader.grade([problem("A", "math")], [answer(said)])
    assert (score.outcome, score.reason) == (Outcome.WRONG, "names several options")


@pytest.mark.parametrize(
    ("decimal", "gold", "said", "right"),
    [
        ("comma", "1234", "1.234", True),
        ("comma", "1,234", "1.234", False),
        ("comma", "1,234", "1,234", True),
        ("comma", "1.234,5", "1234,50", True),
        ("point", "1234", "1,234", True),
        ("point", "1.234", "1,234", False),
        ("auto", "1.234,5", "1.234,5", True),
        ("auto", "0,5", "1.234", False),
    ],
)
def test_decimal_commas_are_read_where_the_data_say_so(
    grader: Graders, decimal: str, gold: str, said: str, right: bool
) -> None:
    asked = problem(gold, "numbers", json.dumps({"decimal": decimal}))
    (score,) = grader.grade([asked], [answer(f"Antwort: {said}")])
    assert score.right == right


LONG = [
    "The answer is ",
    "The answer is\n",
    "\\boxed{",
    "\\boxed{}",
    "{",
    "}",
    "#### ",
    "####1\n",
    "<think>",
    "</think>",
    "<answer>",
    "<answer>a</answer>",
    "Question: ",
    "\nQuestion: a",
    "Question:\nAnswer: ",
    "答案是",
    "not ",
    "1,",
    "1 ",
    "1e",
    "√(",
    "²",
    "½",
    "x 10^",
]


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("part", LONG)
def test_long_repetition_takes_linear_time(part: str, truncated: bool) -> None:
    text = part * (200_000 // len(part))
    begun = time.thread_time()
    said = answer(without_reasoning(text), truncated=truncated)
    for name in ("numbers", "math", "qa", "olympiad"):
        judged = GRADERS[name]().judge(problem("5", name), said)
        if isinstance(judged, Comparison):
            assert len(judged.answer) <= 10_020
    # Linear: at most a second here. What was quadratic took minutes.
    assert time.thread_time() - begun < 10


def test_nested_boxes_are_found_in_linear_time() -> None:
    begun = time.thread_time()
    depth = 120_000
    found = final_answer("\\boxed{" * depth + "5" + "}" * depth)
    assert found is not None and found.text == "5"
    assert time.thread_time() - begun < 5


def test_an_answer_that_begins_with_a_question_is_left_whole() -> None:
    whole = answer("Question: a?\nAnswer: 1\n\nQuestion: b?\nAnswer: 2")
    assert spoken(whole) is whole
