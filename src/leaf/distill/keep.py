"""What is computed once of a teacher, for a cache to keep.

Axes: R response positions, C positions of one chunk, D width of the teacher, V vocabulary, K tokens
kept a position.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from leaf.distill.cache import Produce
from leaf.distill.targets import softened
from leaf.distill.teacher import States
from leaf.models.batching import pack_batches, run_halving
from leaf.models.output_head import Head
from leaf.models.prompt_format import EncodedExample

_WHAT = "what the teacher says"


def keep_states(states: States, *, token_budget: int) -> Produce:
    """Return a `Produce` of last hidden states, in the teacher's dtype."""

    def produce(items: Sequence[EncodedExample]) -> list[dict[str, Tensor]]:
        return [{"states": hidden_RD} for hidden_RD in _by_row(states, items, token_budget)]

    return produce


def keep_tops(
    states: States, head: Head, *, k: int, temperature: float, token_budget: int, chunk: int
) -> Produce:
    """Return a `Produce` of the likeliest tokens and their softened log-probabilities.

    Args:
        states: The teacher.
        head: Its head, cut to the vocabulary that counts.
        k: Tokens kept a position; all, where there are fewer.
        temperature: Softens the teacher.
        token_budget: Most tokens in one forward pass.
        chunk: Positions whose logits exist at the same time.
    """

    def produce(items: Sequence[EncodedExample]) -> list[dict[str, Tensor]]:
        return [
            top_tokens(hidden_RD, head, k=k, temperature=temperature, chunk=chunk)
            for hidden_RD in _by_row(states, items, token_budget)
        ]

    return produce


def top_tokens(
    hidden_RD: Tensor, head: Head, *, k: int, temperature: float, chunk: int
) -> dict[str, Tensor]:
    """Return `ids` [R, K] (int32) and `log` [R, K] (float32), the likeliest first."""
    weight_VD = head.weight.detach().to(hidden_RD.dtype)
    k = min(k, len(weight_VD))
    tops = [
        softened(head.finish(hidden_CD @ weight_VD.T), temperature).topk(k, dim=-1)
        for hidden_CD in torch.split(hidden_RD, chunk)
    ]
    return {
        "ids": torch.cat([top.indices for top in tops]).int(),
        "log": torch.cat([top.values for top in tops]).float(),
    }


def _by_row(states: States, items: Sequence[EncodedExample], token_budget: int) -> list[Tensor]:
    """Compute hidden states in batches; return those of each conversation."""
    found: dict[int, Tensor] = {}

    def run(batch: Sequence[int]) -> None:
        part = [items[at] for at in batch]
        lengths = [item.response_length for item in part]
        # A clone each: a slice would keep the whole batch's memory.
        rows = [hidden_RD.clone() for hidden_RD in torch.split(states(part), lengths)]
        found.update(zip(batch, rows, strict=True))

    for batch in pack_batches([len(item.ids) for item in items], token_budget=token_budget):
        run_halving(batch, run, what=_WHAT)
    return [found[at] for at in range(len(items))]
