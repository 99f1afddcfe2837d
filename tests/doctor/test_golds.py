"""Golds that their grader cannot take are found before hours are spent."""

import pytest

from leaf.doctor.golds import check_contradictions, check_golds, check_kinds, check_sentences
from leaf.records import Problem


def problems(golds: list[str], grader: str) -> list[Problem]:
    return [
        Problem(id=f"p{at}", question="?", answer=gold, solution="", grader=grader)
        for at, gold in enumerate(golds)
    ]


@pytest.mark.parametrize("grader", ["numbers", "close"])
@pytest.mark.parametrize(
    ("golds", "better"),
    [
        (["30 days after delivery", "Paris"], "qa"),
        (["A", "B", "C"], "math"),
        (["2024-08-01", "5:30 pm"], "qa"),
        (["18", "19", "Paris"], "qa"),
    ],
)
def test_words_for_a_grader_of_numbers_are_bad_and_the_grader_to_set_is_named(
    grader: str, golds: list[str], better: str
) -> None:
    (finding,) = check_kinds("training data", problems(golds, grader))
    assert finding.level == "bad"
    assert "gold answers are no number, the first: problem p" in finding.text
    assert f"set `grader: {better}`" in finding.text


def test_one_stray_gold_is_a_warning() -> None:
    (finding,) = check_kinds("training data", problems(["18"] * 99 + ["Paris"], "numbers"))
    assert finding.level == "warn"
    assert "1 of 100 gold answers are no number, the first: problem p99: `Paris`" in finding.text


@pytest.mark.parametrize("grader", ["numbers", "close", "qa", "math"])
def test_golds_that_fit_are_not_told(grader: str) -> None:
    golds = ["18", "1,000", "½", r"\frac{1}{2}", "1e-05", "60°"]
    assert list(check_kinds("training data", problems(golds, grader))) == []


SENTENCE = "You can send it back within thirty days."


def test_sentences_for_a_grader_that_wants_each_word_are_told() -> None:
    (finding,) = check_sentences("training data", problems([SENTENCE] * 3, "qa"))
    assert finding.level == "warn" and "set `grader: rouge_l`" in finding.text
    assert list(check_sentences("training data", problems(["Paris", SENTENCE, "Rome"], "qa"))) == []
    (bad,) = check_kinds("training data", problems([SENTENCE] * 3, "numbers"))
    assert "set `grader: rouge_l`" in bad.text


def test_free_text_takes_its_own_golds_and_no_number() -> None:
    assert list(check_golds("data", problems([SENTENCE, "Paris"], "rouge_l"))) == []
    (bad,) = check_kinds("data", problems(["18", "19"], "rouge_l"))
    assert "2 of 2 gold answers are no text in words" in bad.text
    assert "set `grader: numbers`" in bad.text


def asked_twice(golds: list[str], grader: str) -> list[Problem]:
    """Return problems of one question, and one of another."""
    other = Problem(id="other", question="Who?", answer="none", solution="", grader=grader)
    return [*problems(golds, grader), other]


def test_golds_of_one_question_that_contradict_each_other_are_told() -> None:
    (finding,) = check_contradictions("training data", asked_twice(["1", "1.0", "2"], "numbers"))
    assert finding.level == "warn"
    assert finding.text.startswith(
        "training data: 1 question has golds that contradict each other, the first: '?': `1` "
        "(problem p0) and `2` (problem p2); "
    )


@pytest.mark.parametrize(
    ("golds", "grader"), [(["1", "1.0"], "numbers"), (["1/2", "0.5"], "math"), (["Al", "al"], "qa")]
)
def test_golds_that_say_the_same_do_not_contradict(golds: list[str], grader: str) -> None:
    assert list(check_contradictions("training data", asked_twice(golds, grader))) == []
