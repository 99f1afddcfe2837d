"""`score`, `cut` and `verify` on lists: a run's own stages, on models in memory."""

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import leaf
from leaf.errors import ModelError, RecipeError, UsageError
from leaf.recipe.detectors import SHIPPED
from leaf.records import Sensitivity
from leaf.store.store import stream_records
from tests.api.conftest import DISTRACTION, QUESTION, REFERENCE, state_of

UNITS = ("token", "word", "phrase", "clause", "sentence")


def test_the_distraction_scores_highest_and_the_sentence_that_asks_lowest(
    student: leaf.Model, teacher: leaf.Model
) -> None:
    (scores,) = leaf.score(student, teacher, [QUESTION], [REFERENCE])
    assert "".join(unit.text for unit in scores.units) == QUESTION
    assert all(QUESTION[unit.start : unit.end] == unit.text for unit in scores.units)
    assert max(scores.units, key=lambda unit: unit.score).text == DISTRACTION
    assert scores.units[-1].score == 0.0


def test_a_cut_is_verified_where_both_models_are_right_without_it(
    student: leaf.Model, teacher: leaf.Model
) -> None:
    cuts = leaf.cut(leaf.score(student, teacher, [QUESTION], [REFERENCE]))
    assert [cut.changed for cut in cuts] == [QUESTION.replace(DISTRACTION, "")]
    (verified,) = leaf.verify(student, teacher, cuts, max_new_tokens=16)
    assert verified.kept
    assert verified.student and verified.student.text == REFERENCE
    assert verified.teacher and verified.teacher.outcome == "right"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("detector", SHIPPED)
def test_every_detector_ranks_every_unit_and_leaves_the_models_as_they_were(
    detector: str, unit: str, student: leaf.Model, teacher: leaf.Model
) -> None:
    student.model.train()
    student.model.requires_grad_(True)
    before = [state_of(model.model) for model in (student, teacher)]
    (scores,) = leaf.score(student, teacher, [QUESTION], [REFERENCE], detector=detector, unit=unit)
    assert [state_of(model.model) for model in (student, teacher)] == before
    if detector == "oracle":  # it marks what data name, and a prompt of one's own names nothing
        assert scores.skipped
    else:
        assert scores.skipped is None
        assert {unit.score for unit in scores.units} >= {0.0, 1.0}


@pytest.mark.parametrize("detector", ["ablation", "perplexity", "random"])
def test_the_student_alone_is_enough_for_a_detector_that_compares_nothing(
    detector: str, student: leaf.Model
) -> None:
    (scores,) = leaf.score(student, None, [QUESTION], [REFERENCE], detector=detector)
    assert scores.skipped is None
    assert all(unit.teacher is None for unit in scores.measured)
    (verified, *_) = leaf.verify(student, None, leaf.cut([scores]), max_new_tokens=16)
    assert verified.teacher is None


@pytest.mark.parametrize("detector", ["gradient", "teacher", "attention"])
def test_a_detector_that_compares_two_models_says_so(detector: str, student: leaf.Model) -> None:
    with pytest.raises(UsageError, match=f"detector `{detector}` compares two models"):
        leaf.score(student, None, [QUESTION], [REFERENCE], detector=detector)


def test_what_cannot_be_scored_is_a_record_with_its_reason(student: leaf.Model) -> None:
    questions = [QUESTION, " ", QUESTION, "How many?", QUESTION * 20]
    references = [REFERENCE, REFERENCE, "", REFERENCE, REFERENCE]
    found = leaf.score(student, None, questions, references)
    assert [one.id for one in found] == ["q0", "q1", "q2", "q3", "q4"]
    reasons = [one.skipped for one in found]
    assert reasons[0] is None
    assert reasons[1] == "the question is empty"
    assert reasons[2] == "no reference response"
    assert "no piece of the question can be taken away" in str(reasons[3])
    assert "longer than the context" in str(reasons[4])
    cuts = leaf.cut(found)
    assert [(cut.id, cut.skipped) for cut in cuts[1:]] == [
        (f"q{at}/none", reasons[at]) for at in range(1, 5)
    ]
    verified = leaf.verify(student, None, cuts, max_new_tokens=8)
    assert [item.reason for item in verified[1:]] == reasons[1:]


def test_the_sentence_that_asks_is_never_cut(student: leaf.Model, teacher: leaf.Model) -> None:
    scores = leaf.score(student, teacher, [QUESTION], [REFERENCE], detector="gradient")
    cuts = leaf.cut(scores, threshold=1.0)
    (stays,) = [cut for cut in cuts if cut.skipped]
    assert stays.skipped == "would take out the sentence that asks"
    assert stays.removed[0].text == " How many shells does Gina have now?"
    assert all("How many" in cut.changed for cut in cuts)


