"""What a teacher says is kept exactly, found by content, and refused where it is damaged."""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from leaf.distill import Distiller, Sample, TrainingExample
from leaf.distill import cache as cache_module
from leaf.distill.cache import HEAD, TeacherCache, fill, read_head, write_head
from leaf.distill.keep import keep_states, keep_tops
from leaf.distill.sample import content_key
from leaf.distill.teacher import HiddenTeacher, OnlineStates, Teacher, TopKTeacher, online_teacher
from leaf.errors import StoreError
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import DistillSection

ITEMS = [
    EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6),
    EncodedExample(ids=(11, 4, 58, 2), prompt_length=1),
    EncodedExample(ids=(5, 9, 22, 31, 40, 3, 18, 2), prompt_length=5),
    # The first again, but the response begins earlier: another entry.
    EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=4),
    EncodedExample(ids=(60, 2), prompt_length=1),
]

SAMPLES = [
    Sample(
        row=TrainingExample(problem_id=str(n), content="", response="", counterfactual=n in (2, 3)),
        tokens=item,
    )
    for n, item in enumerate(ITEMS)
]

CPU = torch.device("cpu")


def loaded(model: Any) -> Loaded:
    source = Source(name="tiny", fingerprint="tiny")
    return Loaded(source=source, model=model, tokenizer=None, device=CPU, dtype=model.dtype)


@pytest.fixture
def teacher(tiny_model: Callable[..., Any]) -> Any:
    return tiny_model("llama", seed=2, dtype=torch.float64, num_hidden_layers=3)


@pytest.fixture
def gradient(tiny_model: Callable[..., Any]) -> Callable[..., tuple[float, torch.Tensor]]:
    """The loss under a teacher, and the student's gradient."""

    def compute(teacher: Teacher, **changes: Any) -> tuple[float, torch.Tensor]:
        student = tiny_model("llama", seed=1, dtype=torch.float64)
        made = Distiller(loaded(student), teacher, DistillSection(**changes))
        loss = made.backward(SAMPLES, 0.3).loss
        return loss, torch.cat([parameter.grad.flatten() for parameter in student.parameters()])

    return compute


def no_tick(done: int) -> None:
    pass


def filled(folder: Path, teacher: Any, items: Sequence[EncodedExample] = ITEMS) -> TeacherCache:
    """Keep hidden states of some conversations, and open them again."""
    folder.mkdir(exist_ok=True)
    write_head(folder, output_head(teacher))
    produce = keep_states(OnlineStates(loaded(teacher)), token_budget=20)
    fill(TeacherCache(folder, "key", "hidden"), items, produce, no_tick)
    return TeacherCache(folder, "key", "hidden")


def top_teacher(folder: Path, teacher: Any, k: int, temperature: float = 1.0) -> TopKTeacher:
    folder.mkdir()
    cache = TeacherCache(folder, "key", "topk")
    states, head = OnlineStates(loaded(teacher)), output_head(teacher)
    produce = keep_tops(states, head, k=k, temperature=temperature, token_budget=20, chunk=3)
    fill(cache, ITEMS, produce, no_tick)
    return TopKTeacher(cache=cache, entries=61)


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*.safetensors"))}


# Exact, or at most the whole.


