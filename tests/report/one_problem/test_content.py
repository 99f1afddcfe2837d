"""What is shown of one prompt."""

import dataclasses
import json
from typing import Any

import pytest

from leaf.recipe import Recipe
from leaf.report.one_problem import explanation
from leaf.report.placebos import as_line, in_words
from leaf.store.ledger import Control, Entry
from tests.report.one_problem.conftest import variant


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
    assert found["refused"] == [{"reason": "would cut inside a word", "count": 1}]
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


def test_a_cut_shows_what_it_was_held_against(entry: Entry, recipe: Recipe) -> None:
    held = Control(greedy=True, placebos=2, freed=0.5, rate=None, before=None, why_few="")
    cut, *others = entry.variants
    shown = dataclasses.replace(
        entry,
        variants=(
            dataclasses.replace(cut, control=held),
            *others,
            variant("cf0/pl0", "Ben", strategy="placebo", donor="p/cf0"),
            variant("cf0/pl1", " has", strategy="placebo", donor="p/cf0", reason="student right"),
        ),
    )
    problem = explanation(shown, recipe, "ledger")["problem"]
    first, *rest = problem["removals"]
    assert first["control"] == {
        "said": "right without 1 of 2 placebos",
        "placebos": [
            {"text": "Ben", "reason": "student wrong"},
            {"text": " has", "reason": "student right"},
        ],
    }
    assert as_line(first["control"]) == (
        "right without 1 of 2 placebos: “Ben” student wrong, “has” student right"
    )
    assert all(one["control"] is None for one in rest)
    # They are none of what was tried, and mark nothing.
    before = explanation(entry, recipe, "ledger")["problem"]
    assert problem["tried"] == before["tried"]
    assert problem["units"] == before["units"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "right without 0 of 3 placebos"),
        ({"placebos": 0, "freed": None, "why_few": "too short"}, "too short"),
        (
            {"rate": 0.75, "before": 0.25, "freed": 0.5},
            "right in 75% of samples without it, in 25% with it; in 50% without a placebo, of 3",
        ),
    ],
)
def test_control_is_said_in_one_line(changes: dict[str, Any], said: str) -> None:
    values = {"greedy": True, "placebos": 3, "freed": 0.0, "rate": None, "before": None}
    assert in_words(Control(**{**values, "why_few": "", **changes})) == said


def test_what_a_detector_ranked_without_a_gradient_is_shown(
    by_sentence: tuple[Entry, Recipe],
) -> None:
    entry, recipe = by_sentence
    units = tuple(
        dataclasses.replace(unit, teacher=None, student=None, gap=None) for unit in entry.units
    )
    entry = dataclasses.replace(entry, units=units, student_loss=None, teacher_loss=None)
    assert explanation(entry, recipe, "here")["skipped"] is None
    unranked = dataclasses.replace(entry, rankings=())
    assert explanation(unranked, recipe, "here")["skipped"] == "no ranking"
