"""The detector of the example ranks by its own function, and its cuts are verified."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from leaf.attribute import Evidence, ranked_units
from leaf.recipe.detectors import DETECTORS
from leaf.records import Problem

QUESTION = "Ben has 2 hats. Today, Leo gives 3."


@pytest.fixture
def own(example: Callable[[str], ModuleType]) -> Iterator[ModuleType]:
    yield example("own_detector")
    del DETECTORS["opening"]


def evidence(question: str) -> Evidence:
    """Tokens are words with the space before them."""
    return Evidence(
        problem=Problem(id="p", question=question, answer="", solution=""),
        tokens=tuple(found.span() for found in re.finditer(r" ?[\w]+[.,]?", question)),
    )


def test_what_opens_a_sentence_up_to_a_comma_is_cut_first(own: ModuleType) -> None:
    units = ranked_units(own.Opening(), evidence(QUESTION))
    assert not isinstance(units, str)
    assert [QUESTION[unit.start : unit.end] for unit in units if unit.score == 1] == [" Today,"]


def test_a_question_without_one_has_no_ranking(own: ModuleType) -> None:
    plain = evidence("Ben has 2 hats.")
    assert ranked_units(own.Opening(), plain) == "no sentence opens with a phrase and a comma"


def test_its_option_says_how_long_an_opening_may_be(own: ModuleType) -> None:
    short = own.Opening(own.Opening.Options(longest=5))
    assert isinstance(ranked_units(short, evidence(QUESTION)), str)


def test_the_example_counts_verified_cuts_of_all_three(
    run_example: Callable[[str, Path], str], tmp_path: Path
) -> None:
    printed = run_example("own_detector", tmp_path / "run")

    found = dict(re.findall(r"^(\w+): (\d+) of \d+ cuts make both models", printed, re.MULTILINE))
    # Phrases before a comma are what this world plants; random words are not.
    assert int(found["opening"]) > int(found["random"])
    assert (tmp_path / "run" / "report.html").is_file()
