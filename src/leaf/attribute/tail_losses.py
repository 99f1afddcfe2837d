"""The losses of many conversations that begin alike, what they share computed once.

Axes: K tokens of one conversation from some place on, R response tokens, D width, B of a batch.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from leaf.attribute.surprise import response_losses, token_losses
from leaf.models.batching import plan_batches
from leaf.models.kv_cache import RaggedCache
from leaf.models.output_head import Head
from leaf.models.padding import pad
from leaf.models.prompt_format import EncodedExample
from leaf.models.shared_prefix import common_prefix


class Hidden(NamedTuple):
    """A group's first conversation once more, some tokens of which what counts does not see.

    What stands between them and what counts has seen them, and is seen.
    """

    item: EncodedExample
    """Its response begins with the first token that counts, behind all that is hidden."""
    tokens: tuple[int, int]
    """The first that is hidden, and the first behind them."""


class _Branch(NamedTuple):
    """A conversation that leaves its group's first one after some tokens."""

    group: int
    item: EncodedExample
    kept: int
    """How many of its tokens are not computed again."""
    hidden: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, group: int, leader: EncodedExample, other: EncodedExample | Hidden) -> "_Branch":
        """Return how a conversation leaves the first one of its group."""
        item, hidden = other if isinstance(other, Hidden) else (other, (0, 0))
        return cls(group, item, shared(leader, item), hidden)


def tail_losses(
    model: Any,
    head: Head,
    groups: Sequence[Sequence[EncodedExample | Hidden]],
    *,
    token_budget: int,
    share: bool,
) -> list[list[Tensor]]:
    """Return -log p of each conversation's response tokens, group by group, in nats.

    Args:
        model: A frozen causal language model.
        head: Its output head.
        groups: Conversations that begin alike; what is `Hidden` can be computed shared alone.
        token_budget: Most tokens, padding included, in one pass beyond the first conversations'.
        share: Compute once what a group shares with its first one; the model's cache must allow
            that (`leaf.models.paths`).
    """
    if not share:
        items = [_plain(item) for group in groups for item in group]
        losses = iter(_whole(model, head, items, token_budget))
        return [[next(losses) for _ in group] for group in groups]
    leaders = [_plain(group[0]) for group in groups]
    cache = RaggedCache(model, len(leaders))
    hidden_BKD = cache.feed([leader.ids for leader in leaders])
    losses_of = [
        [_losses_after(head, leader, 0, hidden_KD)]
        for leader, hidden_KD in zip(leaders, hidden_BKD, strict=True)
    ]
    branches = [
        _Branch.of(number, leader, item)
        for number, (leader, group) in enumerate(zip(leaders, groups, strict=True))
        for item in group[1:]
    ]
    tails: dict[int, Tensor] = {}
    for batch in _batches([branch.item for branch in branches], token_budget):
        part = [branches[at] for at in batch]
        parents, lengths = [branch.group for branch in part], [branch.kept for branch in part]
        fork = cache.fork(parents, lengths, [branch.hidden for branch in part])
        hidden_BKD = fork.feed([branch.item.ids[branch.kept :] for branch in part])
        for at, branch, hidden_KD in zip(batch, part, hidden_BKD, strict=True):
            tails[at] = _losses_after(head, branch.item, branch.kept, hidden_KD)
    for at, branch in enumerate(branches):
        losses_of[branch.group].append(tails[at])
    return losses_of


def shared(leader: EncodedExample, item: EncodedExample) -> int:
    """Return how many tokens of a conversation need not be computed again after its leader."""
    # The token before the response predicts its first, so that it is always computed.
    return min(common_prefix(leader.ids, item.ids), item.prompt_length - 1)


def fed(group: Sequence[EncodedExample | Hidden], *, share: bool) -> int:
    """Return how many tokens `tail_losses` feeds the model for one group, padding left out."""
    leader = _plain(group[0])
    branches = [_Branch.of(0, leader, item) for item in group[1:]]
    own = sum(len(one.item.ids) - (one.kept if share else 0) for one in branches)
    return len(leader.ids) + own


def _plain(item: EncodedExample | Hidden) -> EncodedExample:
    assert isinstance(item, EncodedExample)  # noqa: S101 - the detector sees to that
    return item


def _whole(
    model: Any, head: Head, items: Sequence[EncodedExample], token_budget: int
) -> list[Tensor]:
    losses: dict[int, Tensor] = {}
    for part in _batches(items, token_budget):
        batch = pad([items[at] for at in part])
        losses_R = response_losses(model, head, batch)
        losses.update(zip(part, torch.split(losses_R, batch.lengths), strict=True))
    return [losses[at] for at in range(len(items))]


def _losses_after(head: Head, item: EncodedExample, kept: int, hidden_KD: Tensor) -> Tensor:
    """Return the response's losses [R] from the hidden states of the tokens from `kept` on."""
    hidden_RD = hidden_KD[item.prompt_length - 1 - kept : len(item.ids) - 1 - kept]
    return token_losses(head, hidden_RD, torch.tensor(item.ids[item.prompt_length :]))


def _batches(items: Sequence[EncodedExample], token_budget: int) -> list[list[int]]:
    lengths = [len(item.ids) for item in items]
    return plan_batches(lengths, token_budget=token_budget, max_items=len(items) or 1)
