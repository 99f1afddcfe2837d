from dataclasses import dataclass
from typing import Any

import pytest
import torch

from leaf.distill import Distiller, Sample, TrainingExample
from leaf.distill.teacher import online_teacher
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import DistillSection


@dataclass
class Case:
    """A student, a teacher and a batch of two originals and two counterfactuals."""

    student: Any
    teacher: Any
    samples: list[Sample]


def loaded(model: Any) -> Loaded:
    dtype = next(model.parameters()).dtype
    source = Source(name="tiny", fingerprint="tiny")
    return Loaded(
        source=source, model=model, tokenizer=None, device=torch.device("cpu"), dtype=dtype
    )


def sample(problem: str, ids: tuple[int, ...], prompt: int, *, changed: bool = False) -> Sample:
    row = TrainingExample(problem_id=problem, content="", response="", counterfactual=changed)
    return Sample(row=row, tokens=EncodedExample(ids=ids, prompt_length=prompt))


@pytest.fixture
def case(tiny_model) -> Case:
    return Case(
        student=tiny_model("llama", seed=1, dtype=torch.float64),
        teacher=tiny_model("llama", seed=2, dtype=torch.float64, num_hidden_layers=3),
        samples=[
            sample("a", (5, 9, 22, 7, 31, 40, 3, 18, 2), 6),
            sample("b", (11, 4, 58, 2), 1),
            sample("a", (5, 9, 22, 31, 40, 3, 18, 2), 5, changed=True),
            sample("b", (11, 58, 2), 1, changed=True),
        ],
    )


def distiller(case: Case, **changes: Any) -> Distiller:
    settings = {"compute_dtype": "float32", **changes}
    student, section = loaded(case.student), DistillSection(**settings)
    return Distiller(student, online_teacher(loaded(case.teacher)), section)


def gradients(model: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def naive_loss(case: Case, lambda_: float, temperature: float = 1.0, vocabulary: int = 61) -> Any:
    """L = lambda L_kd + (1 - lambda) L_cd from full logits, one conversation at a time."""
    means = []
    for kind in (False, True):
        divergences = []
        for one in case.samples:
            if one.row.counterfactual is not kind:
                continue
            item = one.tokens
            ids = torch.tensor([item.ids])
            ours = case.student(input_ids=ids).logits[0, :, :vocabulary] / temperature
            theirs = case.teacher(input_ids=ids).logits[0, :, :vocabulary] / temperature
            for position in range(item.prompt_length - 1, len(item.ids) - 1):
                p, q = torch.softmax(theirs[position], -1), torch.softmax(ours[position], -1)
                divergences.append((p * (p.log() - q.log())).sum() * temperature**2)
        means.append(torch.stack(divergences).mean())
    return lambda_ * means[0] + (1 - lambda_) * means[1], means


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_loss_and_gradient_equal_naive_float64_over_every_response_token(case, temperature):
    made = distiller(case, temperature=temperature)
    found = made.backward(case.samples, 0.3)
    ours = gradients(case.student)
    case.student.zero_grad()
    expected, (original, counterfactual) = naive_loss(case, 0.3, temperature)
    expected.backward()
    assert found.loss == pytest.approx(expected.item(), rel=1e-9)
    assert found.kl_original == pytest.approx(float(original.detach()), rel=1e-9)
    assert found.kl_counterfactual == pytest.approx(float(counterfactual.detach()), rel=1e-9)
    torch.testing.assert_close(ours, gradients(case.student), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"chunk_tokens": 1},
        {"chunk_tokens": 3},
        {"token_budget": 9},  # every row a micro-batch of its own: no padding at all
        {"token_budget": 18},
    ],
)
def test_chunks_padding_and_accumulation_do_not_change_loss_or_gradient(case, changes):
    whole = distiller(case).backward(case.samples, 0.3)
    expected = gradients(case.student)
    found = distiller(case, **changes).backward(case.samples, 0.3)
    assert found.loss == pytest.approx(whole.loss, rel=1e-12)
    torch.testing.assert_close(gradients(case.student), expected, rtol=1e-9, atol=1e-13)


def test_the_order_of_rows_does_not_change_loss_or_gradient(case):
    whole = distiller(case).backward(case.samples, 0.3)
    expected = gradients(case.student)
    found = distiller(case).backward(case.samples[::-1], 0.3)
    assert found.loss == pytest.approx(whole.loss, rel=1e-12)
    torch.testing.assert_close(gradients(case.student), expected, rtol=1e-9, atol=1e-13)


def test_loss_is_zero_when_the_student_is_the_teacher(case):
    case.teacher = case.student
    found = distiller(case).backward(case.samples, 0.3)
    assert found.loss == pytest.approx(0.0, abs=1e-12)


def test_plain_distillation_gives_originals_the_whole_weight_whatever_lambda_is(case):
    found = distiller(case).backward(case.samples[:2], 0.3)
    assert found.kl_counterfactual is None
    assert found.loss == pytest.approx(found.kl_original, rel=1e-12)


@pytest.mark.parametrize("position", ["first response token", "end-of-turn token"])
def test_both_ends_of_the_response_are_trained(case, position):
    # A response of one token and its end: the loss must hold both, each worth one half.
    item = EncodedExample(ids=(5, 9, 22, 40, 2), prompt_length=3)
    made = distiller(case)
    found = made.backward([sample("a", item.ids, 3)], 0.3)
    ids = torch.tensor([item.ids])
    at = 2 if position == "first response token" else 3
    theirs = torch.softmax(case.teacher(input_ids=ids).logits[0, at], -1)
    ours = torch.softmax(case.student(input_ids=ids).logits[0, at], -1)
    part = float((theirs * (theirs / ours).log()).sum().detach())
    other = found.loss * 2 - part
    at = 5 - at
    theirs = torch.softmax(case.teacher(input_ids=ids).logits[0, at], -1)
    ours = torch.softmax(case.student(input_ids=ids).logits[0, at], -1)
    assert other == pytest.approx(float((theirs * (theirs / ours).log()).sum().detach()), rel=1e-9)


def test_a_padded_vocabulary_is_cut_to_the_common_part(case, tiny_model, capfd):
    case.teacher = tiny_model("llama", seed=2, dtype=torch.float64, vocab_size=70)
    found = distiller(case).backward(case.samples, 0.3)
    expected, _ = naive_loss(case, 0.3, vocabulary=61)
    assert found.loss == pytest.approx(expected.item(), rel=1e-9)
    assert "both are cut to 61" in capfd.readouterr().err


def test_vocabularies_of_151936_and_152064_work(case, tiny_model):
    small = {"hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1}
    case.student = tiny_model("qwen2", seed=1, dtype=torch.float64, vocab_size=151_936, **small)
    case.teacher = tiny_model("qwen2", seed=2, dtype=torch.float64, vocab_size=152_064, **small)
    found = distiller(case, chunk_tokens=4).backward(case.samples, 0.3)
    expected, _ = naive_loss(case, 0.3, vocabulary=151_936)
    assert found.loss == pytest.approx(expected.item(), rel=1e-9)


def test_the_teacher_gets_no_gradient(case):
    distiller(case).backward(case.samples, 0.3)
    assert all(parameter.grad is None for parameter in case.teacher.parameters())
