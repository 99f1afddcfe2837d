"""Neutral fillers where spans were."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.prune import distinct, prune, substitutes
from leaf.prune.substitute import FILLERS, kind
from leaf.recipe import PruneSection
from leaf.records import Problem, RankedUnits, Span

QUESTION = "Ida is 40 years old. At the market, Ben quickly buys 1,250 red pens. How many?"
PROBLEM = Problem(id="p", question=QUESTION, answer="3", solution="3")


def span(text: str, question: str = QUESTION) -> Span:
    start = question.index(text)
    return Span(start=start, end=start + len(text), text=text, gap=0.0, units=1)


def fillers(text: str, times: int = 1, seed: int = 0) -> list[str]:
    section = PruneSection(strategy=["substitute"], substitutes=times, seed=seed)
    return [item.inserted for item in substitutes(PROBLEM, [span(text)], section)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ida is 40 years old.", "sentence"),
        (" How many?", "sentence"),
        ("At the market,", "phrase"),
        (" red pens.", "phrase"),  # ends a sentence, but does not begin one
        (" red", "word"),
        (" pens.", "word"),
        (" quickly", "adverb"),
        (" 1,250", "number"),
        ("40", "number"),
        ("4", None),
        ("arket", None),
        (".", None),
        (" ", None),
    ],
)
def test_the_kind_of_a_span(text: str, expected: str | None) -> None:
    assert kind(QUESTION, span(text)) == expected


@pytest.mark.parametrize("text", ["Ida is 40 years old.", "At the market,", " red", " quickly"])
def test_a_filler_is_one_of_its_kind_with_the_marks_and_spaces_of_the_span(text: str) -> None:
    (made,) = substitutes(PROBLEM, [span(text)], PruneSection(strategy=["substitute"]))
    start = QUESTION.index(text)
    before, after = QUESTION[:start], QUESTION[start + len(text) :]
    assert made.question.startswith(before)
    assert made.question.endswith(after)
    new = made.question[len(before) : len(made.question) - len(after)]
    assert new.strip() == made.inserted
    assert new.startswith(" ") == text.startswith(" ")
    found = kind(QUESTION, span(text))
    bare = new.strip().rstrip(",")
    assert bare in {*FILLERS[found or ""], *(t[0].upper() + t[1:] for t in FILLERS[found or ""])}
    assert bare[0].isupper() == text.strip()[0].isupper()
    assert (made.strategy, made.spans, made.skipped) == ("substitute", (span(text),), None)


def test_a_number_becomes_another_number_of_as_many_digits() -> None:
    found = fillers(" 1,250", times=20)
    assert len(set(found)) == 20
    assert "1,250" not in found
    assert all(re.fullmatch(r"[1-9],[1-9]{3}", text) for text in found)


def test_of_one_digit_there_are_no_more_than_the_others() -> None:
    problem = Problem(id="p", question="Ben has 3 pens", answer="", solution="")
    section = PruneSection(strategy=["substitute"], substitutes=30)
    made = substitutes(problem, [span("3", problem.question)], section)
    assert {item.inserted for item in made} == set("12456789")


def test_as_many_different_fillers_as_asked_for_and_as_there_are() -> None:
    assert len(set(fillers(" red", times=3))) == 3
    assert sorted(fillers(" red", times=99)) == sorted(FILLERS["word"])


def test_a_filler_never_equals_what_it_replaces() -> None:
    problem = Problem(id="p", question="As usual, Ben waits.", answer="", solution="")
    section = PruneSection(strategy=["substitute"], substitutes=99)
    made = substitutes(problem, [span("As usual,", problem.question)], section)
    assert len(made) == len(FILLERS["phrase"]) - 1
    assert problem.question not in {item.question for item in made}


def test_what_is_drawn_depends_on_seed_problem_and_span_alone() -> None:
    texts = [" red", " quickly", "At the market,"]
    section = PruneSection(strategy=["substitute"], seed=7)
    together = substitutes(PROBLEM, [span(text) for text in texts], section)
    alone = [substitutes(PROBLEM, [span(text)], section)[0] for text in texts]
    assert [item.inserted for item in together] == [item.inserted for item in alone]
    drawn = {tuple(fillers(text, seed=seed)[0] for text in texts) for seed in range(20)}
    assert len(drawn) > 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [("arket", "no filler for a piece of a word"), (".", "no filler for marks alone")],
)
def test_a_span_that_no_filler_fits_says_so(text: str, reason: str) -> None:
    (made,) = substitutes(PROBLEM, [span(text)], PruneSection(strategy=["substitute"]))
    assert (made.skipped, made.question) == (reason, QUESTION)


@given(st.text(alphabet="ab 1.,!?é\n'", min_size=1, max_size=30), st.data())
def test_around_a_filler_the_question_stays_character_by_character(text: str, data) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    place = Span(start=start, end=end, text=text[start:end], gap=0.0, units=1)
    problem = Problem(id="p", question=text, answer="", solution="")
    (made,) = substitutes(problem, [place], PruneSection(strategy=["substitute"]))
    if made.skipped:
        assert made.question == text
        return
    core = place.text.strip()
    at = start + place.text.index(core)
    assert made.question == text[:at] + made.inserted + text[at + len(core) :]
    assert made.question != text


SCORES = RankedUnits(
    problem_id="p",
    starts=(0, 20, 78 - 10),
    ends=(20, 68, 78),
    rank_score=(0.0, 1.0, 0.05),
)


@pytest.mark.parametrize(
    ("strategy", "made"),
    [
        ("span", ["span", "span"]),
        ("substitute", ["substitute", "substitute"]),
        ("span+substitute", ["span", "span", "substitute", "substitute"]),
        # Transplants are made of verified removals, so there must be removals.
        ("transplant+substitute", ["span", "span", "substitute", "substitute"]),
    ],
)
def test_a_strategy_makes_what_it_names(strategy: str, made: list[str]) -> None:
    section = PruneSection.model_validate({"strategy": strategy})
    assert [item.strategy for item in prune(PROBLEM, SCORES, section)] == made


def test_removals_keep_their_ids_beside_substitutes_and_refused_spans() -> None:
    both = PruneSection(strategy=["span", "substitute"], threshold=0.10)
    found = distinct([*prune(PROBLEM, SCORES, both), *prune(PROBLEM, SCORES, both)])
    assert [item.id for item in found] == ["p/cf0", "p/cf1", "p/sb0", "p/sb1"]
    alone = distinct(prune(PROBLEM, SCORES, PruneSection(threshold=0.10)))
    assert [item.id for item in alone] == ["p/cf0", "p/cf1"]
    assert alone == found[:2]
