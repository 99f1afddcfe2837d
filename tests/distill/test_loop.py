"""Training is resumed from checkpoints as if nothing had happened."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

TRAIN = """
import sys
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from leaf.chat import Conversation
from leaf.config import DistillSection
from leaf.distill import Distiller, Row, plan_steps, train
from leaf.models import Loaded
from leaf.sources import Source


class NoTokenizer:
    def save_pretrained(self, folder): ...


def load(seed, folder):
    config = LlamaConfig(vocab_size=61, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    source = Source(name="tiny", folder=folder, fingerprint="tiny")
    return Loaded(source=source, model=model.requires_grad_(False), tokenizer=NoTokenizer(),
                  device=torch.device("cpu"), dtype=torch.float32)


out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
section = DistillSection(batch_size=2, max_steps=24, checkpoint_every=3, learning_rate=1e-2,
                         compute_dtype="float32", warmup_steps=2)
rows = [Row(problem_id=str(n), content="", response="", counterfactual=n % 3 == 0)
        for n in range(9)]
items = [Conversation(ids=(n, 2 * n, 3 + n, 7, 2), prompt_length=1 + n % 3) for n in range(9)]
made = Distiller(load(1, out / "s"), load(2, out / "t"), section)
print(train(made, rows, items, plan_steps(rows, section), out, label="training"))
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", TRAIN, str(folder)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> int:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return int(out)


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
    assert finish(start(folder)) == 24
    return folder


def test_killed_training_ends_with_bit_identical_weights_and_metrics(tmp_path, uninterrupted):
    kills = 0
    for wanted in (5, 14):
        process = start(tmp_path)
        while process.poll() is None and len(lines(tmp_path)) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += not (tmp_path / "done.json").exists()
    computed = finish(start(tmp_path))
    assert kills, "the training was over before it could be killed"
    assert computed < 24, "nothing was resumed"
    ours = load_file(tmp_path / "model" / "model.safetensors")
    theirs = load_file(uninterrupted / "model" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert without_seconds(tmp_path) == without_seconds(uninterrupted)


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
