"""Sequences that share what stands before their difference: it is computed once.

Variants of one prompt are alike up to their cut. Its keys and values are computed once, every
variant starts from a copy of them, and goes on by itself:

    prompt = RaggedCache(model, 1)
    prompt.feed([original])                        # once
    rows = prompt.fork([0] * len(cuts), cuts)      # row i starts as the first cuts[i] tokens
    hidden = rows.feed(suffixes)                   # what follows each cut, in one pass

Axes: B rows, D width of a hidden state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leaf.models.kv_cache import RaggedCache


@dataclass(frozen=True, slots=True)
class Start:
    """Where a sequence begins that is fed after another one."""

    leader: int
    """The sequence that is fed whole before; the sequence itself where nothing is shared."""
    length: int
    """Tokens taken from it; 0 for a leader, always less than the sequence has."""


def plan_starts(sequences: Sequence[Sequence[int]]) -> list[Start]:
    """Choose leaders, and for every other sequence the leader whose beginning it shares.

    Two sequences come together when at least half of the shorter one is shared, so that prompts
    which have only a template in common do not. No sequence may be empty.
    """
    order = sorted(range(len(sequences)), key=lambda at: list(sequences[at]))
    starts = [Start(at, 0) for at in range(len(sequences))]
    groups: list[list[int]] = []
    for at in order:
        # In alphabetical order, what shares most stands side by side.
        if groups and _near(sequences[groups[-1][-1]], sequences[at]):
            groups[-1].append(at)
        else:
            groups.append([at])
    for group in groups:
        shared = {
            (one, other): common_prefix(sequences[one], sequences[other])
            for one in group
            for other in group
        }
        leader = max(group, key=lambda one: sum(shared[one, other] for other in group))
        for at in group:
            if at != leader:
                starts[at] = Start(leader, min(shared[leader, at], len(sequences[at]) - 1))
    return starts


def feed_shared(model: Any, sequences: Sequence[Sequence[int]]) -> tuple[RaggedCache, Tensor]:
    """Feed sequences so that a shared beginning is computed once: leaders first, then the others.

    Returns:
        One row a sequence, in their order, and the last hidden state of each [B, D].
    """
    starts = plan_starts(sequences)
    leaders = [at for at, start in enumerate(starts) if start.leader == at]
    place = {at: row for row, at in enumerate(leaders)}
    rows = RaggedCache(model, len(leaders))
    last = dict(zip(leaders, rows.feed([sequences[at] for at in leaders]), strict=True))
    if len(leaders) < len(sequences):
        # Leaders come along with nothing more to say, so that all rows end in one cache.
        lengths = [
            len(sequence) if start.leader == at else start.length
            for at, (sequence, start) in enumerate(zip(sequences, starts, strict=True))
        ]
        rows = rows.fork([place[start.leader] for start in starts], lengths)
        rest = rows.feed([row[length:] for row, length in zip(sequences, lengths, strict=True)])
        last = {at: last.get(at, own) for at, own in enumerate(rest)}
    return rows, torch.stack([last[at][-1] for at in range(len(sequences))])


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences share from their first on."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def _near(one: Sequence[int], other: Sequence[int]) -> bool:
    return 2 * common_prefix(one, other) >= min(len(one), len(other))
