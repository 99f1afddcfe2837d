"""Losses on a chunk of positions. To add one: one file here, one line in `LOSSES`."""

from leaf.distill.losses.kl import kl
from leaf.protocols import Loss

LOSSES: dict[str, Loss] = {"kl": kl}

__all__ = ["LOSSES", "kl"]
