"""Adapters learn alone, and merge into a plain model that computes the same."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from torch import nn

from leaf.distill.lora import add_adapters
from leaf.distill.low_rank import adapted
from leaf.distill.optim import make_optimizer
from leaf.errors import RecipeError
from leaf.models.adapters import merge
from leaf.models.output_head import backbone, output_head
from leaf.recipe import DistillSection, LoraSection

IDS = torch.tensor([[5, 9, 22, 7, 31, 40, 3, 18, 2]])


@pytest.fixture
def student(tiny_model):
    return tiny_model("llama", seed=1, dtype=torch.float32)


def learn(model, steps=4):
    """Change all that learns, by a few steps towards arbitrary logits."""
    section = DistillSection(learning_rate=1e-2)
    optimizer = make_optimizer(model.parameters(), section)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=IDS).logits[..., 7].sum().backward()
        optimizer.step()
    return optimizer


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_a_model_with_new_adapters_computes_what_it_did(student):
    before = logits(student)
    add_adapters(student, LoraSection(rank=2), seed=0)
    assert logits(student).equal(before)


def test_only_adapters_learn(student):
    before = {name: value.clone() for name, value in student.named_parameters()}
    add_adapters(student, LoraSection(rank=2), seed=0)
    learn(student)
    after = dict(student.named_parameters())
    for name, value in before.items():
        adapted = name.replace("proj.weight", "proj.base_layer.weight")
        assert after[adapted].equal(value)
        assert not after[adapted].requires_grad
    adapters = {name: value for name, value in after.items() if value.requires_grad}
    # Two matrices for each of the seven linear layers of both blocks; neither the head nor the
    # embeddings have one.
    assert len(adapters) == 2 * 7 * 2
    assert all(value.abs().max() > 0 for value in adapters.values())


def test_the_head_stays_frozen_where_it_shares_the_embeddings_weight(tiny_model):
    model = tiny_model("qwen2", dtype=torch.float32)
    add_adapters(model, LoraSection(rank=2), seed=0)
    assert not output_head(model).weight.requires_grad


def test_the_merged_model_computes_what_the_adapted_one_did(student):
    add_adapters(student, LoraSection(rank=2, alpha=6.0), seed=0)
    base = logits(student)
    learn(student)
    adapted = logits(student)
    assert (adapted - base).abs().max() > 0.05
    merge(student)
    torch.testing.assert_close(logits(student), adapted, rtol=1e-5, atol=1e-5)


def test_the_merged_weight_is_w_plus_alpha_over_rank_times_b_a(student):
    weight = student.model.layers[0].mlp.up_proj.weight.clone()
    add_adapters(student, LoraSection(rank=2, alpha=6.0), seed=0)
    learn(student)
    layer = student.model.layers[0].mlp.up_proj
    (a,), (b,) = layer.lora_A.values(), layer.lora_B.values()
    expected = weight + 6.0 / 2 * b.weight @ a.weight
    merge(student)
    torch.testing.assert_close(student.model.layers[0].mlp.up_proj.weight, expected)


def test_a_merged_model_has_the_parameters_it_came_with(student):
    names = [name for name, _ in student.named_parameters()]
    kind = type(student)
    add_adapters(student, LoraSection(rank=2), seed=0)
    merge(student)
    assert [name for name, _ in student.named_parameters()] == names
    assert type(student) is kind


def test_merging_rounds_once_although_the_frozen_weight_is_bfloat16(tiny_model):
    model = tiny_model("llama", seed=1, dtype=torch.bfloat16)
    weight = model.model.layers[0].mlp.up_proj.weight.float()
    add_adapters(model, LoraSection(rank=2), seed=0)
    layer = model.model.layers[0].mlp.up_proj
    (a,), (b,) = layer.lora_A.values(), layer.lora_B.values()
    assert a.weight.dtype is torch.float32
    with torch.no_grad():
        b.weight.normal_(std=1e-4)
    expected = weight + 32.0 / 2 * b.weight @ a.weight
    merge(model)
    torch.testing.assert_close(
        model.model.layers[0].mlp.up_proj.weight, expected, rtol=1e-6, atol=1e-7
    )


def test_adapters_start_from_the_seed_and_leave_other_randomness_alone(tiny_model):
    made = []
    for seed in (3, 3, 4):
        model = tiny_model("llama", seed=1, dtype=torch.float32)
        torch.manual_seed(11)
        add_adapters(model, LoraSection(rank=2), seed=seed)
        assert torch.rand(1).equal(torch.rand(1, generator=torch.Generator().manual_seed(11)))
        made.append([value for value in model.parameters() if value.requires_grad])
    assert all(a.equal(b) for a, b in zip(made[0], made[1], strict=True))
    assert not all(a.equal(b) for a, b in zip(made[0], made[2], strict=True))


def test_the_backbone_and_the_head_are_found_as_before(student):
    before = backbone(student)
    head = output_head(student).weight
    add_adapters(student, LoraSection(rank=2), seed=0)
    assert backbone(student) is before
    assert output_head(student).weight is head


def test_named_layers_alone_get_adapters(student):
    targets = ["q_proj", "model.layers.1.mlp.up_proj"]
    add_adapters(student, LoraSection(rank=2, targets=targets), seed=0)
    adapted = {
        name.split(".lora_")[0] for name, value in student.named_parameters() if value.requires_grad
    }
    assert adapted == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    }


def test_without_names_the_same_layers_as_peft_chooses_get_adapters(tiny_model):
    ours = tiny_model("qwen2", dtype=torch.float32)
    theirs = tiny_model("qwen2", dtype=torch.float32)
    add_adapters(ours, LoraSection(rank=2), seed=0)
    wrapped = get_peft_model(theirs, LoraConfig(r=2, target_modules="all-linear"))
    learning = [name for name, value in wrapped.named_parameters() if value.requires_grad]
    assert [
        f"base_model.model.{name}" for name, value in ours.named_parameters() if value.requires_grad
    ] == learning


@pytest.mark.parametrize(
    ("target", "near"), [("q_prj", "; did you mean `q_proj`?"), ("lm_head", ""), ("", "")]
)
def test_a_name_of_no_layer_is_one_line_with_the_nearest(student, target, near):
    with pytest.raises(RecipeError) as caught:
        add_adapters(student, LoraSection(targets=["k_proj", target]), seed=0)
    line = str(caught.value)
    assert line.startswith(
        f"distill.lora.targets: the student has no linear layer `{target}`{near} (there are q_proj,"
    )
    assert "\n" not in line


def test_the_optimiser_keeps_moments_of_adapters_alone(student):
    add_adapters(student, LoraSection(rank=1), seed=0)
    optimizer = learn(student, steps=1)
    kept = sum(
        value.numel()
        for state in optimizer.state.values()
        for value in state.values()
        if value.ndim
    )
    adapters = sum(value.numel() for value in student.parameters() if value.requires_grad)
    assert kept == 2 * adapters


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("bias", [False, True])
def test_an_adapted_layer_and_its_gradients_are_those_of_plain_products(bias, dropout):
    torch.manual_seed(3)
    layer = nn.Linear(7, 5, bias=bias).double()
    config = LoraConfig(r=2, lora_alpha=6.0, lora_dropout=dropout)
    found = adapted(layer, "default", config, r=2, lora_alpha=6.0)
    a, b = found.lora_A["default"].weight, found.lora_B["default"].weight
    for each in (a, b):
        each.data = torch.randn(each.shape, dtype=torch.float64)
    x = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    found.eval() if dropout else found.train()
    inputs = (x, a, b)
    expected = layer(x.detach()) + 3.0 * (x @ a.T @ b.T)
    torch.testing.assert_close(found(x), expected)
    if not dropout:
        assert torch.autograd.gradcheck(lambda *_: found(x), inputs)


def test_an_adapted_layer_rounds_no_more_than_pefts():
    """Computed in bfloat16, ours is as near to float64 as PEFT's, or nearer."""
    errors = {}
    for make in (adapted, Linear):
        torch.manual_seed(3)
        layer = nn.Linear(96, 64).bfloat16().requires_grad_(False)
        found = make(layer, "default", LoraConfig(r=4, lora_alpha=8.0), r=4, lora_alpha=8.0)
        a, b = found.lora_A["default"].weight, found.lora_B["default"].weight
        a.data, b.data = (torch.randn(each.shape) / 8 for each in (a, b))
        x = torch.randn(50, 96, dtype=torch.bfloat16, requires_grad=True)
        slopes = torch.randn(50, 64).bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = found(x)
        output.backward(slopes)

        x64, a64, b64 = (each.detach().double().requires_grad_() for each in (x, a, b))
        true = x64 @ layer.weight.double().T + layer.bias.double() + 2.0 * (x64 @ a64.T @ b64.T)
        true.backward(slopes.double())
        assert a.grad.dtype is torch.float32
        errors[make] = [
            float((one.detach().double() - other).norm() / other.norm())
            for one, other in (
                (output, true.detach()),
                (x.grad, x64.grad),
                (a.grad, a64.grad),
                (b.grad, b64.grad),
            )
        ]
    for ours, theirs in zip(*errors.values(), strict=True):
        assert ours < 1.1 * theirs