@pytest.mark.parametrize("rows_a_part", [1, 2, 64])
def test_training_from_kept_hidden_states_is_training_from_the_teacher(
    teacher: Any,
    gradient: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows_a_part: int,
) -> None:
    monkeypatch.setattr(cache_module, "ROWS_A_PART", rows_a_part)
    cache = filled(tmp_path, teacher)
    assert len(parts(tmp_path)) == -(-len(ITEMS) // rows_a_part)
    kept = HiddenTeacher(states=cache.states, head=read_head(tmp_path, CPU))
    loss, flat = gradient(kept)
    expected_loss, expected = gradient(online_teacher(loaded(teacher)))
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    torch.testing.assert_close(flat, expected, rtol=1e-9, atol=1e-13)


def test_kept_states_are_bit_for_bit_those_that_were_computed(teacher: Any, tmp_path: Path) -> None:
    teacher.to(torch.bfloat16)
    produced = keep_states(OnlineStates(loaded(teacher)), token_budget=20)(ITEMS)
    cache = filled(tmp_path, teacher)
    for item, entry in zip(ITEMS, produced, strict=True):
        found = cache.states([item])
        assert found.dtype is torch.bfloat16
        assert torch.equal(found, entry["states"])


def test_a_head_with_bias_scale_and_cap_is_read_as_it_was_written(
    teacher: Any, tmp_path: Path
) -> None:
    head = replace(output_head(teacher), bias=torch.arange(61.0), scale=0.25, softcap=30.0)
    write_head(tmp_path, head)
    found = read_head(tmp_path, CPU)
    assert torch.equal(found.weight, head.weight)
    assert torch.equal(found.bias, head.bias)
    assert (found.scale, found.softcap) == (0.25, 30.0)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_with_every_token_kept_the_loss_is_the_whole_one(
    teacher: Any, gradient: Callable[..., Any], tmp_path: Path, temperature: float
) -> None:
    kept = top_teacher(tmp_path / "topk", teacher, 61, temperature)
    loss, flat = gradient(kept, temperature=temperature)
    expected_loss, expected = gradient(online_teacher(loaded(teacher)), temperature=temperature)
    # Log-probabilities are kept in float32, and what no outcome has left counts as 1e-12.
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    torch.testing.assert_close(flat, expected, rtol=1e-4, atol=1e-6)


def test_fewer_kept_tokens_never_make_the_loss_larger(
    teacher: Any, gradient: Callable[..., Any], tmp_path: Path
) -> None:
    whole, _ = gradient(online_teacher(loaded(teacher)))
    losses = [gradient(top_teacher(tmp_path / str(k), teacher, k))[0] for k in (1, 4, 16, 57)]
    # Merging outcomes cannot make two distributions differ more (data processing).
    assert losses == sorted(losses)
    assert 0.0 < losses[0] < 0.9 * whole
    assert losses[-1] < whole
    assert losses[-1] == pytest.approx(whole, rel=0.01)


# Found by content.


def test_entries_are_found_by_content_in_any_order(teacher: Any, tmp_path: Path) -> None:
    cache = filled(tmp_path, teacher)
    states = [OnlineStates(loaded(teacher))([item]) for item in ITEMS]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3]):
        expected = torch.cat([states[at] for at in order])
        found = cache.states([ITEMS[at] for at in order])
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def counted(teacher: Any) -> tuple[list[int], Any]:
    """Return a `Produce` and the list that it notes the number of its rows in."""
    produce = keep_states(OnlineStates(loaded(teacher)), token_budget=20)
    calls: list[int] = []

    def noted(items: Sequence[EncodedExample]) -> Any:
        calls.append(len(items))
        return produce(items)

    return calls, noted


def test_another_arm_computes_only_what_the_first_had_not(teacher: Any, tmp_path: Path) -> None:
    calls, produce = counted(teacher)
    for items in (ITEMS[:3], ITEMS[:3][::-1], [*ITEMS, ITEMS[1]], ITEMS):
        fill(TeacherCache(tmp_path, "key", "hidden"), items, produce, no_tick)
    assert calls == [3, 2]


def test_the_same_row_twice_is_computed_once(teacher: Any, tmp_path: Path) -> None:
    calls, produce = counted(teacher)
    ticks: list[int] = []
    cache = TeacherCache(tmp_path, "key", "hidden")
    fill(cache, [ITEMS[0], ITEMS[1], ITEMS[0]], produce, ticks.append)
    assert (calls, ticks) == ([2], [2])
    assert len(cache.states([ITEMS[0], ITEMS[0]])) == 6


# Damage.


def test_a_part_cut_short_is_named(teacher: Any, tmp_path: Path) -> None:
    filled(tmp_path, teacher)
    path = tmp_path / "part-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match=r"part-00000.safetensors: damaged or cut short .*delete"):
        TeacherCache(tmp_path, "key", "hidden")


def test_a_flipped_bit_of_what_a_teacher_said_is_not_trained_on(
    teacher: Any, tmp_path: Path
) -> None:
    filled(tmp_path, teacher)
    path = tmp_path / "part-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    cache = TeacherCache(tmp_path, "key", "hidden")
    with pytest.raises(StoreError, match="is damaged; delete the folder to compute it again"):
        cache.states(ITEMS)
    head = tmp_path / HEAD
    data = bytearray(head.read_bytes())
    data[-9] ^= 1
    head.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged \(not as it was written\)"):
        read_head(tmp_path, CPU)


def test_a_part_of_an_earlier_version_is_read(teacher: Any, tmp_path: Path) -> None:
    """It had the key alone in its metadata."""
    cache = filled(tmp_path, teacher)
    expected = cache.states(ITEMS)
    for path in tmp_path.glob("part-*.safetensors"):
        save_file(load_file(path), path, metadata={"key": "key"})
    assert torch.equal(TeacherCache(tmp_path, "key", "hidden").states(ITEMS), expected)


