"""A whole run with a teacher that has another tokenizer and another end of turn."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.models.files import find
from leaf.models.load import load_tokenizer
from leaf.pipeline.stages import Pipeline
from leaf.recipe import ModelSection
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store

SETTINGS = ["distill.compute_dtype=float32", "distill.epochs=20", "distill.batch_size=4"]


def finish(pair: Path, folder: Path, *settings: str) -> Pipeline:
    """Run a pair's recipe up to the trained students."""
    rate = "distill.learning_rate=0.01"
    recipe = load_recipe(pair / "recipe.yaml", [*SETTINGS, rate, *settings])
    pipeline = Pipeline(recipe, Store(folder / "store"))
    pipeline.run(until="distill", after_stage=lambda: None)
    return pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foreign")


@pytest.fixture(scope="module")
def done(foreign_pair: Path, folder: Path) -> Pipeline:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(folder / "cache"))
        return finish(foreign_pair, folder)


def metrics(pipeline: Pipeline, arm: str) -> list[dict[str, Any]]:
    lines = (pipeline.results.students[arm] / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_two_tokenizers_really_differ(foreign_pair: Path) -> None:
    question = "Ada has some red pens. How many pens are there?"
    cuts = [
        load_tokenizer(find(ModelSection(model=str(foreign_pair / role))))(question)
        for role in ("student", "teacher")
    ]
    assert len(cuts[0]["input_ids"]) != len(cuts[1]["input_ids"])


def test_scores_are_projected_and_what_is_cut_is_verified(done: Pipeline) -> None:
    results = done.results
    assert results.attributions
    assert results.student
    for item in results.attributions:
        assert len(item.teacher) == len(item.student) == len(item.starts) > 3
    (cuts,) = results.cuts.values()
    assert any(span.text == " red" for item in cuts.kept for span in item.spans)


def test_the_student_comes_near_the_teacher(done: Pipeline) -> None:
    first, *_, last = metrics(done, "leaf")
    assert last["loss"] < 0.05 < first["loss"]


def test_the_share_of_what_is_aligned_is_in_every_line(done: Pipeline) -> None:
    for line in metrics(done, "kd"):
        # The response is "4", one token of both.
        assert line["aligned_characters"] == 1.0
        assert 0.0 < line["aligned_mass"] <= 1.0 + 1e-6


def test_hidden_states_on_disk_train_the_same_student(
    done: Pipeline, foreign_pair: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(folder / "cache"))
    cached = finish(foreign_pair, folder, "distill.teacher=hidden")
    online = [line["loss"] for line in metrics(done, "leaf")]
    assert [line["loss"] for line in metrics(cached, "leaf")] == pytest.approx(online, rel=1e-4)


def test_a_student_is_named_by_what_its_teacher_is_told_only_where_the_teacher_hears_it(
    done: Pipeline, cue_pair: Path
) -> None:
    # With the student's tokenizer the teacher is shown the student's tokens, not its own template.
    same = Pipeline(load_recipe(cue_pair / "recipe.yaml"), done.session.store)
    same.load_problems()
    for pipeline, changes in ((done, True), (same, False)):
        recipe = pipeline.recipe
        told = recipe.teacher.model_copy(update={"system": "Be brief."})
        other = Pipeline(recipe.model_copy(update={"teacher": told}), done.session.store)
        other.session.sources = pipeline.session.sources
        students = [one.session.student_of("kd", [], recipe.distill) for one in (pipeline, other)]
        names = {student.key([]) for student in students}
        assert len(names) == 1 + changes
