"""A grader of one's own: refused, or told about, in one line."""

from collections.abc import Iterator
from typing import Any

import pytest

from leaf.errors import LeafError, RecipeError, UsageError
from leaf.grade import GRADERS, Grader, grader, open_graders
from leaf.recipe import GradeSection, Section
from leaf.recipe.reading import check_recipe, load_recipe
from leaf.records import Answer, Problem

PROBLEM = Problem(id="pens", question="How many?", answer="2", solution="2", grader="own")
ANSWER = Answer(problem_id="pens", text="two", prompt_tokens=3, response_tokens=1, truncated=False)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    GRADERS.pop("own", None)


def own(**parts: Any) -> type[Grader]:
    return grader(type("Own", (Grader,), {"name": "own", **parts}))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"judge": lambda *_: None}, "must return a `Judgement` (as `decided` makes it), but"),
        ({"judge": lambda *_: True}, "makes it), but returned True"),
        ({"grade_many": lambda *_: []}, "one judgement an answer, 1 here, but returned 0"),
        ({"grade_many": lambda *_: None}, "one judgement an answer, 1 here, but returned None"),
    ],
)
def test_what_is_no_judgement_is_one_line(parts: dict[str, Any], told: str) -> None:
    own(**parts)
    with open_graders(GradeSection()) as graders, pytest.raises(LeafError) as raised:
        graders.grade([PROBLEM], [ANSWER])
    assert str(raised.value).startswith("grader `own`: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (type("Own", (Grader,), {"name": "qa"}), "a grader that ships is called `qa`"),
        (type("Own", (Grader,), {"name": "a b"}), "`name` must be a word"),
        (type("Own", (Grader,), {"name": "own", "Options": dict}), "`Options` must be"),
        (type("Own", (), {"name": "own"}), "takes a subclass of `leaf.grade.Grader`"),
    ],
)
def test_what_is_no_grader_of_ones_own_is_refused(made: Any, told: str) -> None:
    known = dict(GRADERS)
    with pytest.raises(UsageError, match=told):
        grader(made)
    assert known == GRADERS


def test_an_option_without_a_default_is_told_by_its_whole_key() -> None:
    own(Options=type("Options", (Section,), {"__annotations__": {"k": int}}))
    values = load_recipe("demo").model_dump(by_alias=True)
    values["data"]["grader"] = "own"
    with pytest.raises(RecipeError) as raised:
        check_recipe(values, source="mine")
    assert str(raised.value) == "mine: `data.grader.own.k` is required"
    values["data"]["grader"] = {"own": {"k": 3}}
    assert check_recipe(values, source="mine").data.grader
