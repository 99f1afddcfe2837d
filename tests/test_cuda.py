"""On a CUDA device scores, losses, gradients and answers are those of a CPU and of naive ways."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from leaf.attribute.embedding_gradient import sensitivity
from leaf.distill import Distiller, Sample, TrainingExample
from leaf.distill.lora import add_adapters
from leaf.distill.objective import Objective
from leaf.distill.optim import make_optimizer
from leaf.distill.targets import HiddenTargets
from leaf.distill.teacher import online_teacher
from leaf.generate import HuggingFaceEngine
from leaf.losses import LOSSES
from leaf.models.files import Source
from leaf.models.fused_loss import linear_loss
from leaf.models.load import Loaded, load
from leaf.models.output_head import Head, output_head
from leaf.models.packing import Packer
from leaf.models.prompt_format import EncodedExample, prompt_format_of
from leaf.recipe import DistillSection, GenerateSection, ModelSection
from leaf.records import Problem

pytestmark = pytest.mark.cuda

CPU, DEVICE = torch.device("cpu"), torch.device("cuda")

ITEMS = [
    EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6),
    EncodedExample(ids=(11, 4, 58, 2), prompt_length=2),
    EncodedExample(ids=(8, 8, 19, 25, 33, 2), prompt_length=5),
]

TinyModel = Callable[..., Any]


def on(device: torch.device, model: Any) -> Loaded:
    source = Source(name="tiny", fingerprint="tiny")
    return Loaded(
        source=source, model=model.to(device), tokenizer=None, device=device, dtype=model.dtype
    )


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_sensitivity_is_that_of_a_cpu(tiny_model: TinyModel, family: str) -> None:
    found = []
    for device in (CPU, DEVICE):
        model = tiny_model(family, dtype=torch.float32).to(device)
        norms_BT, losses_B = sensitivity(Packer(model), output_head(model), ITEMS)
        found.append((norms_BT.cpu(), losses_B.cpu()))
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-5)


def test_sensitivity_in_bfloat16_points_where_float32_does(tiny_model: TinyModel) -> None:
    found = []
    for device, dtype in ((CPU, torch.float32), (DEVICE, torch.bfloat16)):
        # A width of heads that flash attention takes, on the device.
        model = tiny_model("llama", dtype=dtype, hidden_size=64).to(device)
        norms_BT, _ = sensitivity(Packer(model), output_head(model), ITEMS)
        found.append(norms_BT.float().cpu())
    for row, item in enumerate(ITEMS):
        scored = slice(0, item.prompt_length)
        cosine = torch.cosine_similarity(found[0][row, scored], found[1][row, scored], dim=0)
        assert float(cosine) > 0.99


def test_kl_and_its_gradients_are_those_of_naive_float64() -> None:
    positions, vocabulary, width = 300, 1000, 32
    rng = torch.Generator().manual_seed(0)
    shapes = [(positions, width), (vocabulary, width)] * 2
    parts = [torch.randn(shape, generator=rng) / 2 for shape in shapes]

    def learning(device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        made = [part.to(device, dtype) for part in parts]
        return [*(part.requires_grad_() for part in made[:2]), *made[2:]]

    student_TD, head_VD, teacher_TD, teacher_head_VD = learning(CPU, torch.float64)
    log_p_TV = (teacher_TD @ teacher_head_VD.T).log_softmax(-1)
    log_q_TV = (student_TD @ head_VD.T).log_softmax(-1)
    exact = (log_p_TV.exp() * (log_p_TV - log_q_TV)).sum(-1).mean()
    expected = [exact.detach(), *torch.autograd.grad(exact, (student_TD, head_VD))]

    student_TD, head_VD, teacher_TD, teacher_head_VD = learning(DEVICE, torch.float32)
    teacher = HiddenTargets(
        hidden_RD=teacher_TD, head=Head(teacher_head_VD), loss=LOSSES["kl"], temperature=1.0
    )
    labels = torch.zeros(positions, dtype=torch.long, device=DEVICE)
    objective = Objective(teacher, labels, share=0.0, temperature=1.0)
    weights = torch.full((positions,), 1 / positions, device=DEVICE)
    value, _ = linear_loss(student_TD, Head(head_VD), objective, weights, chunk=64)
    found = [value, *torch.autograd.grad(value, (student_TD, head_VD))]
    for one, other in zip(found, expected, strict=True):
        error = (one.detach().cpu() - other).abs().max() / other.abs().max()
        assert float(error) < 1e-4


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_training_steps_are_those_of_a_cpu_and_lower_the_loss(
    tiny_model: TinyModel, tuning: str
) -> None:
    samples = [
        Sample(
            row=TrainingExample(problem_id="a", content="", response="", counterfactual=changed),
            tokens=item,
        )
        for item, changed in zip(ITEMS, (False, True, False), strict=True)
    ]
    found = []
    for device in (CPU, DEVICE):
        section = DistillSection(compute_dtype="float32", learning_rate=1e-2, tuning=tuning)
        student = on(CPU, tiny_model("llama", seed=1, dtype=torch.float32))
        if tuning == "lora":
            add_adapters(student.model, section.lora, seed=0)
        else:
            student.model.requires_grad_(True)
        student = on(device, student.model)
        teacher = on(device, tiny_model("llama", seed=2, dtype=torch.float32, num_hidden_layers=3))
        distiller = Distiller(student, online_teacher(teacher), section)
        learning = [each for each in student.model.parameters() if each.requires_grad]
        optimizer = make_optimizer(learning, section)
        losses = []
        for _ in range(4):
            losses.append(distiller.backward(samples, 0.5).loss)
            optimizer.step()
            optimizer.zero_grad()
        found.append(losses)
    assert found[1] == pytest.approx(found[0], rel=1e-3)
    assert found[1][-1] < found[1][0]


def test_greedy_answers_are_those_of_transformers(cue_pair: Path) -> None:
    loaded = load(ModelSection(model=str(cue_pair / "student"), dtype="float32"))
    assert loaded.device.type == DEVICE.type
    chat = prompt_format_of(loaded.tokenizer, ModelSection(model="cue"))
    texts = ["Ada has some red pens. How many pens are there?", "Bo has hats.", "Why?"]
    problems = [Problem(id=text, question=text, answer="4", solution="") for text in texts]
    section = GenerateSection(max_new_tokens=12, token_budget=512)
    engine = HuggingFaceEngine(loaded, chat, section)
    for text, answer in zip(texts, engine.answer(problems), strict=True):
        prompt = torch.tensor([chat.prompt_ids(text)], device=DEVICE)
        said = loaded.model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=sorted(engine.stops),
            pad_token_id=min(engine.stops),
        )
        ids = said[0, prompt.shape[1] :].tolist()
        assert answer.text == loaded.tokenizer.decode(ids, skip_special_tokens=True)
