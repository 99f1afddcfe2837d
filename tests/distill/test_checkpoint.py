"""Checkpoints restore a training to the bit, and a wrong one is refused by name."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from leaf.distill import checkpoint
from leaf.distill.checkpoint import Best, State
from leaf.distill.optim import make_optimizer
from leaf.errors import StoreError
from leaf.recipe import DistillSection


class Student(nn.Module):
    """A few weights with dropout, so that random numbers matter."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(70, 60, generator=generator))
        self.frozen = nn.Parameter(torch.full((60,), 2.0), requires_grad=False)
        self.second = nn.Parameter(torch.randn(60, generator=generator))

    def forward(self) -> torch.Tensor:
        kept = nn.functional.dropout(self.first * self.frozen, p=0.5)
        return (kept @ self.second).square().mean()


def optimizer_of(student: Student, name: str = "adamw") -> torch.optim.Optimizer:
    section = DistillSection(optimizer=name, learning_rate=1e-2)
    return make_optimizer(student.parameters(), section)


def run(student: Student, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        student().backward()
        optimizer.step()


@pytest.fixture
def saved(tmp_path):
    """A folder with the checkpoint of step 3 of the training `k`."""
    torch.manual_seed(5)
    student = Student(0)
    optimizer = optimizer_of(student)
    run(student, optimizer, 3)
    checkpoint.save(tmp_path, State(step=3, key="k"), student, optimizer)
    return tmp_path


def refusal(folder, key: str = "k", student: nn.Module | None = None) -> str:
    student = student or Student(1)
    with pytest.raises(StoreError) as caught:
        checkpoint.restore(folder, key, student, optimizer_of(student))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{folder / 'checkpoint-000003'}: ")
    assert line.endswith("; delete it to start from the beginning")
    return line


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit"])
def test_a_restored_training_goes_on_to_the_same_bits(tmp_path, name):
    torch.manual_seed(5)
    alone = Student(0)
    optimizer = optimizer_of(alone, name)
    run(alone, optimizer, 3)
    checkpoint.save(tmp_path, State(step=3, key="k"), alone, optimizer)
    run(alone, optimizer, 3)

    torch.manual_seed(77)
    resumed = Student(1)
    other = optimizer_of(resumed, name)
    state = checkpoint.restore(tmp_path, "k", resumed, other)
    assert state == State(step=3, key="k")
    run(resumed, other, 3)
    assert resumed.first.equal(alone.first)
    assert resumed.second.equal(alone.second)


def test_what_the_loop_carries_comes_back(tmp_path):
    student = Student(0)
    optimizer = optimizer_of(student)
    run(student, optimizer, 1)
    extra = {"best_loss": 0.1 + 0.2, "worse": 2, "best_step": None}
    checkpoint.save(tmp_path, State(step=1, key="k", extra=extra), student, optimizer)
    state = checkpoint.restore(tmp_path, "k", student, optimizer)
    assert state is not None
    assert state.extra == extra


def test_without_a_checkpoint_nothing_is_restored(tmp_path):
    student = Student(0)
    assert checkpoint.restore(tmp_path, "k", student, optimizer_of(student)) is None
    assert checkpoint.load_best(tmp_path, "k", student) is None


def test_the_newest_checkpoint_alone_is_kept_and_nothing_lies_aside(saved):
    # What a kill in the middle of writing leaves behind.
    (saved / ".checkpoint-000006.1.tmp").mkdir()
    student = Student(0)
    optimizer = optimizer_of(student)
    run(student, optimizer, 1)
    checkpoint.save(saved, State(step=6, key="k"), student, optimizer)
    assert [path.name for path in saved.iterdir()] == ["checkpoint-000006"]


def test_frozen_weights_are_not_in_a_checkpoint(saved):
    weights = load_file(saved / "checkpoint-000003" / "weights.safetensors")
    assert weights.keys() == {"first", "second"}


def test_a_checkpoint_of_another_training_is_refused(saved):
    assert "a checkpoint of another training (key k, this one is other)" in refusal(saved, "other")


@pytest.mark.parametrize("name", ["weights", "optimizer", "random"])
def test_a_file_cut_short_is_refused(saved, name):
    path = saved / "checkpoint-000003" / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    assert f"damaged checkpoint ({name}.safetensors: " in refusal(saved)


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "optimizer.safetensors", "random.safetensors", "state.json"]
)
def test_a_missing_file_is_refused(saved, name):
    (saved / "checkpoint-000003" / name).unlink()
    assert f"damaged checkpoint ({name}: " in refusal(saved)


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("weights", "second", "weights.safetensors lacks second"),
        ("optimizer", "exp_avg_sq.first", "optimizer.safetensors lacks exp_avg_sq.first"),
        ("random", "cpu", "random.safetensors lacks cpu"),
    ],
)
def test_a_missing_tensor_is_refused(saved, name, tensor, reason):
    path = saved / "checkpoint-000003" / f"{name}.safetensors"
    tensors = load_file(path)
    del tensors[tensor]
    save_file(tensors, path)
    assert f"damaged checkpoint ({reason})" in refusal(saved)


