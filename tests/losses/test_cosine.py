"""A loss on hidden states: its value, what it teaches, and what becomes of its projection."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from leaf.distill.train_student import run_job
from leaf.errors import RecipeError
from leaf.losses.cosine import Cosine
from leaf.recipe.reading import load_recipe
from tests.distill.training.runs import job_of


def test_it_is_one_less_the_cosine_after_the_projection() -> None:
    term = Cosine(2, 2)
    with torch.no_grad():
        term.projection.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    student = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    teacher = torch.tensor([[0.0, 5.0], [1.0, 1.0]])
    # (3, 0) becomes (0, 3), along (0, 5); (0, 2) becomes (2, 0), 45 degrees from (1, 1).
    expected = torch.tensor([0.0, 1.0 - math.cos(math.pi / 4)])
    torch.testing.assert_close(term(student, teacher), expected, rtol=1e-5, atol=1e-6)


def test_it_starts_the_same_everywhere_and_keeps_lengths() -> None:
    first, second = Cosine(3, 5).projection.weight, Cosine(3, 5).projection.weight
    assert first.equal(second)
    torch.testing.assert_close(first.T @ first, torch.eye(3))


@pytest.mark.parametrize("teacher", ["online", "hidden"])
def test_a_student_learns_by_it_and_is_saved_without_the_projection(
    cue_pair: Path, tmp_path: Path, teacher: str, own_cache: None
) -> None:
    settings: dict[str, Any] = {
        "teacher": teacher,
        "hidden": {"cosine": 2.0},
        "learning_rate": 1e-2,
        "max_steps": 6,
        "batch_size": 8,
        "warmup_steps": 0,
    }
    job = job_of(tmp_path, cue_pair / "student", cue_pair / "teacher", cue_pair, **settings)
    run_job(job)
    lines = [json.loads(line) for line in (job.folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        kl = 0.5 * line["kl_original"] + 0.5 * line["kl_counterfactual"]
        assert line["loss"] == pytest.approx(kl + line["hidden"], rel=1e-6)
    assert lines[-1]["hidden"] < 0.8 * lines[0]["hidden"]
    names = load_file(job.folder / "model" / "model.safetensors").keys()
    assert not any("projection" in name for name in names)
    assert AutoModelForCausalLM.from_pretrained(job.folder / "model")


@pytest.mark.parametrize("change", ["teacher=topk", "teacher=served", "cross_entropy=1.0"])
def test_a_teacher_without_hidden_states_is_refused_in_one_line(change: str) -> None:
    with pytest.raises(RecipeError, match=r"distill\.hidden needs a teacher's hidden states"):
        load_recipe("demo", ["distill.hidden={cosine: 0.1}", f"distill.{change}"])


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(RecipeError, match="'cosine'"):
        load_recipe("demo", ["distill.hidden={mse: 0.1}"])
