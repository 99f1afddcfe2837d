"""What training needs is counted before a weight is loaded, and refused where it has no room."""

from pathlib import Path

import pytest
import torch

from leaf.distill import room
from leaf.distill.lora import add_adapters
from leaf.distill.optim import make_optimizer
from leaf.distill.room import (
    Parameters,
    check_room,
    checkpoint_bytes,
    count_parameters,
    student_dtype,
    training_bytes,
)
from leaf.errors import OutOfMemoryError
from leaf.models.files import Source, find
from leaf.models.load import load
from leaf.recipe import DistillSection, ModelSection

CPU = torch.device("cpu")
LORA = DistillSection(tuning="lora", lora={"rank": 3}, compute_dtype="bfloat16")


@pytest.fixture
def source(cue_pair: Path) -> Source:
    return find(ModelSection(model=str(cue_pair / "student")))


def student(source: Source, section: DistillSection):
    model = load(ModelSection(model=str(source.folder)), source, dtype=torch.float32).model
    model.requires_grad_(True)
    if section.tuning == "lora":
        add_adapters(model, section.lora, seed=0)
    return model


@pytest.mark.parametrize("section", [DistillSection(), LORA])
def test_counts_are_those_of_the_student_in_training(source, section):
    model = student(source, section)
    learning = sum(value.numel() for value in model.parameters() if value.requires_grad)
    frozen = sum(value.numel() for value in model.parameters() if not value.requires_grad)
    assert count_parameters(source, section) == Parameters(learning=learning, frozen=frozen)


# The tiny student's own matrices are too small for 8 bits.
@pytest.mark.parametrize(
    ("tuning", "name"), [("full", "adamw"), ("lora", "adamw"), ("lora", "adamw_8bit")]
)
def test_bytes_are_those_that_weights_gradients_and_optimiser_take(source, tuning, name):
    section = DistillSection(
        tuning=tuning, lora={"rank": 512}, optimizer=name, compute_dtype="float32"
    )
    model = student(source, section)
    optimizer = make_optimizer(model.parameters(), section)
    model(input_ids=torch.tensor([[5, 9, 22]])).logits.sum().backward()
    optimizer.step()
    taken = sum(value.nbytes for value in model.parameters())
    taken += sum(value.grad.nbytes for value in model.parameters() if value.grad is not None)
    taken += sum(
        value.nbytes
        for state in optimizer.state.values()
        for what, value in state.items()
        if isinstance(value, torch.Tensor) and not what.startswith("qmap")
    )
    counted = training_bytes(count_parameters(source, section), section, torch.float32)
    # Counts of steps, and with 8 bits a scale for each 256 numbers, are left out.
    assert counted == pytest.approx(taken, rel=0.01)


def test_a_checkpoint_holds_weights_and_moments_of_what_learns():
    parameters = Parameters(learning=1000, frozen=10**9)
    assert checkpoint_bytes(parameters, DistillSection()) == 1000 * (4 + 8)
    eight = DistillSection(optimizer="adamw_8bit", validation={"share": 0.1})
    assert checkpoint_bytes(parameters, eight) == 1000 * (4 + 2 + 4)


@pytest.mark.parametrize(
    ("section", "own", "dtype"),
    [
        (DistillSection(compute_dtype="bfloat16"), torch.bfloat16, torch.float32),
        (LORA, torch.bfloat16, torch.bfloat16),
        # Rounding to bfloat16 would lose some of what the student knows.
        (LORA, torch.float32, torch.float32),
        (LORA, torch.float16, torch.float32),
        (LORA.model_copy(update={"compute_dtype": "float32"}), torch.bfloat16, torch.float32),
    ],
)
def test_frozen_weights_alone_may_stay_as_they_came(section, own, dtype):
    assert student_dtype(section, own, CPU) is dtype


def test_a_student_without_room_for_its_optimiser_is_refused_with_both_numbers(source, monkeypatch):
    section = DistillSection()
    needed = 16 * count_parameters(source, section).learning
    monkeypatch.setattr(room, "memory_of", lambda device: (10**6, needed - 1))
    with pytest.raises(OutOfMemoryError) as caught:
        check_room(source, section, CPU)
    line = str(caught.value)
    assert f"takes {needed} bytes" in line
    assert f"but {needed - 1} (" in line
    assert line.endswith(
        "distill.tuning: lora or distill.optimizer: adamw_8bit or take smaller models"
    )
    monkeypatch.setattr(room, "memory_of", lambda device: (10**6, needed))
    check_room(source, section, CPU)


def test_the_way_out_names_only_what_is_not_taken_yet(source, monkeypatch):
    monkeypatch.setattr(room, "memory_of", lambda device: (10**6, 0))
    section = DistillSection(tuning="lora", optimizer="adamw_8bit")
    with pytest.raises(OutOfMemoryError, match=r"free on cpu: take smaller models$"):
        check_room(source, section, CPU)
