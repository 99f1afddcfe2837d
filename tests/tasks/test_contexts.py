"""The same two passages in each of the forms in which public sets write them."""

import json
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.tasks.contexts import answers_of, read_passages
from leaf.tasks.passages import Passage
from leaf.tasks.reading import Row

A, B = Passage(title="A", text="One. Two.", gold=True), Passage(title="B", text="Three.")
PAIRS = [["A", "One. Two."], ["B", "Three."]]


def row(**values: Any) -> Row:
    return Row(place="f.jsonl:7", name="f-7", values=values)


@pytest.mark.parametrize(
    "values",
    [
        {"context": PAIRS, "supporting_titles": ["A"]},
        {"context": [["A", ["One.", "Two."]], ["B", ["Three."]]], "supporting_facts": [["A", 1]]},
        {
            "context": {"title": ["A", "B"], "sentences": [["One.", " Two."], ["Three."]]},
            "supporting_facts": {"title": ["A", "A"], "sent_id": [0, 1]},
        },
        {"context": json.dumps(PAIRS), "supporting_facts": json.dumps([["A", 0]])},
        {"context": PAIRS, "supporting_idx": [0]},
        {"context": PAIRS, "gold_idx": 0},
        {
            "ctxs": [
                {"title": "A", "text": "One. Two.", "isgold": True},
                {"title": "B", "text": "Three.", "isgold": False},
            ]
        },
        {
            "ctxs": [
                {"title": "A", "paragraph_text": "One. Two.", "is_supporting": True},
                {"title": "B", "paragraph_text": "Three.", "is_supporting": False},
            ]
        },
    ],
)
def test_every_form_gives_the_same_passages(values: dict[str, Any]) -> None:
    assert read_passages(row(**values), "context", "ctxs") == (A, B)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "no column `context`; this record has: none"),
        ({"context": "text"}, "column `context` must hold passages, but is 'text'"),
        ({"context": "[1"}, "column `context` is not JSON"),
        ({"context": {"title": ["A"]}}, "must hold `title` and `sentences`, but has: title"),
        ({"context": {"title": ["A"], "text": []}}, "column `context` has 1 titles and 0 texts"),
        ({"context": [["A", ""]]}, "passage 0 of column `context` must have a title and a text"),
        ({"context": PAIRS, "supporting_titles": ["C"]}, "gold passage 'C' is not among"),
        ({"context": PAIRS, "gold_idx": 2}, "gold passage 2 is not among the passages"),
        ({"context": PAIRS, "gold_idx": "one"}, "'one' is no number of a gold passage"),
        ({"context": PAIRS, "supporting_facts": 3}, "column `supporting_facts` cannot be read"),
        ({"context": PAIRS, "supporting_facts": [[]]}, "column `supporting_facts` cannot be read"),
        ({"context": PAIRS, "supporting_titles": 3}, "column `supporting_titles` cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named_by_place(values: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_passages(row(**values), "context")
    assert str(caught.value).startswith("f.jsonl:7: ")
    assert said in str(caught.value)


def test_equal_and_empty_answers_are_given_once_or_not_at_all() -> None:
    assert answers_of(row(answers=["a", " a", "", "b"]), "answers") == ("a", "b")
    assert answers_of(row(answers='["a", "b"]'), "answers") == ("a", "b")
    with pytest.raises(DataError, match="column `answers` must list texts"):
        answers_of(row(answers=[1]), "answers")
