"""Two processes under torchrun, each with half of the student, on CPUs (gloo)."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

STEPS = 12
RATE = 1e-3


def recipe_of(pair: Path, folder: Path, **distill: object) -> Path:
    recipe = yaml.safe_load((pair / "recipe.yaml").read_text())
    recipe["attribute"] = {"detector": "ablation", "ablation_unit": "word"}
    recipe["distill"] = {
        "max_steps": STEPS,
        "batch_size": 4,
        "token_budget": 64,  # several micro-batches a step, not equally many for both
        "checkpoint_every": 3,
        "learning_rate": RATE,
        "compute_dtype": "float32",
        "validation": {"share": 0.25, "every": 4},
        # Rows of one context and of two, which take different terms, in groups of their own.
        "teacher_sees": "cut",
        "cross_entropy_changed": 0.5,
        "anchor": 0.5,
        **distill,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def with_stage_1(alone: Path, folder: Path) -> None:
    """Copy what the other run found before training."""
    shutil.copytree(alone.parent / "store", folder / "store", ignore=lambda *_: {"students"})


def start(
    recipe: Path, out: Path, processes: int, groups: tuple[str, ...] = ("--standalone",)
) -> "subprocess.Popen[str]":
    leaf = ["-m", "leaf", "run", str(recipe), "--out", str(out), "--until", "distill"]
    launch = ["-m", "torch.distributed.run", *groups, f"--nproc-per-node={processes}"]
    words = [*launch, *leaf] if processes > 1 or len(groups) > 1 else leaf
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def students(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {
        name: load_file(folder / name / "model.safetensors") for name in ("student", "student-kd")
    }


def assert_alike(ours: Path, theirs: Path) -> None:
    one, other = students(ours), students(theirs)
    for arm, weights in one.items():
        assert weights.keys() == other[arm].keys()
        for name, weight in weights.items():
            apart = (weight - other[arm][name]).abs()
            # Adam turns a gradient that is all rounding into a step like any other; few are.
            assert float(apart.max()) < RATE
            assert float(apart.mean()) < 1e-3 * RATE


@pytest.fixture(scope="module")
def alone(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    finish(start(recipe_of(cue_pair, folder), folder / "run", 1))
    return folder / "run"


@pytest.mark.long
def test_two_processes_train_the_student_that_one_trains(alone, cue_pair, tmp_path):
    with_stage_1(alone, tmp_path)
    said = finish(start(recipe_of(cue_pair, tmp_path), tmp_path / "run", 2))
    assert_alike(tmp_path / "run", alone)
    assert said.count("report:") == 1, "only the first process speaks"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2 * STEPS
    ours = [json.loads(line)["loss"] for line in lines]
    alone_lines = (alone / "metrics.jsonl").read_text().splitlines()
    assert ours == pytest.approx([json.loads(line)["loss"] for line in alone_lines], rel=1e-3)


@pytest.mark.long
def test_what_two_processes_began_one_can_end(alone, cue_pair, tmp_path):
    with_stage_1(alone, tmp_path)
    recipe = recipe_of(cue_pair, tmp_path)
    process = start(recipe, tmp_path / "run", 2)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("store/students/*/checkpoint-*")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finish(start(recipe, tmp_path / "run", 1))
    assert_alike(tmp_path / "run", alone)


def start_both(recipe: Path, out: Path, name: str) -> "list[subprocess.Popen[str]]":
    """Start two groups of one process each, as on two machines that see one disk."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        end = f"127.0.0.1:{free.getsockname()[1]}"
    meet = ("--rdzv-backend=c10d", f"--rdzv-endpoint={end}", f"--rdzv-id={name}")
    # The first machine's name is not needed where all is on loopback.
    groups = ("--nnodes=2", "--max-restarts=0", "--local-addr=127.0.0.1", *meet)
    return [start(recipe, out, 1, groups) for _ in range(2)]


@pytest.mark.long
def test_two_machines_train_as_one_and_what_a_lost_one_left_is_resumed(alone, cue_pair, tmp_path):
    with_stage_1(alone, tmp_path)
    recipe = recipe_of(cue_pair, tmp_path)
    both = start_both(recipe, tmp_path / "run", "first")
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("store/students/*/checkpoint-*")):
        assert both[0].poll() is None, both[0].communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(both[1].pid, signal.SIGKILL)
    both[1].communicate()
    said, _ = both[0].communicate(timeout=120)
    assert both[0].returncode != 0, "the other machine does not wait for ever"
    assert said
    for process in start_both(recipe, tmp_path / "run", "again"):
        finish(process)
    assert_alike(tmp_path / "run", alone)
