"""Checkpoints of a student that two processes share."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

SHARDED = """
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from leaf.recipe import DistillSection
from leaf.distill import checkpoint
from leaf.distill.checkpoint import State
from leaf.distill.optim import make_optimizer
from leaf.errors import UsageError

dist.init_process_group("gloo")
folder = Path(sys.argv[1])


def student(seed):
    torch.manual_seed(seed)
    # 5 rows do not come out even on two processes.
    model = nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3))
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return model, make_optimizer(model.parameters(), DistillSection(learning_rate=1e-2))


def run(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(2 * step + dist.get_rank())
        model(torch.randn(4, 8, generator=generator)).square().mean().backward()
        optimizer.step()


alone, optimizer = student(0)
run(alone, optimizer, range(3))
checkpoint.save(folder, State(step=3, key="k"), alone, optimizer)
checkpoint.save_best(folder, alone, key="k", step=3, loss=0.5)
dist.barrier()
best = [value.full_tensor().clone() for value in alone.parameters()]
run(alone, optimizer, range(3, 6))
resumed, other = student(1)
assert checkpoint.restore(folder, "k", resumed, other).step == 3
run(resumed, other, range(3, 6))
for ours, theirs in zip(resumed.parameters(), alone.parameters(), strict=True):
    assert ours.to_local().equal(theirs.to_local())
assert checkpoint.load_best(folder, "k", resumed).step == 3
for ours, theirs in zip(resumed.parameters(), best, strict=True):
    assert ours.full_tensor().equal(theirs)
try:
    make_optimizer(resumed.parameters(), DistillSection(optimizer="adamw_8bit"))
except UsageError as error:
    print(error)
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.long
def test_a_sharded_training_is_restored_to_the_bit_from_whole_tensors(tmp_path: Path) -> None:
    program = tmp_path / "sharded.py"
    program.write_text(SHARDED)
    (tmp_path / "run").mkdir()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(program), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    weights = load_file(tmp_path / "run" / "checkpoint-000003" / "weights.safetensors")
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    assert shapes == {"0.weight": (5, 8), "0.bias": (5,), "2.weight": (3, 5), "2.bias": (3,)}
    assert done.stdout.count("adamw_8bit cannot work on a student sharded") == 2