def test_a_teacher_of_another_tokenizer_is_projected_onto_the_students_units(
    student: leaf.Model, cue_pair: Path
) -> None:
    foreign = leaf.Model.load(cue_pair / "teacher", dtype="float32")
    (scores,) = leaf.score(
        student, foreign, [QUESTION], [REFERENCE], detector="gradient", unit="token"
    )
    assert all(unit.teacher is not None for unit in scores.measured)


def test_scores_equal_those_of_a_run_to_the_last_digit(
    student: leaf.Model, teacher: leaf.Model, tmp_path: Path
) -> None:
    recipe = leaf.load_recipe(
        "demo",
        [
            "data.world.size=60",
            "student.dtype=float32",
            "teacher.dtype=float32",
            "attribute.detector=ablation",
            "attribute.ablation.unit=sentence",
            "attribute.controls=[]",
            "evaluate.benchmarks={}",
        ],
    )
    leaf.run_recipe(recipe, out=tmp_path / "run", until="verify")
    entered = [e for e in leaf.read_ledger(tmp_path / "run" / "ledger.parquet") if e.entered]
    assert len(entered) > 5
    found = leaf.score(
        student,
        teacher,
        [entry.question for entry in entered],
        [entry.reference for entry in entered],
    )
    for at, role in enumerate(("student", "teacher")):
        mine = [tuple(getattr(unit, role) for unit in one.measured) for one in found]
        stored = [
            [record.scores for record in stream_records(folder, Sensitivity)]
            for folder in (tmp_path / "store" / "sensitivities").iterdir()
        ]
        assert mine in stored, (at, role)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"detector": "ablatoin"}, "detector: unknown `ablatoin`; did you mean `ablation`?"),
        ({"unit": "sentense"}, "unit: unknown `sentense`; did you mean `sentence`?"),
        ({"proposal": 3}, "did you mean `proposals`"),
        ({"references": []}, "lists must be equally long: questions 1, references 0"),
    ],
)
def test_wrong_arguments_are_one_line(
    changes: dict[str, Any], said: str, student: leaf.Model
) -> None:
    values = {"questions": [QUESTION], "references": [REFERENCE], **changes}
    with pytest.raises(UsageError) as raised:
        leaf.score(student, None, **values)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_wrong_arguments_of_the_later_stages_are_one_line(student: leaf.Model) -> None:
    cuts = leaf.cut(leaf.score(student, None, [QUESTION], [REFERENCE]))
    with pytest.raises(UsageError, match=r"grader: unknown `nubmers`; did you mean `numbers`"):
        leaf.verify(student, None, cuts, grader="nubmers")
    with pytest.raises(RecipeError, match=r"leaf\.cut: `threshold` must be"):
        leaf.cut([], threshold=2.0)
    with pytest.raises(UsageError, match=r"strategy: inject takes nothing out: see `leaf.inject`"):
        leaf.cut([], strategy=["span", "inject"])


def test_answers_decide_where_the_reference_marks_none(student: leaf.Model) -> None:
    long = "She had two of them, and then she gave one away, so that there is one left now: one."
    cuts = leaf.cut(leaf.score(student, None, [QUESTION], [long]))
    with pytest.raises(UsageError, match="reference: marks no final answer"):
        leaf.verify(student, None, cuts)
    (verified, *_) = leaf.verify(student, None, cuts, answers={QUESTION: "1"}, max_new_tokens=16)
    assert verified.student and verified.student.outcome in ("right", "wrong")


def test_reprs_are_short(student: leaf.Model) -> None:
    scores = leaf.score(student, None, [QUESTION] * 9, [REFERENCE] * 9)
    cuts = leaf.cut(scores)
    for one in (*scores, *cuts, *leaf.verify(student, None, cuts, max_new_tokens=8)):
        assert len(repr(one)) < 250


def test_a_tokenizer_without_a_template_works(student: leaf.Model) -> None:
    base = leaf.Model(student.model, student.tokenizer)
    kept, base.tokenizer.chat_template = base.tokenizer.chat_template, None
    try:
        (scores,) = leaf.score(base, None, [QUESTION], [REFERENCE])
        assert scores.skipped is None
    finally:
        base.tokenizer.chat_template = kept


def test_quantised_layers_work_and_a_quantised_head_is_refused_in_one_line(
    student: leaf.Model,
) -> None:
    quantise: Any = torch.ao.quantization.quantize_dynamic
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and the only one that needs no package
        layers, whole = (copy.deepcopy(student.model) for _ in range(2))
        quantise(layers.model, {torch.nn.Linear}, inplace=True)
        quantise(whole, {torch.nn.Linear}, inplace=True)
    (scores,) = leaf.score(leaf.Model(layers, student.tokenizer), None, [QUESTION], [REFERENCE])
    assert scores.skipped is None
    with pytest.raises(ModelError, match="its output head is quantised") as raised:
        leaf.score(leaf.Model(whole, student.tokenizer), None, [QUESTION], [REFERENCE])
    assert "\n" not in str(raised.value)
