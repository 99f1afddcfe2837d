"""The doctor puts texts into problems before the run does, and says how many take one."""

import sys
from typing import Any

import pytest

from leaf.doctor.data import check_injections
from leaf.errors import UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe, load_recipe
from leaf.records import Problem, Protected
from leaf.tasks import load_problems

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
    text = f"prune.inject: 0 of 1 problems take a text; {why}; name another strategy"
    assert said(recipe(), ALONE) == [("bad", text)]
    assert said(recipe(strategy=["span", "inject"]), ALONE) == [("warn", text)]


def test_a_source_that_gives_nothing_to_questions_with_room_is_named() -> None:
    why = "of the others mostly: no text of prune.inject.sources fits (1)"
    # One problem alone has no other whose sentences it could take.
    text = (
        f"prune.inject: 0 of 1 problems take a text; {why}; name other prune.inject.sources, "
        "or another strategy"
    )
    only = recipe(inject={"sources": ["problems"]})
    assert said(only, PENS) == [("bad", text)]


@pytest.mark.parametrize("source", ["needless", "verified"])
def test_what_the_run_itself_finds_is_no_warning_before_it(source: str) -> None:
    ((level, text),) = said(recipe(inject={"sources": [source]}), PENS)
    assert level == "good"
    assert text == (
        f"prune.inject.sources {source}: the run finds the texts; 1 of 1 problems have more than "
        "the sentence that asks, and so a place for one"
    )


def test_beside_what_the_run_finds_a_source_that_gives_nothing_is_still_told() -> None:
    found, given = said(recipe(inject={"sources": ["problems", "needless"]}), PENS)
    assert found[0] == "good"
    assert given[0] == "warn"  # never bad: needless may have some
    assert given[1].startswith("prune.inject.sources problems: 0 of 1 problems take a text; ")


def test_questions_of_one_sentence_take_nothing_from_the_run_either() -> None:
    ((level, text),) = said(recipe(inject={"sources": ["needless"]}), ALONE)
    assert level == "bad"
    assert "; 0 of 1 problems" in text and text.endswith("; name another strategy")


def test_needless_by_the_word_finds_nothing_and_is_told_before_the_run() -> None:
    values = recipe(inject={"sources": ["needless"]})
    own = values.attribute.with_options(ablation={"unit": "word"})
    ((level, text),) = said(values.model_copy(update={"attribute": own}), PENS)
    assert level == "bad"
    assert "finds nothing, since ablation takes away a word at a time" in text


def test_the_demo_has_no_warning_of_what_it_puts_in() -> None:
    demo = load_recipe("demo", ["data.world.size=20"])
    assert [one.level for one in check_injections(demo, load_problems(demo.data))] == ["good"]


def test_nothing_is_said_where_nothing_is_put_in() -> None:
    assert said(recipe(strategy=["span"]), PENS) == []


def test_without_bm25s_passages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    text = "Document [1] (Title: A)\nOne.\n\nQuestion: Who?"
    asked = Protected(what="question", start=text.index("Who"), end=len(text))
    problem = Problem(id="p", question=text, answer="Ben", solution="", protected=(asked,))
    with pytest.raises(UsageError, match="passages needs bm25s"):
        list(check_injections(recipe(inject={"sources": ["passages"]}), [problem]))
