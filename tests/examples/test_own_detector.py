"""The detector of the example ranks by its own function, and its cuts are verified."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from leaf.prune import RANKINGS
from leaf.records import NormalisedScores

QUESTION = "Ben has 2 hats. Today, Leo gives 3."
"""Characters 16 to 22 are `Today,`."""


@pytest.fixture
def detector(example: Callable[[str], ModuleType]) -> Iterator[ModuleType]:
    yield example("own_detector")
    del RANKINGS["opening"]


def normalise_scores(question: str) -> NormalisedScores:
    """Tokens are words with the space before them; the gradient sees all alike."""
    words = [found.span() for found in re.finditer(r" ?[\w]+[.,]?", question)]
    same = (0.5,) * len(words)
    return NormalisedScores(
        problem_id="p",
        starts=tuple(start for start, _ in words),
        ends=tuple(end for _, end in words),
        teacher=same,
        student=same,
        gap=same,
    )


def test_what_opens_a_sentence_up_to_a_comma_is_cut_first(detector: ModuleType) -> None:
    ranked = RANKINGS["opening"](normalise_scores(QUESTION), QUESTION, None)

    assert isinstance(ranked, NormalisedScores)
    pairs = zip(ranked.starts, ranked.ends, ranked.gap, strict=True)
    assert [QUESTION[start:end] for start, end, gap in pairs if gap == 0.0] == [" Today,"]


def test_a_question_without_one_has_no_ranking(detector: ModuleType) -> None:
    plain = "Ben has 2 hats."

    assert RANKINGS["opening"](normalise_scores(plain), plain, None) == (
        "no sentence opens with a phrase and a comma"
    )


def test_the_example_counts_verified_cuts_of_all_three(
    run_example: Callable[[str, Path], str], tmp_path: Path
) -> None:
    printed = run_example("own_detector", tmp_path / "run")

    found = dict(re.findall(r"^(\w+): (\d+) of \d+ cuts make both models", printed, re.MULTILINE))
    # Phrases before a comma are what this world plants; random words are not.
    assert int(found["opening"]) > int(found["random"])
    assert (tmp_path / "run" / "report.html").is_file()
