"""Spans of neighbouring candidates, and the questions that are left."""

import numpy as np
import pytest

from leaf.prune import distinct, prune, remove, spans
from leaf.recipe import PruneSection
from leaf.records import Counterfactual, Problem, RankedUnits, Span

# Units:   0    1   2     3   4      5   6
#          Tom  ' ' 'red' ' ' 'pens' '\n' '?!'
QUESTION = "Tom red pens\n?!"
STARTS, ENDS = (0, 3, 4, 7, 8, 12, 13), (3, 4, 7, 8, 12, 13, 15)

PROBLEM = Problem(
    id="gsm8k-7", question=QUESTION, answer="4", solution="", before="Read: ", after=" Now."
)


def scores(*gap: float) -> RankedUnits:
    return RankedUnits(problem_id=PROBLEM.id, starts=STARTS, ends=ENDS, rank_score=gap)


def marked(*units: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.array([unit in units for unit in range(len(STARTS))], dtype=np.bool_)


# Lowest at `red` and `?!`, then `pens`; 1 at `Tom` so that the largest is 1.
GAP = (1.0, 0.6, 0.0, 0.6, 0.3, 0.6, 0.05)


def test_a_span_is_a_maximal_run_of_neighbours() -> None:
    found = spans(marked(2, 3, 4, 6), scores(*GAP), QUESTION)
    assert found == [
        Span(start=4, end=12, text="red pens", gap=0.0, units=3),
        Span(start=13, end=15, text="?!", gap=0.05, units=1),
    ]


def test_white_space_parts_spans_unless_it_is_bridged() -> None:
    apart = spans(marked(0, 2, 4), scores(*GAP), QUESTION)
    assert [span.text for span in apart] == ["Tom", "red", "pens"]
    (joined,) = spans(marked(0, 2, 4), scores(*GAP), QUESTION, bridge_whitespace=True)
    assert (joined.start, joined.end, joined.text) == (0, 12, "Tom red pens")
    assert joined.gap == 0.0


def test_only_white_space_is_bridged() -> None:
    found = spans(marked(0, 4), scores(*GAP), QUESTION, bridge_whitespace=True)
    assert [span.text for span in found] == ["Tom", "pens"]


def test_no_candidate_is_no_span() -> None:
    assert spans(marked(), scores(*GAP), QUESTION) == []


def test_removal_takes_each_piece_whatever_their_order() -> None:
    pieces = spans(marked(0, 2, 6), scores(*GAP), QUESTION)
    assert remove(QUESTION, pieces) == "  pens\n"
    assert remove(QUESTION, pieces[::-1]) == "  pens\n"
    assert remove(QUESTION, []) == QUESTION


def test_span_pruning_removes_one_span_at_a_time_in_text_order() -> None:
    found = prune(PROBLEM, scores(*GAP), PruneSection(threshold=0.10, strategy=["span"]))
    assert [item.question for item in found] == ["Tom  pens\n?!", "Tom red pens\n"]
    assert [[span.text for span in item.spans] for item in found] == [["red"], ["?!"]]
    assert [item.id for item in found] == ["gsm8k-7/cf0", "gsm8k-7/cf1"]
    assert {(item.problem_id, item.strategy, item.skipped) for item in found} == {
        ("gsm8k-7", "span", None)
    }


def test_collective_pruning_removes_all_spans_together() -> None:
    (only,) = prune(PROBLEM, scores(*GAP), PruneSection(threshold=0.10, strategy=["collective"]))
    assert only.question == "Tom  pens\n"
    assert [span.text for span in only.spans] == ["red", "?!"]
    assert (only.id, only.strategy, only.skipped) == ("gsm8k-7/cf0", "collective", None)


def test_bridging_is_taken_from_the_recipe() -> None:
    section = PruneSection(threshold=0.30, bridge_whitespace=True)
    found = prune(PROBLEM, scores(*GAP), section)
    assert [span.text for item in found for span in item.spans] == ["red pens\n?!"]
    assert [item.question for item in found] == ["Tom "]


def test_spans_alone_and_together_are_cut_where_both_are_named() -> None:
    section = PruneSection(threshold=0.10, strategy=["collective", "span"])
    found = prune(PROBLEM, scores(*GAP), section)
    alone = prune(PROBLEM, scores(*GAP), PruneSection(threshold=0.10))
    (together,) = prune(
        PROBLEM, scores(*GAP), PruneSection(threshold=0.10, strategy=["collective"])
    )
    assert [(item.strategy, item.spans, item.question) for item in found] == [
        (item.strategy, item.spans, item.question) for item in (*alone, together)
    ]
    assert len({item.id for item in distinct(found)}) == len(found)


@pytest.mark.parametrize("strategy", ["span", "collective"])
def test_without_a_ranking_the_reason_is_the_only_record(strategy: str) -> None:
    section = PruneSection.model_validate({"strategy": strategy})
    (only,) = prune(PROBLEM, "all teacher scores are equal", section)
    assert only.skipped == "all teacher scores are equal"
    assert (only.problem_id, only.spans, only.question) == ("gsm8k-7", (), QUESTION)
    assert only.strategy == strategy


def test_a_question_whose_lowest_unit_is_white_space_has_no_candidate() -> None:
    (only,) = prune(PROBLEM, scores(1.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5), PruneSection())
    assert only.skipped == "no candidate token"


@pytest.mark.parametrize("bridge", [False, True])
def test_a_question_that_would_vanish_is_skipped_with_the_reason(bridge: bool) -> None:
    # Everything but white space goes: what is left says nothing.
    section = PruneSection(threshold=1.0, strategy=["collective"], bridge_whitespace=bridge)
    (only,) = prune(PROBLEM, scores(*GAP), section)
    assert only.skipped == "nothing would be left of the question"
    assert only.question == ("" if bridge else "  \n")


def test_one_span_that_is_the_whole_question_is_skipped_as_well() -> None:
    problem = Problem(id="p", question="Why?", answer="", solution="")
    focus = RankedUnits(problem_id="p", starts=(0, 3), ends=(3, 4), rank_score=(0.0, 1.0))
    (whole,) = prune(problem, focus, PruneSection(threshold=1.0))
    assert whole.skipped == "nothing would be left of the question"
    (part,) = prune(problem, focus, PruneSection(threshold=0.1))
    assert (part.question, part.skipped) == ("?", None)


def test_ids_differ_between_spans_and_between_problems() -> None:
    one = Problem(id="a", question=QUESTION, answer="", solution="")
    two = Problem(id="b", question=QUESTION, answer="", solution="")
    section = PruneSection(threshold=0.6)
    found = [item for problem in (one, two) for item in prune(problem, scores(*GAP), section)]
    assert len(found) == 6
    assert len({item.id for item in found}) == 6


def cut(question: str, number: int, skipped: str | None = None) -> Counterfactual:
    return Counterfactual(
        id=f"p/cf{number}",
        problem_id="p",
        strategy="span",
        spans=(),
        question=question,
        skipped=skipped,
    )


def test_the_same_cut_by_two_units_is_tried_once_and_numbered_anew() -> None:
    found = distinct([cut("a", 0), cut("b", 1), cut("a", 0), cut("", 1, "empty"), cut("c", 2)])
    assert [(item.id, item.question) for item in found] == [
        ("p/cf0", "a"),
        ("p/cf1", "b"),
        ("p/cf2", "c"),
    ]


def test_where_no_unit_gives_a_cut_the_first_reason_stays() -> None:
    none = [cut("q", 0, "no candidate token"), cut("q", 0, "nothing would be left")]
    assert distinct(none) == none[:1]


def refused(places: list[tuple[int, int]], reason: str) -> Counterfactual:
    taken = tuple(
        Span(start=start, end=end, text=QUESTION[start:end], gap=0.0, units=1)
        for start, end in places
    )
    return Counterfactual(
        id="p/no0", problem_id="p", strategy="span", spans=taken, question="q", skipped=reason
    )


def test_every_refused_span_stays_once_beside_what_was_cut() -> None:
    one, two = refused([(0, 3)], "inside a word"), refused([(4, 7)], "inside a word")
    found = distinct([cut("a", 0), one, two, one, cut("b", 1)])
    assert [item.id for item in found] == ["p/cf0", "p/no0", "p/no1", "p/cf1"]
    assert [item.spans for item in found if item.skipped] == [one.spans, two.spans]


def test_a_refused_span_says_more_than_that_there_is_no_candidate() -> None:
    one = refused([(0, 3)], "inside a word")
    assert distinct([cut("q", 0, "no candidate token"), one]) == [one]
