"""Placebos: as large as the cut, elsewhere, and never what must stay."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.records import Counterfactual, Problem, Protected, Span
from leaf.text.units import pieces
from leaf.verify import placebos
from leaf.verify.placebo import FEWER, ONE_SPAN, SIZES, TOO_SHORT, asking

RAIN = " It rains a lot today."
QUESTION = f"Ada has four new pens.{RAIN} Bo gives her two cups. Yes. How many pens has Ada now?"


def problem(question: str = QUESTION, **changes: Any) -> Problem:
    return Problem(id="p", question=question, answer="4", solution="4", **changes)


def cut(text: str, question: str = QUESTION, **changes: Any) -> Counterfactual:
    start = question.index(text)
    span = Span(start=start, end=start + len(text), text=text, gap=0.0, units=1)
    return Counterfactual(
        id="p/cf0",
        problem_id="p",
        strategy="span",
        spans=(span,),
        question=question.replace(text, "", 1),
        **changes,
    )


def drawn(item: Counterfactual, count: int, of: Problem, **changes: Any) -> list[str]:
    return [one.spans[0].text for one in draw(item, count, of, **changes)[0]]


def draw(
    item: Counterfactual, count: int, of: Problem, **changes: Any
) -> tuple[list[Counterfactual], str]:
    settings = {"units": ["sentence"], "tokens": (), "refused": lambda span: None, "seed": 0}
    return placebos(of, item, count, **{**settings, **changes})


def test_a_placebo_is_another_piece_of_the_cuts_unit_and_size() -> None:
    # " Yes." is too short, the cut itself and what asks may not go: two sentences are left.
    made, why = draw(cut(RAIN), 2, problem())
    assert {one.spans[0].text for one in made} == {
        "Ada has four new pens.",
        " Bo gives her two cups.",
    }
    assert why == ""
    for one in made:
        (span,) = one.spans
        assert one.question == QUESTION.replace(span.text, "", 1)
        assert (one.strategy, one.donor, one.problem_id) == ("placebo", "p/cf0", "p")
    assert {one.id for one in made} == {"p/cf0/pl0", "p/cf0/pl1"}


def test_a_document_is_held_against_documents() -> None:
    documents = ["Rain falls on the hills.", "Ada has four pens. Bo has two.", "Snow lies in May."]
    question = "\n\n".join([*documents, "How many pens has Ada?"])
    found = drawn(cut(documents[0], question), 2, problem(question), units=["paragraph"])
    assert {text.strip() for text in found} == set(documents[1:])


def test_where_no_such_piece_is_left_runs_of_words_are_taken() -> None:
    # A phrase: no other one has 4 to 14 letters, so runs of words have.
    question = "At noon, Ada has four new red pens in a big box. How many pens has Ada now?"
    found = drawn(cut("At noon,", question), 3, problem(question), units=["phrase"])
    assert len(found) == 3
    assert all(4 <= len(text.strip()) <= 16 for text in found)
    assert all(text in " Ada has four new red pens in a big box." for text in found)


@pytest.mark.parametrize(
    ("question", "count", "left", "why"),
    [
        ("It rains. How many pens?", 2, 0, TOO_SHORT),
        ("It rains. Ada naps. How many pens?", 2, 1, FEWER),
        ("It rains. Ada naps. Bo sits. How many pens?", 2, 2, ""),
    ],
)
def test_a_short_question_has_fewer_placebos_and_says_so(
    question: str, count: int, left: int, why: str
) -> None:
    made, said = draw(cut("It rains.", question), count, problem(question))
    assert (len(made), said) == (left, why)


def test_what_the_answer_is_checked_by_and_what_a_guard_refuses_stays() -> None:
    start = QUESTION.index("Bo")
    protected = (Protected(what="entity", start=start, end=start + 2),)

    def refused(span: Span) -> object:
        return any(max(one.start, span.start) < min(one.end, span.end) for one in protected)

    found = drawn(cut(RAIN), 9, problem(protected=protected), refused=refused)
    assert found
    assert not any("Bo" in text for text in found)


def test_without_a_question_mark_the_last_sentence_asks_and_a_response_asks_nothing() -> None:
    text = "Ada has 4 pens. Say how many."
    (place,) = asking(problem(text))
    assert text[slice(*place)] == " Say how many."
    assert asking(problem(text, prompt="How many?")) == []


def test_the_draw_depends_on_the_seed_the_problem_and_the_place_alone() -> None:
    item = cut(RAIN)
    first = drawn(item, 1, problem())
    assert drawn(replace(item, id="p/cf7"), 1, problem()) == first
    found = {tuple(drawn(item, 1, problem(), seed=seed)) for seed in range(9)}
    assert len(found) == 2


@pytest.mark.parametrize("strategy", ["collective", "substitute"])
def test_only_one_span_that_nothing_replaces_has_placebos(strategy: str) -> None:
    assert draw(replace(cut(RAIN), strategy=strategy), 2, problem()) == ([], ONE_SPAN)
    assert draw(replace(cut(RAIN), spans=cut(RAIN).spans * 2), 2, problem()) == ([], ONE_SPAN)


def test_a_run_of_tokens_is_held_against_runs_of_tokens() -> None:
    tokens = [(at, at + 3) for at in range(0, len(QUESTION) - 3, 3)]
    found = draw(cut(" a lot"), 4, problem(), units=["token"], tokens=tokens)[0]
    assert {(one.spans[0].start % 3, one.spans[0].end % 3) for one in found} == {(0, 0)}
    # Five letters and no more than twice as many.
    assert all(2 <= len(one.spans[0].text.strip()) <= 10 for one in found)


PARTS = st.lists(
    st.sampled_from([" Ada", " has", " 4", " pens", ".", ",", "?", " which", " and", "\n", " a"]),
    min_size=1,
    max_size=40,
).map("".join)


@given(question=PARTS, unit=st.sampled_from(["word", "phrase", "clause", "sentence"]), at=st.data())
def test_placebos_never_overlap_the_cut_each_other_or_what_asks(
    question: str, unit: str, at: st.DataObject
) -> None:
    tiles = pieces(question, unit)
    if not tiles:
        return
    start, end = at.draw(st.sampled_from(tiles))
    span = Span(start=start, end=end, text=question[start:end], gap=0.0, units=1)
    item = replace(cut(RAIN), spans=(span,))
    made, why = draw(item, 3, problem(question), units=[unit])
    places = [(start, end), *((one.spans[0].start, one.spans[0].end) for one in made)]
    assert disjoint(places)
    for place in asking(problem(question)):
        assert all(disjoint([place, mine]) for mine in places[1:])
    size = len(span.text.strip())
    assert all(
        SIZES[0] * size <= len(question[slice(*one)].strip()) <= SIZES[1] * size
        for one in places[1:]
    )
    assert (len(made) < 3) == bool(why)


def disjoint(places: Sequence[tuple[int, int]]) -> bool:
    ordered = sorted(places)
    return all(one[1] <= other[0] for one, other in pairwise(ordered))
