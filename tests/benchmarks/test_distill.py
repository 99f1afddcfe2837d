"""The ways of `benchmarks.distill` train on the same loss, and its count of operations is right."""

import pytest
import torch

from benchmarks import _steps
from benchmarks._steps import Opened, Trainer
from benchmarks._trl import Job
from benchmarks.distill import main, run_trl
from leaf.distill.rows import TrainingExample
from leaf.distill.sample import Sample, encode_rows
from leaf.errors import UsageError
from leaf.models.load import load
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.recipe import DataSection, DistillSection, ModelSection, WorldSection
from leaf.tasks import load_problems
from tests.marks import needs_rivals

CUTOFF = 160


@pytest.fixture
def opened():
    student, teacher = (
        load(ModelSection(model=f"package:playground/models/{role}", dtype="float32"))
        for role in ("student", "teacher")
    )
    world = WorldSection(size=3)
    rows = [
        TrainingExample(
            problem_id=problem.id,
            content=problem.content,
            response=problem.solution,
            counterfactual=False,
        )
        for problem in load_problems(DataSection(task="playground", split="both", world=world))
    ]
    samples, _ = encode_rows(PromptFormat(student.tokenizer, name="student"), rows, CUTOFF)
    section = DistillSection(compute_dtype="float32")
    student.model.requires_grad_(True)
    return Opened(student=student, teacher=teacher, samples=samples, section=section)


def gradients(opened, backward):
    opened.student.model.zero_grad(set_to_none=True)
    loss = backward(opened.samples)
    return loss, [parameter.grad.clone() for parameter in opened.student.model.parameters()]


@pytest.mark.parametrize("way", ["published", "cached"])
def test_every_way_gives_the_loss_and_the_gradients_of_ours(opened, way, tmp_path):
    ways = {
        "published": _steps.published(opened, 2, dtype=torch.float32, cutoff=CUTOFF),
        "cached": _steps.cached(opened, tmp_path),
    }
    loss, found = gradients(opened, ways[way])
    expected_loss, expected = gradients(opened, _steps.ours(opened))
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    largest = max(float(each.abs().max()) for each in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * largest)


def test_the_student_alone_learns_from_the_cross_entropy_of_the_responses(opened):
    loss, _ = gradients(opened, _steps.student_only(opened))
    ids, mask, scored = _steps.padded(opened.samples, CUTOFF)
    with torch.no_grad():
        logits = opened.student.model(input_ids=ids, attention_mask=mask).logits
    told = -torch.log_softmax(logits[:, :-1], dim=-1).gather(2, ids[:, 1:, None])[..., 0]
    count = sum(sample.tokens.response_length for sample in opened.samples)
    assert loss == pytest.approx(float((told * scored[:, :-1]).sum()) / count, rel=1e-4)


def test_a_step_moves_the_student(opened):
    trainer = Trainer(opened)
    before = opened.student.model.get_output_embeddings().weight.detach().clone()
    trainer.step(_steps.ours(opened))
    assert not torch.equal(before, opened.student.model.get_output_embeddings().weight)


def test_padding_scores_the_positions_before_each_response_token():
    row = TrainingExample(problem_id="a", content="", response="", counterfactual=False)
    sample = Sample(row=row, tokens=EncodedExample(ids=(7, 8, 9, 5), prompt_length=2))
    ids, mask, scored = _steps.padded([sample], 6)
    assert ids.tolist() == [[7, 8, 9, 5, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 0, 0]]
    # 8 predicts 9, and 9 predicts 5, the end of the turn.
    assert scored.tolist() == [[0, 1, 1, 0, 0, 0]]


def test_operations_are_six_a_student_parameter_and_token_and_two_a_teacher_one(opened):
    tokens = sum(len(sample.tokens.ids) for sample in opened.samples)
    response = tokens - sum(sample.tokens.prompt_length for sample in opened.samples)
    expected = []
    for loaded, factor in ((opened.student, 6), (opened.teacher, 2)):
        head = loaded.model.get_input_embeddings().weight.numel()  # tied: it is the head as well
        body = sum(parameter.numel() for parameter in loaded.model.parameters()) - head
        expected.append(factor * (body * tokens + head * response))
    assert _steps.operations(opened) == tuple(expected)


@pytest.mark.long
@needs_rivals
@pytest.mark.parametrize("trainer", ["gkd", "distillation"])
def test_trl_sees_the_same_tokens_and_the_same_loss(opened, trainer):
    loss, _ = gradients(opened, _steps.ours(opened))
    tokens = [sample.tokens for sample in opened.samples]
    job = Job(
        trainer=trainer,
        student=str(opened.student.source.folder),
        teacher=str(opened.teacher.source.folder),
        ids=[list(item.ids) for item in tokens],
        prompt_lengths=[item.prompt_length for item in tokens],
        dtype="float32",
        steps=1,
        learning_rate=1e-5,
    )
    found = run_trl(job)
    assert found["loss"] == pytest.approx(loss, rel=1e-3)
    assert len(found["seconds"]) == 1
    assert found["peak_bytes"] > 0


def test_an_unknown_pair_is_refused_by_name():
    with pytest.raises(UsageError, match="--pairs llama: must name some of smollm2, qwen"):
        main(pairs="llama")