@pytest.mark.parametrize("name", ["weights", "optimizer", "random"])
def test_a_flipped_bit_is_refused(saved, name):
    path = saved / "checkpoint-000003" / f"{name}.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    reason = f"damaged checkpoint ({name}.safetensors is not as it was written)"
    assert reason in refusal(saved)


def test_a_flipped_bit_of_the_best_weights_is_refused(tmp_path):
    student = Student(0)
    checkpoint.save_best(tmp_path, student, key="k", step=3, loss=0.5)
    path = tmp_path / "best.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="not as it was written"):
        checkpoint.load_best(tmp_path, "k", student)


def test_weights_of_another_shape_are_refused(saved):
    student = Student(1)
    student.second = nn.Parameter(torch.zeros(61))
    reason = "it has second as [60], the model as [61]"
    assert f"damaged checkpoint ({reason})" in refusal(saved, student=student)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "state.json: Expecting property name"),
        ("[]", "state.json: not an object"),
        ('{"step": "3", "key": "k"}', "state.json: `step` is '3'"),
        ('{"step": 3}', "state.json: no 'key'"),
    ],
)
def test_a_state_that_is_none_is_refused(saved, text, reason):
    (saved / "checkpoint-000003" / "state.json").write_text(text)
    assert f"damaged checkpoint ({reason}" in refusal(saved)


def test_the_best_weights_come_back_with_step_and_loss(tmp_path):
    student = Student(0)
    checkpoint.save_best(tmp_path, student, key="k", step=7, loss=0.1 + 0.2)
    checkpoint.save_best(tmp_path, Student(1), key="k", step=9, loss=0.25)
    other = Student(2)
    assert checkpoint.load_best(tmp_path, "k", other) == Best(step=9, loss=0.25)
    assert other.first.equal(Student(1).first)
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_best_weights_of_another_training_are_refused(tmp_path):
    checkpoint.save_best(tmp_path, Student(0), key="k", step=7, loss=0.5)
    with pytest.raises(StoreError, match=r"best\.safetensors: a checkpoint of another training"):
        checkpoint.load_best(tmp_path, "other", Student(0))


def test_best_weights_cut_short_are_refused(tmp_path):
    checkpoint.save_best(tmp_path, Student(0), key="k", step=7, loss=0.5)
    path = tmp_path / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match=r"best\.safetensors: damaged checkpoint \("):
        checkpoint.load_best(tmp_path, "k", Student(0))


def test_a_finished_training_keeps_no_checkpoint(saved):
    checkpoint.save_best(saved, Student(0), key="k", step=7, loss=0.5)
    shutil.copytree(saved / "checkpoint-000003", saved / ".checkpoint-000006.1.tmp")
    (saved / "metrics.jsonl").touch()
    checkpoint.clear(saved)
    assert [path.name for path in saved.iterdir()] == ["metrics.jsonl"]


def test_a_checkpoint_is_safetensors_and_json_alone(saved):
    names = {path.name for path in (saved / "checkpoint-000003").iterdir()}
    tensors = {"weights.safetensors", "optimizer.safetensors", "random.safetensors"}
    assert names == {*tensors, "state.json"}
    for name in tensors:
        with safe_open(saved / "checkpoint-000003" / name, framework="pt") as file:
            assert len(file.keys())
    assert json.loads((saved / "checkpoint-000003" / "state.json").read_text())["key"] == "k"
