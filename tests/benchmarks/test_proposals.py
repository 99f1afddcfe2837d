"""The cheaper ways of `benchmarks.proposals` are `all` where they leave nothing out."""

import pytest

from benchmarks.proposals import (
    WAYS,
    First,
    by_halves,
    first_pieces,
    is_distractor,
    places_of,
    summary,
)
from leaf.attribute import MeasuredModel
from leaf.models.load import load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DataSection, ModelSection, WorldSection
from leaf.records import Distractor, Problem
from leaf.tasks import load_problems

PROBLEMS = load_problems(DataSection(task="playground", split="both", world=WorldSection(size=6)))


@pytest.fixture(scope="module")
def models() -> list[MeasuredModel]:
    found = []
    for role in ("student", "teacher"):
        loaded = load(ModelSection(model=f"package:playground/models/{role}", dtype="float32"))
        chat = PromptFormat(loaded.tokenizer, name=role)
        found.append(MeasuredModel(loaded=loaded, chat=chat))
    return found


def test_proposing_every_piece_finds_what_all_find(models: list[MeasuredModel]) -> None:
    for problem in PROBLEMS:
        found = first_pieces(models, problem, "sentence", 99)
        assert found is not None
        assert set(found) == set(WAYS)
        assert found["gradient"][0] == found["gap"][0] == found["all"][0]
        assert found["gap"][1] > found["gradient"][1] > found["all"][1] > found["hidden"][1]


def test_two_halves_of_one_piece_each_are_all(models: list[MeasuredModel]) -> None:
    problem = PROBLEMS[0]
    first, last, *_ = places_of(problem, "sentence")
    length = len(models[0].chat.encode(problem.content, problem.solution).ids)
    piece, forwards, _ = by_halves(models[0], problem, [first, last], length)
    found = first_pieces(models[:1], problem, "sentence", 99)
    assert found is not None
    if found["all"][0] in (first, last):
        assert piece == found["all"][0]
    assert 1 < forwards < 3


def test_hits_and_agreement_are_counted() -> None:
    question = "Mud. Pie. Who?"
    distractor = Distractor(kind="passage", start=5, end=9)
    problem = Problem(id="p", question=question, solution="", answer="a", distractors=(distractor,))
    mud, pie = places_of(problem, "sentence")
    assert (is_distractor(problem, mud), is_distractor(problem, pie)) == (False, True)
    found = {"all": First(pie, 3.0, (0.5, 0.1)), "halves": First(mud, 2.0)}
    figures = summary([problem, problem], [found, None], "sentence", 0)
    assert (figures["n"], figures["pieces"], figures["chance"]) == (1, 2, 0.5)
    assert (figures["all.hit"], figures["halves.hit"], figures["halves.kept"]) == (1, 0, 0)
    assert figures["halves.forwards"] == 2
    assert figures["all.auc"] == 1
    assert "halves.auc" not in figures
