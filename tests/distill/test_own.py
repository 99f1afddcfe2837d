"""A student with adapters teaches itself as it was before them, without a second copy."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from leaf.distill import Distiller, Sample, TrainingExample
from leaf.distill.lora import adapters_off, add_adapters
from leaf.distill.own import OwnTeacher
from leaf.distill.teacher import online_teacher
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import DistillSection, LoraSection

SETTINGS = {"tuning": "lora", "compute_dtype": "float32"}


def sample(
    ids: tuple[int, ...], prompt: int, teacher: tuple[int, ...] = (), *, anchored: bool = False
) -> Sample:
    row = TrainingExample(
        problem_id="a",
        content="",
        response="",
        counterfactual=bool(teacher),
        anchored=anchored,
    )
    apart = None
    if teacher:
        apart = EncodedExample(ids=(*teacher, *ids[prompt:]), prompt_length=len(teacher))
    return Sample(row=row, tokens=EncodedExample(ids=ids, prompt_length=prompt), apart=apart)


SAMPLES = [
    sample((5, 9, 22, 7, 40, 3, 18, 2), 4, anchored=True),
    sample((5, 9, 31, 33, 22, 7, 40, 3, 18, 2), 6, (5, 9, 22, 7)),
    sample((11, 4, 58, 2), 1),
]


def loaded(model: Any) -> Loaded:
    source = Source(name="tiny", fingerprint="tiny")
    device = torch.device("cpu")
    return Loaded(source=source, model=model, tokenizer=None, device=device, dtype=model.dtype)


def adapted(tiny_model: Callable[..., Any], **lora: Any) -> Any:
    """A student whose adapters have learnt something."""
    model = tiny_model("llama", seed=1, dtype=torch.float32)
    add_adapters(model, LoraSection(rank=2, **lora), seed=0)
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    return model


def gradients(model: Any) -> torch.Tensor:
    learning = [each for each in model.parameters() if each.requires_grad]
    return torch.cat([each.grad.flatten() for each in learning])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_it_teaches_what_a_frozen_copy_of_the_start_does(
    tiny_model: Callable[..., Any], checkpointing: bool
) -> None:
    copy = online_teacher(loaded(tiny_model("llama", seed=1, dtype=torch.float32)))
    section = DistillSection(
        anchor=0.5, gradient_checkpointing=checkpointing, hidden={"cosine": 0.2}, **SETTINGS
    )
    found = []
    for teacher in (copy, OwnTeacher):
        student = adapted(tiny_model)
        made = Distiller(loaded(student), teacher, section, anchor=teacher)
        found.append((made.backward(SAMPLES, 0.3), gradients(student)))
    (expected, theirs), (ours, mine) = found
    assert ours.loss == pytest.approx(expected.loss, rel=1e-5)
    assert ours.anchor == pytest.approx(expected.anchor, rel=1e-5)
    assert ours.loss > 0.01
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


def test_before_the_first_step_only_the_other_context_is_there_to_learn(
    tiny_model: Callable[..., Any],
) -> None:
    student = tiny_model("llama", seed=1, dtype=torch.float32)
    add_adapters(student, LoraSection(rank=2), seed=0)
    section = DistillSection(anchor=1.0, **SETTINGS)
    made = Distiller(loaded(student), OwnTeacher, section, anchor=OwnTeacher)
    found = made.backward(SAMPLES, 0.5)
    assert found.kl_original == pytest.approx(0.0, abs=1e-6)
    assert found.anchor == pytest.approx(0.0, abs=1e-6)
    assert found.kl_counterfactual is not None
    assert found.kl_counterfactual > 1e-3


def test_what_learns_and_its_dropout_are_on_again_afterwards(
    tiny_model: Callable[..., Any],
) -> None:
    student = adapted(tiny_model, dropout=0.5)
    made = Distiller(loaded(student), OwnTeacher, DistillSection(**SETTINGS))
    learning = [name for name, each in student.named_parameters() if each.requires_grad]
    said = [
        made.teacher.targets(  # type: ignore[union-attr]
            SAMPLES,
            loss=lambda q, p: (p - q)[:, 0],
            temperature=1.0,
            vocabulary=61,
            device=torch.device("cpu"),
        ).hidden_RD
        for _ in range(2)
    ]
    # Dropout would make two forwards differ, and adapters what the model said before them.
    assert said[0].equal(said[1])
    assert all(module.training for module in student.modules())
    assert learning == [name for name, each in student.named_parameters() if each.requires_grad]
    with torch.no_grad():
        ids = torch.tensor([[5, 9, 22]])
        student.eval()
        adapted_logits = student(input_ids=ids).logits
        with adapters_off(student):
            assert not student(input_ids=ids).logits.equal(adapted_logits)
        assert student(input_ids=ids).logits.equal(adapted_logits)
