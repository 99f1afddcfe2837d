"""Models that `device_map` spreads, from Python: what they say, and what is refused."""

import pytest

import leaf
from leaf.errors import ModelError, RecipeError, UsageError
from leaf.models.spread import is_spread
from tests.api.conftest import DISTRACTION, QUESTION, REFERENCE

ROWS = [{"question": QUESTION, "response": REFERENCE, "teacher_question": QUESTION[:30]}]


def spread_over_disk(model: leaf.Model) -> leaf.Model:
    """Load a model again, every second layer on disk."""
    inner = model.model.model
    parts = [f"model.{name}" for name, _ in inner.named_children() if name != "layers"]
    layers = {f"model.layers.{at}": "disk" if at % 2 else "cpu" for at in range(len(inner.layers))}
    places = dict.fromkeys(["lm_head", *parts], "cpu") | layers
    return leaf.Model.load(model.name, dtype="float32", device_map=places)


@pytest.fixture(scope="module")
def spread_student(student: leaf.Model) -> leaf.Model:
    return spread_over_disk(student)


@pytest.fixture(scope="module")
def spread_teacher(teacher: leaf.Model) -> leaf.Model:
    return spread_over_disk(teacher)


def test_spread_models_explain_a_prompt_as_whole_ones_do(
    student: leaf.Model,
    teacher: leaf.Model,
    spread_student: leaf.Model,
    spread_teacher: leaf.Model,
) -> None:
    assert is_spread(spread_student.model)
    assert is_spread(spread_teacher.model)
    whole = leaf.explain(student, teacher, QUESTION, REFERENCE, max_new_tokens=16)
    found = leaf.explain(spread_student, spread_teacher, QUESTION, REFERENCE, max_new_tokens=16)
    assert DISTRACTION in [one.text for one in whole.scores]
    for one, other in zip(found.scores, whole.scores, strict=True):
        assert one.text == other.text
        assert one.score == pytest.approx(other.score, abs=1e-5)
    assert found.verify() == whole.verify()


def test_a_spread_teacher_teaches_what_a_whole_one_does(
    student: leaf.Model, teacher: leaf.Model, spread_teacher: leaf.Model
) -> None:
    student.model.requires_grad_(True)
    try:
        losses = [
            leaf.distillation_loss(student, one, ROWS).item() for one in (teacher, spread_teacher)
        ]
    finally:
        student.model.requires_grad_(False)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_a_spread_teacher_distils(
    student: leaf.Model, teacher: leaf.Model, spread_teacher: leaf.Model
) -> None:
    trained = [leaf.distill(student, one, ROWS, max_steps=1) for one in (teacher, spread_teacher)]
    whole, spread = (one.metrics[0]["loss"] for one in trained)
    assert spread == pytest.approx(whole, rel=1e-5)


def test_a_spread_student_is_not_trained(teacher: leaf.Model, spread_student: leaf.Model) -> None:
    for train in (leaf.distillation_loss, leaf.distill):
        with pytest.raises(ModelError, match="is spread over several places"):
            train(spread_student, teacher, ROWS)


def test_a_part_that_is_none_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"device_map names `0`, but the model has no such"):
        leaf.Model.load("package:playground/models/student", device_map={0: "cpu"})  # type: ignore[dict-item]


def test_a_head_that_is_one_with_the_embeddings_stays_in_memory_as_both() -> None:
    for places in ({"model": "cpu", "lm_head": "disk"}, {"model": "disk", "lm_head": "cpu"}):
        with pytest.raises(ModelError, match="leaves the output head on disk"):
            leaf.Model.load("package:playground/models/student", device_map=places)


def test_a_place_that_is_none_is_refused_in_one_line() -> None:
    with pytest.raises(RecipeError, match=r"`device_map` must be auto, .* but is 'everywhere'$"):
        leaf.Model.load("package:playground/models/student", device_map="everywhere")
