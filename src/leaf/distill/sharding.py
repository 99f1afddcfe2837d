"""Models sharded over processes with FSDP2, one accelerator (or CPU process) each.

PyTorch's `fully_shard` alone: parameters, gradients and optimiser states lie in equal parts on all
processes, and a layer is whole only while it works. Computation is the same as alone (autocast,
float32 masters), so results differ by the order of sums alone.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn

from leaf.models.output_head import backbone

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

_PATIENCE = timedelta(days=30)
"""Processes wait so long for one that does stage 1."""


def connect() -> None:
    """Join the processes that torchrun started, each with an accelerator of its own, if any."""
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_node_local_rank(fallback_rank=0))
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=_PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=_PATIENCE)


def disconnect() -> None:
    """Part from the other processes once all have come here."""
    dist.barrier()
    dist.destroy_process_group()


def shard_student(module: nn.Module, model: Any) -> None:
    """Shard a module in training around `model`, in place; its own parameters stay whole longest.

    Embeddings and the head are used before and after all layers, so they are gathered once.
    """
    from torch.distributed.fsdp import fully_shard  # seconds, which one process need not wait

    mesh = _mesh(model)
    for layer in _layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh, reshard_after_forward=False)


def shard_teacher(model: Any) -> None:
    """Shard a frozen model without its output head, in place."""
    from torch.distributed.fsdp import fully_shard

    mesh = _mesh(model)
    for layer in _layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(backbone(model), mesh=mesh)


def reshard(module: nn.Module) -> None:
    """Put all parts of a sharded module back in their shards, after a forward without a backward.

    What such a forward leaves whole would get a wrong gradient in the next backward (PyTorch 2.13;
    tests/distill/test_training_ranks.py sees it).
    """
    from torch.distributed.fsdp import FSDPModule

    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def _mesh(model: Any) -> "DeviceMesh":
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(model.device.type, (dist.get_world_size(),))


def _layers(model: Any) -> list[nn.Module]:
    """Return the layers that a model says may not be split."""
    names = set(model._no_split_modules or ())
    return [module for module in model.modules() if type(module).__name__ in names]
