"""What a student ends as: validated, merged, and really trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from leaf.distill import TrainingExample
from leaf.distill.sample import encode_rows
from leaf.distill.train_student import TrainingJob, run_job
from leaf.models.prompt_format import EncodedExample, prompt_format_of
from leaf.pipeline import students as trained_students
from leaf.recipe import ModelSection
from tests.distill.training.runs import job_of, largest_difference, metrics, run


def test_both_arms_validate_on_the_same_problems_that_neither_learns(
    cue_pair: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: dict[str, TrainingJob] = {}

    def noted(job: TrainingJob) -> int:
        jobs[job.label.split()[-1]] = job
        return run_job(job)

    monkeypatch.setattr(trained_students, "run_job", noted)
    students = run(cue_pair, store, validation={"share": 0.25, "every": 2}).results.students
    held = {arm: {row.problem_id for row in job.held_out} for arm, job in jobs.items()}
    assert held["kd"] == held["leaf"]
    assert len(held["kd"]) == 2
    for job in jobs.values():
        assert not {row.problem_id for row in job.rows} & held["kd"]
    for folder in students.values():
        lines = metrics(folder)
        validated = [line["step"] for line in lines if "validation_loss" in line]
        assert validated == sorted({*range(2, len(lines) + 1, 2), len(lines)})
        assert (folder / "done.json").is_file()
        assert (folder / "model" / "config.json").is_file()


def test_arms_take_as_many_steps_or_see_as_many_originals(cue_pair: Path, store: Path) -> None:
    steps = {
        same: {
            arm: len(metrics(folder))
            for arm, folder in run(cue_pair, store, same=same).results.students.items()
        }
        for same in ("steps", "originals")
    }
    assert steps["steps"]["kd"] == steps["steps"]["leaf"] == steps["originals"]["leaf"] > 4
    # Two passes over eight originals, four a step.
    assert steps["originals"]["kd"] == 4


def test_adapters_end_merged_in_a_folder_that_transformers_alone_loads(
    cue_pair: Path, store: Path
) -> None:
    changes = {"tuning": "lora", "lora": {"rank": 4}, "learning_rate": 1e-2}
    folder = run(cue_pair, store, **changes).results.students["leaf"] / "model"
    student, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert type(student).__name__ == "LlamaForCausalLM"
    before = load_file(cue_pair / "student" / "model.safetensors")
    after = load_file(folder / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert {name.split(".")[-2] for name in changed} == {
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    }
    assert AutoTokenizer.from_pretrained(folder).chat_template


def test_training_really_trains(cue_pair: Path, tmp_path: Path) -> None:
    """Over-fit eight rows from random weights: the KL to the teacher falls to almost nothing."""
    torch.manual_seed(7)
    config = LlamaConfig.from_pretrained(cue_pair / "student")
    LlamaForCausalLM(config).save_pretrained(tmp_path / "random")
    AutoTokenizer.from_pretrained(cue_pair / "student").save_pretrained(tmp_path / "random")
    settings = {"batch_size": 8, "max_steps": 120, "learning_rate": 5e-3}
    job = job_of(tmp_path, tmp_path / "random", cue_pair / "teacher", cue_pair, **settings)
    rows = job.rows
    assert len(rows) == 8
    assert run_job(job) == 120
    losses = [line["loss"] for line in metrics(tmp_path / "job")]
    assert losses[0] > 1.0
    assert losses[-1] < 0.05
    # And so says a plain KL from full logits of the saved folder.
    assert naive_kl(tmp_path / "job" / "model", cue_pair / "teacher", rows) < 0.05


def naive_kl(student: Path, teacher: Path, rows: Sequence[TrainingExample]) -> float:
    tokenizer = AutoTokenizer.from_pretrained(student)
    samples, _ = encode_rows(
        prompt_format_of(tokenizer, ModelSection(model=str(student))), rows, 4096
    )
    logits = []
    for folder in (teacher, student):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            found = [_response_logits(model, sample.tokens) for sample in samples]
        logits.append(torch.log_softmax(torch.cat(found).double(), -1))
    p, q = logits
    return float((p.exp() * (p - q)).sum(-1).mean())


def _response_logits(model: Any, item: EncodedExample) -> torch.Tensor:
    whole: torch.Tensor = model(input_ids=torch.tensor([item.ids])).logits[0]
    return whole[item.prompt_length - 1 : -1]


@pytest.mark.parametrize("teacher", ["online", "hidden"])
def test_a_student_that_is_spread_while_it_answers_learns_whole(
    cue_pair: Path, tmp_path: Path, teacher: str
) -> None:
    parts = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head")
    places = {**dict.fromkeys(parts, "cpu"), "model.layers": "disk"}
    ways: dict[str, Path] = {}
    for name in ("whole", "spread"):
        (tmp_path / name).mkdir()
        models = cue_pair / "student", cue_pair / "teacher"
        distill: dict[str, Any] = {"teacher": teacher, "anchor": 0.5, "max_steps": 2}
        job = job_of(tmp_path / name, *models, cue_pair, batch_size=4, **distill)
        if name == "spread":
            job = replace(
                job,
                student=job.student.model_copy(update={"device_map": places}),
                teacher=job.teacher.model_copy(update={"device_map": places}),
            )
        run_job(job)
        ways[name] = job.folder
    assert largest_difference(ways["whole"], ways["spread"]) == 0
