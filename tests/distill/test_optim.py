"""Optimisers over what learns, and their state as named tensors."""

import pytest
import torch
from torch import nn

from leaf.distill import optim
from leaf.distill.optim import make_optimizer, put_state, state_of
from leaf.errors import UsageError
from leaf.recipe import DistillSection

BOTH = pytest.mark.parametrize("name", ["adamw", "adamw_8bit"])


class Model(nn.Module):
    """A weight large enough for 8 bits, another one like it, and a small one."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.large = nn.Parameter(torch.randn(80, 64, generator=generator))
        self.also = nn.Parameter(torch.randn(64, 80, generator=generator))
        self.small = nn.Parameter(torch.randn(5, generator=generator))
        self.frozen = nn.Parameter(torch.randn(3, generator=generator), requires_grad=False)


def section(name, **changes):
    return DistillSection(optimizer=name, learning_rate=1e-2, **changes)


def steps(model, optimizer, numbers):
    for number in numbers:
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(number)
        loss = sum(
            (value * torch.randn(value.shape, generator=generator)).sum()
            for value in model.parameters()
        )
        loss.backward()
        optimizer.step()


def test_adamw_takes_the_steps_of_its_equations():
    model = Model()
    optimizer = make_optimizer(model.parameters(), section("adamw", weight_decay=0.1))
    weight = model.small.detach().double().clone()
    first = second = torch.zeros(5, dtype=torch.float64)
    for number in (1, 2, 3):
        steps(model, optimizer, [number])
        gradient = model.small.grad.double()
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        weight = weight * (1 - 1e-2 * 0.1)
        unbiased = (second / (1 - 0.999**number)).sqrt() + 1e-8
        weight = weight - 1e-2 * first / (1 - 0.9**number) / unbiased
    torch.testing.assert_close(model.small.detach().double(), weight, rtol=1e-5, atol=1e-6)


def test_eight_bits_take_about_the_steps_of_adamw():
    models = Model(), Model()
    for model, name in zip(models, ("adamw", "adamw_8bit"), strict=True):
        steps(model, make_optimizer(model.parameters(), section(name)), range(5))
    start = Model().large
    exact, rounded = (model.large - start for model in models)
    assert 0 < (exact - rounded).norm() / exact.norm() < 0.1


def test_eight_bits_take_a_quarter_of_the_memory():
    sizes = {}
    for name in ("adamw", "adamw_8bit"):
        model = Model()
        optimizer = make_optimizer(model.parameters(), section(name))
        steps(model, optimizer, [0])
        sizes[name] = sum(
            value.nbytes
            for what, value in optimizer.state[model.large].items()
            if isinstance(value, torch.Tensor) and not what.startswith("qmap")
        )
    # 5,120 numbers: two moments of 4 bytes; of 1 byte and a float32 scale for each 256.
    assert sizes["adamw"] == 5120 * 8 + 4
    assert sizes["adamw_8bit"] == 5120 * 2 + 2 * 20 * 4


@BOTH
def test_frozen_parameters_have_no_state(name):
    model = Model()
    optimizer = make_optimizer(model.parameters(), section(name))
    steps(model, optimizer, [0])
    tensors, numbers = state_of(model, optimizer)
    assert {key.partition(".")[2] for key in [*tensors, *numbers]} == {"large", "also", "small"}
    (group,) = optimizer.param_groups
    assert len(group["params"]) == 3


@BOTH
def test_an_optimiser_with_another_ones_state_goes_on_to_the_same_bits(name):
    alone = Model()
    steps(alone, make_optimizer(alone.parameters(), section(name)), range(6))

    begun = Model()
    optimizer = make_optimizer(begun.parameters(), section(name))
    steps(begun, optimizer, range(3))
    tensors, numbers = state_of(begun, optimizer)

    resumed = Model()
    resumed.load_state_dict(begun.state_dict())
    other = make_optimizer(resumed.parameters(), section(name))
    put_state({key: value.clone() for key, value in tensors.items()}, numbers, resumed, other)
    steps(resumed, other, range(3, 6))
    for ours, theirs in zip(resumed.parameters(), alone.parameters(), strict=True):
        assert ours.equal(theirs)


def test_no_two_tensors_of_a_state_share_memory():
    model = Model()
    optimizer = make_optimizer(model.parameters(), section("adamw_8bit"))
    steps(model, optimizer, [0])
    tensors, _ = state_of(model, optimizer)
    places = [value.untyped_storage().data_ptr() for value in tensors.values()]
    assert len(set(places)) == len(places)


def test_eight_bits_without_the_extra_are_one_line(monkeypatch):
    monkeypatch.setattr(optim, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        make_optimizer(Model().parameters(), section("adamw_8bit"))
    assert str(caught.value) == (
        "distill.optimizer: adamw_8bit needs bitsandbytes, which is not installed: "
        'pip install "leaf-distill[8bit]"'
    )