def test_a_part_of_another_teacher_is_named(teacher: Any, tmp_path: Path) -> None:
    filled(tmp_path, teacher)
    with pytest.raises(StoreError, match=r"part-00000.safetensors: of another teacher or setting"):
        TeacherCache(tmp_path, "other", "hidden")


def test_a_file_that_is_no_part_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "part-00000.safetensors")
    with pytest.raises(StoreError, match="of another teacher or setting"):
        TeacherCache(tmp_path, "key", "hidden")


def test_a_row_that_is_not_there_is_said_with_the_way_out(teacher: Any, tmp_path: Path) -> None:
    cache = filled(tmp_path, teacher, ITEMS[:2])
    with pytest.raises(StoreError, match="holds nothing of a row of 8 tokens; run the same comma"):
        cache.states(ITEMS[:3])


def test_an_entry_with_a_wrong_number_of_positions_is_refused(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, "key", "hidden")
    cache.add(ITEMS[:1], [{"states": torch.zeros(2, 16)}])
    with pytest.raises(StoreError, match="has 2 positions of a response of 3; delete the folder"):
        cache.states(ITEMS[:1])


@pytest.mark.parametrize("damage", ["missing", "cut", "without its shape"])
def test_a_damaged_head_is_named(teacher: Any, tmp_path: Path, damage: str) -> None:
    filled(tmp_path, teacher)
    path = tmp_path / "head.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        save_file(load_file(path), path)
    with pytest.raises(StoreError, match=r"head.safetensors: damaged .*delete it and run"):
        read_head(tmp_path, CPU)


def test_a_deleted_part_is_filled_again_and_the_others_stay(
    teacher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "ROWS_A_PART", 2)
    filled(tmp_path, teacher)
    before = parts(tmp_path)
    (tmp_path / "part-00001.safetensors").unlink()
    calls, produce = counted(teacher)
    cache = TeacherCache(tmp_path, "key", "hidden")
    assert cache.missing(ITEMS) == ITEMS[2:4]
    fill(cache, ITEMS, produce, no_tick)
    assert calls == [2]
    after = parts(tmp_path)
    assert after["part-00003.safetensors"] == before["part-00001.safetensors"]
    assert all(after[name] == before[name] for name in before if name in after)
    assert len(after) == 3


# Kills.

FILL = """
import os, signal, sys
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from leaf.models.prompt_format import EncodedExample
from leaf.distill import cache
from leaf.distill.keep import keep_states
from leaf.distill.teacher import OnlineStates
from leaf.models.load import Loaded
from leaf.models.files import Source

config = LlamaConfig(vocab_size=61, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                     num_attention_heads=4, num_key_value_heads=2)
torch.manual_seed(3)
source = Source(name="tiny", fingerprint="tiny")
teacher = Loaded(source=source, model=LlamaForCausalLM(config).eval().requires_grad_(False),
                 tokenizer=None, device=torch.device("cpu"), dtype=torch.float32)
items = [EncodedExample(ids=(n, 2 * n % 61, 7, 5, 2), prompt_length=1 + n % 3) for n in range(24)]
cache.ROWS_A_PART = 3
produce = keep_states(OnlineStates(teacher), token_budget=16)
opened = cache.TeacherCache(Path(sys.argv[1]), "key", "hidden")


def keep_or_die(done):
    if sys.argv[2] == "killed" and len(list(Path(sys.argv[1]).glob("part-*.safetensors"))) >= 3:
        os.kill(os.getpid(), signal.SIGKILL)


cache.fill(opened, items, produce, keep_or_die)
"""


def fill_elsewhere(folder: Path, fate: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-c", FILL, str(folder), fate]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def test_a_killed_fill_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = fill_elsewhere(tmp_path / "whole", "whole")
    killed = fill_elsewhere(tmp_path / "killed", "killed")
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, errors
    there = parts(tmp_path / "killed")
    assert 3 <= len(there) < 8
    again = fill_elsewhere(tmp_path / "killed", "whole")
    for process in (whole, again):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(parts(tmp_path / "whole")) == 8
    assert parts(tmp_path / "killed") == parts(tmp_path / "whole")


def test_names_say_the_tokens_and_where_the_response_begins() -> None:
    assert len({content_key(item) for item in ITEMS}) == len(ITEMS)
    again = EncodedExample(ids=ITEMS[0].ids, prompt_length=6)
    assert content_key(again) == content_key(ITEMS[0])
