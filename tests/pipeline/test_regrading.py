"""What grading alone looks at names no answer and no measurement: they are found again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaf.attribute import detector_class
from leaf.models.files import Source
from leaf.pipeline.run import run_recipe
from leaf.pipeline.workers import AnswerWorker, ScoreWorker
from leaf.recipe import GenerateSection, ModelSection
from leaf.recipe.reading import load_recipe
from leaf.records import Case, Distractor, Problem, Protected, Tests
from leaf.store.store import Store
from leaf.store.work import About

PROBLEM = Problem(
    id="a", question="How many?", answer="4", solution="2 + 2 = 4", before="See:", grader="math"
)

JUDGED: dict[str, Any] = {
    "grader": "numbers",
    "answer": "4.0",
    "golds": ("four",),
    "tolerance": 0.5,
    "tests": Tests(cases=(Case(given="1", expected="2"),)),
    "grader_options": '{"relative": 0.1}',
}
"""What is right, and who says so."""

UNSEEN: dict[str, Any] = {
    **JUDGED,
    "solution": "3 + 1 = 4",
    "base": "b",
    "source": "amc",
    "distractors": (Distractor(kind="cue", start=0, end=3),),
    "protected": (Protected(what="entity", start=0, end=3),),
}
"""What no model sees that answers."""

SEEN: dict[str, Any] = {
    "id": "b",
    "question": "How much?",
    "before": "",
    "after": "Be brief.",
    "prompt": "All of it",
    "sample": 1,
}


def answers_key(problem: Problem) -> str:
    work = AnswerWorker(
        about=About(role="student"),
        section=ModelSection(model="m"),
        source=Source(name="m", fingerprint="m"),
        generate=GenerateSection(),
    )
    return work.key([problem], shard_size=8)


def scores_key(problem: Problem, reference: str = "4") -> str:
    work = ScoreWorker(
        about=About(role="student"),
        section=ModelSection(model="m"),
        source=Source(name="m", fingerprint="m"),
        detector=detector_class("gradient")(),
        token_budget=99,
    )
    return work.key([(problem, reference)], shard_size=8)


@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_model_sees_names_no_answer(name: str) -> None:
    changed = replace(PROBLEM, **{name: UNSEEN[name]})
    assert answers_key(changed) == answers_key(PROBLEM)


@pytest.mark.parametrize("name", JUDGED)
def test_what_grading_alone_sees_names_no_measurement(name: str) -> None:
    changed = replace(PROBLEM, **{name: JUDGED[name]})
    assert scores_key(changed) == scores_key(PROBLEM)


@pytest.mark.parametrize("name", SEEN)
def test_what_a_model_sees_names_both(name: str) -> None:
    changed = replace(PROBLEM, **{name: SEEN[name]})
    assert answers_key(changed) != answers_key(PROBLEM)
    assert scores_key(changed) != scores_key(PROBLEM)
    assert scores_key(PROBLEM, "5") != scores_key(PROBLEM)


def test_a_run_with_another_grader_grades_and_does_nothing_else(tmp_path: Path) -> None:
    """The demo's answers are numbers, which both graders read alike."""
    small = ["data.world.size=60", "attribute.controls=[]"]
    store = Store(tmp_path / "store")

    def kinds(*more: str) -> dict[str, int]:
        """What is computed, and how often."""
        found: dict[str, int] = {}
        before = set(store.root.glob("*/*"))
        recipe = load_recipe("demo", [*small, *more])
        run_recipe(recipe, out=tmp_path / f"run{len(before)}", store=store, until="attribute")
        for path in set(store.root.glob("*/*")) - before:
            found[path.parent.name] = found.get(path.parent.name, 0) + 1
        return found

    first = kinds()
    assert first["answers"] == first["scores"] == 2
    assert first["sensitivities"] >= 1
    assert kinds("data.grader=math") == {"scores": 2}
    assert kinds("data.grader={close: {relative: 0.001}}") == {"scores": 2}
    assert kinds() == {}


@pytest.mark.parametrize("grader", ["math", "numbers", "close"])
def test_a_result_of_an_earlier_version_is_found_whichever_grader_it_had(
    tmp_path: Path, grader: str
) -> None:
    work = AnswerWorker(
        about=About(role="student"),
        section=ModelSection(model="m"),
        source=Source(name="m", fingerprint="m"),
        generate=GenerateSection(),
    )
    # Its key was made of the whole problem.
    old = next(work.earlier_keys([replace(PROBLEM, grader=grader)], shard_size=8))
    assert old != answers_key(PROBLEM)
    store = Store(tmp_path)
    assert store.key_of(work, [PROBLEM], shard_size=8) == answers_key(PROBLEM)
    store.folder("answers", old).mkdir(parents=True)
    assert store.key_of(work, [PROBLEM], shard_size=8) == old
    store.folder("answers", answers_key(PROBLEM)).mkdir()
    assert store.key_of(work, [PROBLEM], shard_size=8) == answers_key(PROBLEM)
