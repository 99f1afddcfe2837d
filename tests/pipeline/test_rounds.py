"""A second round on the student's own answers, over the store."""

import filecmp
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leaf.distill import Distiller, TrainingExample
from leaf.distill.train_student import TrainingJob, run_job
from leaf.errors import RecipeError
from leaf.pipeline import students as trained_students
from leaf.pipeline.rounds import as_problem, own_rows, own_section
from leaf.pipeline.run import metrics_of
from leaf.pipeline.stages import Pipeline
from leaf.recipe import DistillSection
from leaf.recipe.reading import check_section
from leaf.records import Answer
from tests.distill.training.runs import metrics, run

SETTINGS: dict[str, Any] = {
    "rounds": 2,
    "round": {"steps": 5, "refresh": 2, "learning_rate": 1e-4},
    "validation": {"share": 0.25, "every": 50},
    "teacher_sees": "cut",
    "checkpoint_every": 1,
}


@pytest.fixture(scope="module", autouse=True)
def cache(own_cache: None) -> None:
    """Converted models of its own."""


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[TrainingJob]:
    """The trainings, in order."""
    seen: list[TrainingJob] = []

    def noted(job: TrainingJob) -> int:
        seen.append(job)
        return run_job(job)

    monkeypatch.setattr(trained_students, "run_job", noted)
    return seen


@pytest.fixture(scope="module")
def whole(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A run with two rounds that nobody interrupted."""
    yield run(cue_pair, tmp_path_factory.mktemp("whole"), **SETTINGS)


def test_each_refresh_asks_the_student_so_far_and_trains_on_its_own_answers_alone(
    cue_pair: Path, tmp_path: Path, jobs: list[TrainingJob]
) -> None:
    pipeline = run(cue_pair, tmp_path, **SETTINGS)
    of_leaf = [job for job in jobs if job.label == "training leaf"]
    # The first training, then 2 + 2 + 1 steps.
    assert [len(job.steps) for job in of_leaf[1:]] == [2, 2, 1]
    first = of_leaf[0]
    prompts = {row.content for row in first.rows}
    answered = [log for log in pipeline.logs if log.about.asked.startswith("own answers")]
    assert len(answered) == 6
    for before, job in itertools.pairwise(of_leaf):
        assert job.student_source.fingerprint == f"student@{before.key}"
        assert job.teacher_source.fingerprint == first.teacher_source.fingerprint
        assert {row.content for row in job.rows} <= prompts
        assert job.distill.loss == "reverse_kl"
        assert job.distill.cross_entropy == 0
        assert job.held_out == first.held_out
    (folder,) = {pipeline.results.students["leaf"]}
    assert folder.name == of_leaf[-1].key
    # Its curve goes on from the first round's.
    lines = metrics_of({"leaf": folder})["leaf"]
    assert [line["step"] for line in lines] == list(range(1, len(first.steps) + 6))
    assert lines[0]["loss"] == metrics(folder.parent / first.key)[0]["loss"]


def test_the_first_round_is_the_training_without_a_second(
    cue_pair: Path, whole: Pipeline, jobs: list[TrainingJob]
) -> None:
    store = whole.session.store.root
    students = run(cue_pair, store, **{**SETTINGS, "rounds": 1}).results.students
    assert not jobs
    assert students["leaf"] != whole.results.students["leaf"]


class Killed(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("killed_in", [3, 9, 12, 14])
def test_killed_at_any_step_it_ends_with_the_same_bytes(
    cue_pair: Path,
    tmp_path: Path,
    whole: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    killed_in: int,
) -> None:
    done = 0
    real = Distiller.backward

    def backward(self: Distiller, *args: Any) -> Any:
        nonlocal done
        done += 1
        if done == killed_in:
            raise Killed
        return real(self, *args)

    monkeypatch.setattr(Distiller, "backward", backward)
    with pytest.raises(Killed):
        run(cue_pair, tmp_path, **SETTINGS)
    students = run(cue_pair, tmp_path, **SETTINGS).results.students
    for arm, folder in whole.results.students.items():
        assert students[arm].name == folder.name
        for name in ("model.safetensors", "config.json"):
            ours, theirs = (each / "model" / name for each in (students[arm], folder))
            assert filecmp.cmp(ours, theirs, shallow=False)
        seen = [
            [{**line, "seconds": 0} for line in metrics(each)] for each in (students[arm], folder)
        ]
        assert seen[0] == seen[1]


def test_where_nothing_gets_better_the_first_rounds_weights_are_kept_and_it_is_said(
    cue_pair: Path, tmp_path: Path, jobs: list[TrainingJob], capfd: pytest.CaptureFixture[str]
) -> None:
    ruin = {"steps": 4, "refresh": 2, "learning_rate": 1.0}
    folder = run(cue_pair, tmp_path, **{**SETTINGS, "round": ruin}).results.students["leaf"]
    first, *others = [job for job in jobs if job.label == "training leaf"]
    assert folder.name == first.key
    assert len(others) == 1  # and the round ends there
    assert "leaf, round 2: not better on held-out problems" in capfd.readouterr().err
    line = metrics(others[0].folder)[0]
    assert line["validation_loss_before"] < metrics(others[0].folder)[-1]["validation_loss"]


def answer(text: str, **changes: Any) -> Answer:
    settings = {"problem_id": "a", "prompt_tokens": 1, "response_tokens": 1, "truncated": False}
    return Answer(**{**settings, "text": text, **changes})


def row(content: str, prefix: str = "") -> TrainingExample:
    return TrainingExample(
        problem_id="a",
        content=content,
        response="y",
        counterfactual=True,
        response_prefix=prefix,
        teacher_content="t",
        id="a/cf0",
    )


def test_own_answers_take_the_responses_place_and_unfinished_ones_are_counted() -> None:
    rows = {4: row("x"), 5: row("x", "One. "), 7: row("x"), 9: row("x"), 11: row("x")}
    answers = [
        answer("mine"),
        answer("One. Two."),
        answer("endl", truncated=True),
        answer("", failure="prompt longer than the context"),
        answer("too long"),
    ]
    own, why = own_rows(rows, answers, lambda made: "long" if "long" in made.response else "")
    assert {at: made.response for at, made in own.items()} == {4: "mine", 5: "Two."}
    assert own[5].teacher_content == "t"
    assert dict(why) == {"cut at the limit": 1, "prompt longer than the context": 1, "long": 1}


def test_the_student_is_asked_what_it_sees_of_a_row() -> None:
    asked, begun = as_problem(row("x"), 3), as_problem(row("x", "One. "), 4)
    assert (asked.content, asked.response_prefix) == ("x", "")
    assert (begun.content, begun.response_prefix) == ("x", "One. ")
    assert asked.id != begun.id


def test_the_round_is_against_the_teacher_alone() -> None:
    section = DistillSection(
        **{"lambda": 0.3, "cross_entropy": 0.5, "anchor": 1.0, "lambda_end": 0.1, "max_tokens": 9},
        round={"loss": "jsd"},
    )
    how = own_section(section, 4, 2)
    assert (how.loss, how.max_steps, how.seed, how.lambda_) == ("jsd", 4, 2, 0.3)
    assert (how.cross_entropy, how.anchor, how.lambda_end, how.max_tokens) == (0, 0, None, None)


@pytest.mark.parametrize("changes", [{}, {"validation": {"share": 0.1}, "cross_entropy": 1.0}])
def test_a_round_that_nobody_judges_or_teaches_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"rounds: 2 needs held-out problems .* and a teacher"):
        check_section(DistillSection, {"rounds": 2, **changes}, source="x")
