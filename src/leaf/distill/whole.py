"""Tensors that may be sharded over processes: put together to be saved, and taken apart again."""

import hashlib

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from leaf.distill.ranks import ranks_here


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor, or all its shards together on the CPU of the first process.

    Every process must call this for a sharded tensor; all but the first get an empty one.
    """
    if not isinstance(tensor, DTensor):
        return tensor.contiguous()
    together: Tensor = tensor.full_tensor()
    return together.cpu() if ranks_here().first else together.new_empty(0)


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """Shard a whole value as a parameter of its shape is sharded, if it is."""
    if not isinstance(parameter, DTensor):
        return value
    sharded: Tensor = distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return sharded


def digest(*tensors: Tensor) -> str:
    """Return the SHA-256 of tensors' bytes, one after another."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
