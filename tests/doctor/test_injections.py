"""The doctor puts texts into problems before the run does, and says how many take one."""

import sys
from typing import Any

import pytest

from leaf.doctor.data import check_injections
from leaf.errors import UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Problem, Protected

PENS = "Ada has 3 pens. Ada gives 2 pens to Ben. How many pens does Ada have?"
ALONE = "How many pens are 2 pens and 3 pens?"


def recipe(**prune: Any) -> Recipe:
    values = {
        "name": "own",
        "student": {"model": "small"},
        "teacher": {"model": "large"},
        "data": {"task": "table"},
        "evaluate": {"benchmarks": {}},
        "prune": {"strategy": ["inject"], **prune},
    }
    return check_recipe(values, source="own")


def said(recipe: Recipe, *questions: str) -> list[tuple[str, str]]:
    problems = [
        Problem(id=f"p{at}", question=text, answer="9", solution="")
        for at, text in enumerate(questions)
    ]
    return [(one.level, one.text) for one in check_injections(recipe, problems)]


def test_problems_that_take_a_text_are_counted() -> None:
    other = PENS.replace("Ada", "Kim")
    assert said(recipe(), PENS, other) == [("good", "prune.inject: 2 of 2 problems take a text")]
    why = "of the others mostly: there is only the sentence that asks"
    (finding,) = said(recipe(), PENS, ALONE, ALONE)
    assert finding == ("warn", f"prune.inject: 1 of 3 problems take a text; {why} (2)")


def test_data_that_take_nothing_are_bad_where_nothing_else_is_made() -> None:
    why = "of the others mostly: there is only the sentence that asks (1)"
    text = (
        f"prune.inject: 0 of 1 problems take a text; {why}; name other prune.inject.sources, "
        "or another strategy"
    )
    assert said(recipe(), ALONE) == [("bad", text)]
    assert said(recipe(strategy=["span", "inject"]), ALONE) == [("warn", text)]


def test_nothing_is_said_where_nothing_can_be_tried() -> None:
    assert said(recipe(strategy=["span"]), PENS) == []
    assert said(recipe(inject={"sources": ["verified"]}), PENS) == []


def test_without_bm25s_passages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    text = "Document [1] (Title: A)\nOne.\n\nQuestion: Who?"
    asked = Protected(what="question", start=text.index("Who"), end=len(text))
    problem = Problem(id="p", question=text, answer="Ben", solution="", protected=(asked,))
    with pytest.raises(UsageError, match="passages needs bm25s"):
        list(check_injections(recipe(inject={"sources": ["passages"]}), [problem]))
