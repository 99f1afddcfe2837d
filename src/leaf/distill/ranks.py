"""Processes that train together (torchrun starts them); alone, there is one."""

from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """How many processes there are, and which one this is."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.world > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def share(self, parts: list[list[int]]) -> list[tuple[list[int], bool]]:
        """Return this process's parts of a step; each process gets equally many.

        The second value says whether a part counts: where they do not come out even, the last ones
        are done by several and count once, since all processes must take the same steps together.
        """
        rounds = -(-len(parts) // self.world)
        mine = [at * self.world + self.rank for at in range(rounds)]
        return [(parts[min(at, len(parts) - 1)], at < len(parts)) for at in mine]

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            dist.barrier()


ALONE = Ranks()


def ranks_here() -> Ranks:
    """Return this process's place among those that torchrun started, once they are connected."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(rank=dist.get_rank(), world=dist.get_world_size())
    return ALONE
