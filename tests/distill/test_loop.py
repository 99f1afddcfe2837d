"""Training is resumed from checkpoints as if nothing had happened."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

TRAIN = """
import json, os, signal, sys
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import DistillSection
from leaf.distill import Distiller, Plan, TrainingExample, Sample, plan_steps, train
from leaf.distill.loop import finish
from leaf.distill.lora import add_adapters
from leaf.distill.teacher import online_teacher
from leaf.models.load import Loaded
from leaf.models.files import Source


def load(seed):
    config = LlamaConfig(vocab_size=61, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    source = Source(name="tiny", files=Path("tiny"), fingerprint="tiny")
    return Loaded(source=source, model=model.requires_grad_(False), tokenizer=None,
                  device=torch.device("cpu"), dtype=torch.float32)


out, changes, killed_after = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
out.mkdir(parents=True, exist_ok=True)
settings = {"batch_size": 2, "max_steps": 24, "checkpoint_every": 3, "learning_rate": 1e-2,
            "compute_dtype": "float32", "warmup_steps": 2}
section = DistillSection(**{**settings, **changes})
rows = [TrainingExample(problem_id=str(n), content="", response="", counterfactual=n % 3 == 0)
        for n in range(12)]
tokens = [EncodedExample(ids=(n, 2 * n, 3 + n, 7, 2), prompt_length=1 + n % 3) for n in range(12)]
samples = [Sample(row=row, tokens=item) for row, item in zip(rows, tokens)]
student = load(1)
if section.tuning == "lora":
    add_adapters(student.model, section.lora, seed=0)
torch.manual_seed(5)
made = Distiller(student, online_teacher(load(2)), section)
backward = made.backward


def backward_or_die(*args):
    metrics = out / "metrics.jsonl"
    if killed_after and metrics.exists() and len(metrics.read_text().splitlines()) >= killed_after:
        os.kill(os.getpid(), signal.SIGKILL)
    return backward(*args)


made.backward = backward_or_die
plan = Plan(samples=samples[:9], steps=plan_steps(rows[:9], section), key="tiny",
            held_out=samples[9:] if section.validation.share else ())
computed = train(made, plan, out, label="training").computed
after = made.validate(samples[9:], section.lambda_).loss
print(json.dumps([computed, after]))
student.model.save_pretrained(out / "model")
finish(out, {})
"""


def start(folder: Path, killed_after: int = 0, **changes: Any) -> "subprocess.Popen[str]":
    """Train in a process of its own; with `killed_after` it is killed in the step after that."""
    words = [sys.executable, "-c", TRAIN, str(folder), json.dumps(changes), str(killed_after)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, float]:
    """Return the steps that were computed now, and the loss on held-out samples in the end."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    computed, loss = json.loads(out)
    return computed, loss


def lines(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def without_seconds(folder: Path) -> list[dict]:
    return [
        {key: value for key, value in line.items() if key != "seconds"} for line in lines(folder)
    ]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    assert finish(start(folder))[0] == 24
    return folder


def killed_and_finished(folder: Path, **changes: Any) -> int:
    """Kill a training twice with SIGKILL, let it end, and return the steps of the last process."""
    # A checkpoint is there after every third step.
    for steps, since in ((5, None), (14, 3)):
        process = start(folder, steps, **changes)
        assert resumed(process.communicate(timeout=120)[1]) == since
        assert process.returncode == -signal.SIGKILL
    return finish(start(folder, **changes))[0]


def resumed(said: str) -> int | None:
    """Return the step from which a training says that it is resumed."""
    found = re.findall(r"^training: resuming from step (\d+) of 24$", said, re.MULTILINE)
    return int(found[0]) if found else None


def weights(folder: Path) -> dict[str, Any]:
    return load_file(next((folder / "model").glob("*.safetensors")))


def test_killed_training_ends_with_bit_identical_weights_and_metrics(tmp_path, uninterrupted):
    computed = killed_and_finished(tmp_path)
    assert computed < 24, "nothing was resumed"
    ours, theirs = weights(tmp_path), weights(uninterrupted)
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert without_seconds(tmp_path) == without_seconds(uninterrupted)


@pytest.mark.long
def test_a_killed_training_with_dropout_and_validation_goes_on_as_if_nothing_had_been(tmp_path):
    changes = {
        "tuning": "lora",
        "lora": {"rank": 2, "dropout": 0.3},
        "lambda_end": 0.9,
        "validation": {"share": 0.2, "every": 4},
    }
    assert finish(start(tmp_path / "whole", **changes))[0] == 24
    assert killed_and_finished(tmp_path / "killed", **changes) < 24
    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert without_seconds(tmp_path / "killed") == without_seconds(tmp_path / "whole")
    changes["lora"]["dropout"] = 0.0
    finish(start(tmp_path / "plain", **changes))
    plain = weights(tmp_path / "plain")
    assert any(not plain[name].equal(theirs[name]) for name in plain), "dropout does nothing"


def test_lambda_goes_from_one_value_to_the_other_in_a_straight_line(tmp_path):
    finish(start(tmp_path, lambda_end=0.9, **{"lambda": 0.5}))
    found = [line["lambda"] for line in lines(tmp_path)]
    assert found[0] == 0.5
    assert found[-1] == pytest.approx(0.9)
    # 23 equal steps between 24 values.
    assert found[6] == pytest.approx(0.5 + 0.4 * 6 / 23)


def test_the_weights_of_the_best_validation_are_kept_and_patience_ends_it(tmp_path):
    # So high a rate that validation soon gets worse.
    changes = {"validation": {"share": 0.2, "every": 2, "patience": 3}, "learning_rate": 0.3}
    computed, after = finish(start(tmp_path, **changes))
    losses = {
        line["step"]: line["validation_loss"]
        for line in lines(tmp_path)
        if "validation_loss" in line
    }
    best = min(losses, key=losses.get)
    assert list(losses) == list(range(2, computed + 1, 2))
    assert computed == best + 6, "three validations of every second step without a better one"
    assert computed < 24
    assert after == losses[best]


def test_training_lowers_the_loss_and_leaves_no_checkpoint(uninterrupted):
    losses = [line["loss"] for line in lines(uninterrupted)]
    assert sum(losses[-4:]) < sum(losses[:4])
    assert not list(uninterrupted.glob("checkpoint-*"))


def test_the_learning_rate_warms_up_and_follows_a_cosine_to_zero(uninterrupted):
    rates = [line["learning_rate"] for line in lines(uninterrupted)]
    assert rates[0] == 0.0
    assert rates[2] == pytest.approx(1e-2)
    # Half way through the cosine's 22 steps: (1 + cos(pi / 2)) / 2 of the peak.
    assert rates[13] == pytest.approx(0.5e-2)
