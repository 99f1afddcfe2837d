"""What is shown of one prompt."""

import dataclasses
import json

from leaf.recipe import Recipe
from leaf.report.one_problem import explanation
from leaf.store.ledger import Entry


def test_everything_tried_by_the_recipes_detector_is_there_the_kept_first(
    entry: Entry, recipe: Recipe
) -> None:
    found = explanation(entry, recipe, "here")
    assert [removal["id"] for removal in found["problem"]["removals"]] == [
        "p/cf0",
        "p/cf1",
        "p/sb0",
    ]
    assert (found["problem"]["tried"], found["problem"]["kept"]) == (3, 1)
    assert found["refused"] == [{"reason": "span would cut inside a word", "count": 1}]
    assert found["controls"] == [{"detector": "random", "kept": 0, "tried": 1}]


def test_units_join_to_the_question_and_say_what_was_taken_out_and_what_it_did(
    entry: Entry, recipe: Recipe
) -> None:
    units = explanation(entry, recipe, "here")["problem"]["units"]
    assert "".join(unit["text"] for unit in units) == entry.question
    marks = {unit["text"]: (unit["removed"], unit["freed"]) for unit in units if "gap" in unit}
    assert marks == {
        "Ben": (True, False),
        " has 3": (False, False),
        " red": (True, True),
        " pens.": (False, False),
    }
    assert units[2]["difference"] == -1.0


def test_a_substitutes_pieces_join_to_both_questions(entry: Entry, recipe: Recipe) -> None:
    pieces = explanation(entry, recipe, "here")["problem"]["removals"][2]["pieces"]
    assert "".join(p["text"] for p in pieces if not p["inserted"]) == entry.question
    assert "".join(p["text"] for p in pieces if not p["removed"]) == entry.variants[2].question


def test_more_removals_than_the_report_shows_are_all_there(entry: Entry, recipe: Recipe) -> None:
    many = [dataclasses.replace(entry.variants[1], id=f"p/cf{number}") for number in range(40)]
    found = explanation(dataclasses.replace(entry, variants=tuple(many)), recipe, "here")
    assert len(found["problem"]["removals"]) == 40


def test_without_scores_the_reason_is_there(entry: Entry, recipe: Recipe) -> None:
    lost = dataclasses.replace(entry, units=(), skipped="too long", variants=())
    assert explanation(lost, recipe, "here")["skipped"] == "too long"
    flat = [dataclasses.replace(unit, gap=None, student=None) for unit in entry.units]
    why = dataclasses.replace(entry.variants[3], spans=(), reason="all student scores are equal")
    unranked = dataclasses.replace(entry, units=tuple(flat), variants=(why,))
    assert explanation(unranked, recipe, "here")["skipped"] == "all student scores are equal"


def test_it_is_json(entry: Entry, recipe: Recipe) -> None:
    values = json.loads(json.dumps(explanation(entry, recipe, "here")))
    assert values["problem"]["before"]["student"]["text"] == "first I said 7"
    assert values["source"] == "here"


def test_a_segment_of_a_response_comes_with_what_stands_before_it(
    entry: Entry, recipe: Recipe
) -> None:
    within = dataclasses.replace(entry, level="response", prompt="How many?", before="Well: ")
    problem = explanation(within, recipe, "here")["problem"]
    assert (problem["level"], problem["prompt"]["text"]) == ("response", "How many?")
    assert problem["earlier"]["text"] == "Well: "
    assert "".join(unit["text"] for unit in problem["units"]) == entry.question
    asked = explanation(entry, recipe, "here")["problem"]
    assert (asked["level"], asked["prompt"], asked["earlier"]) == ("instruction", None, None)
