"""Free text: ROUGE-L and F1, from which score on an answer is right, and what is measured."""

import random
import time

import pytest
from torchmetrics.functional.text.rouge import _rouge_l_score

from leaf.errors import RecipeError
from leaf.evaluate import measures
from leaf.grade import Graders, grader_of
from leaf.grade.free import rouge_l, words
from leaf.recipe import DataSection
from leaf.recipe.reading import check_section
from leaf.records import Answer, Problem, Score

REFUND = "You can send it back within thirty days."


def judged(
    grader: Graders,
    name: str,
    text: str,
    *golds: str,
    options: str = "",
    truncated: bool = False,
    solution: str = "",
) -> Score:
    problem = Problem(
        id="p",
        question="?",
        answer=golds[0],
        golds=golds[1:],
        solution=solution,
        grader=name,
        grader_options=options,
    )
    answer = Answer(
        problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated
    )
    (score,) = grader.grade([problem], [answer])
    return score


def value(score: Score) -> float:
    return {one.name: one.value for one in score.measures}.get("ROUGE-L", -1.0)


def test_rouge_l_is_that_of_torchmetrics_on_any_words() -> None:
    rng = random.Random(0)
    for _ in range(300):
        said, gold = (rng.choices("abcdefg", k=rng.randint(1, 90)) for _ in range(2))
        theirs = _rouge_l_score(said, gold)["fmeasure"].item()
        assert rouge_l(said, gold) == pytest.approx(theirs, abs=1e-6)
    assert rouge_l([], ["a"]) == rouge_l([], []) == 0.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It's 3.5% -- of A_B", ["it", "s", "3", "5", "of", "a", "b"]),  # as rouge-score has it
        ("Über-Größe", ["über", "größe"]),
        ("退款30天", ["退", "款", "30", "天"]),
        ("... !", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_or_signs_of_an_unspaced_script(
    text: str, found: list[str]
) -> None:
    assert words(text) == found


def test_a_score_is_right_from_its_threshold_on_and_both_are_measured(grader: Graders) -> None:
    # "the cat sat" of "the cat lay": LCS 2 of 3 and 3 words, 2*2/6.
    low = judged(grader, "rouge_l", "The cat sat.", "the cat lay", options='{"threshold": 0.67}')
    high = judged(grader, "rouge_l", "The cat sat.", "the cat lay", options='{"threshold": 0.66}')
    assert (low.outcome, high.outcome) == ("wrong", "right")
    assert value(low) == value(high) == pytest.approx(2 / 3)
    assert low.reason == "ROUGE-L 0.67 is below the threshold 0.67"
    assert measures([low]) == {"pass": {"p": 0.0}, "ROUGE-L": {"p": pytest.approx(2 / 3)}}


def test_order_counts_for_rouge_l_alone_and_the_best_gold_does(grader: Graders) -> None:
    golds = ("No.", REFUND)
    turned = "days thirty within back it send can you"
    assert judged(grader, "rouge_l", REFUND, *golds).right
    assert judged(grader, "qa_f1", turned, *golds).right
    assert value(judged(grader, "rouge_l", turned, *golds)) == pytest.approx(2 / 16)


def test_f1_is_of_the_marked_answer_else_of_the_whole_response(grader: Graders) -> None:
    long = "Let me look that up for you in the terms.\n" * 3
    assert judged(grader, "qa_f1", f"{long}Answer: thirty days", "thirty days").right
    both = judged(grader, "qa_f1", "It can be sent back.\nThirty days.", "It can be sent back.")
    # 7 words were said, 5 wanted, 5 shared: 10/12.
    assert both.measures[1].value == pytest.approx(10 / 12)


def test_the_solution_may_be_what_a_response_is_held_against(grader: Graders) -> None:
    options = '{"against": "solution"}'
    assert judged(grader, "rouge_l", REFUND, "30", options=options, solution=REFUND).right
    bare = judged(grader, "rouge_l", REFUND, "30", options=options)
    assert bare.outcome == "ungradable"
    assert bare.reason == "gold: the problem has no solution to compare with"


def test_what_was_cut_below_its_threshold_is_open_and_an_unanswerable_one_is_right(
    grader: Graders,
) -> None:
    assert judged(grader, "rouge_l", "You can", REFUND, truncated=True).outcome == "ungradable"
    assert judged(grader, "rouge_l", REFUND[:-1], REFUND, truncated=True).right
    assert judged(grader, "qa_f1", "Answer: Paris\nIt", "Rome", truncated=True).outcome == "wrong"
    for name in ("rouge_l", "qa_f1"):
        assert judged(grader, name, "That is unanswerable.", "").right
        assert judged(grader, name, "In Rome.", "").outcome == "wrong"


def test_a_long_answer_is_scored_at_once() -> None:
    said = [str(number % 977) for number in range(20_000)]
    begin = time.process_time()
    assert 0 < rouge_l(said, said[::-1]) < 1
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("threshold", [2, 0, -1, "half"])
def test_a_threshold_that_is_no_share_is_named_by_its_key(threshold: object) -> None:
    values = {"task": "table", "grader": {"rouge_l": {"threshold": threshold}}}
    with pytest.raises(RecipeError) as raised:
        check_section(DataSection, values, source="mine.yaml")
    assert "mine.yaml: `grader.rouge_l.threshold` must be" in str(raised.value)


@pytest.mark.parametrize(("gold", "fits"), [("18", False), (REFUND, True), ("?!", False)])
def test_a_gold_without_words_is_nothing_that_it_takes(gold: str, fits: bool) -> None:
    problem = Problem(id="p", question="?", answer=gold, solution="", grader="rouge_l")
    assert (grader_of(problem).unfit(gold) == "") == fits
