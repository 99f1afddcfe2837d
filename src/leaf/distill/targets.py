"""What the teacher says about the response positions of a micro-batch, and how far off one is.

Axes: R response positions, C positions asked for at once, B of one block, D width of the teacher, V
vocabulary, K tokens that are told apart, J = K + 1 outcomes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from leaf.losses import Formula
from leaf.models.output_head import Head

Divergence = Callable[[Tensor, slice], Tensor]
"""(log-probabilities of the student [B, V], which positions of those asked for) -> each position's
loss [B], differentiable by autograd."""

_LEAST = 1e-12
"""What all other tokens together have at least, so that its logarithm is finite."""


class Targets(Protocol):
    """A teacher's word on the R response positions of a micro-batch."""

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """See the student's last hidden states and its head, before any chunk is asked for."""
        return

    def of_chunk(self, part: slice) -> Divergence:
        """Return how far a student is from the teacher at some neighbouring positions."""
        ...


@dataclass(kw_only=True)
class HiddenTargets(Targets):
    """The whole distribution, from the teacher's last hidden states: exact.

    The head is applied to the positions that are asked for, so that the teacher's logits [R, V]
    never exist.
    """

    hidden_RD: Tensor
    head: Head
    loss: Formula
    temperature: float

    def __post_init__(self) -> None:
        self._buffer = self.hidden_RD.new_empty(0, len(self.head.weight))
        """Memory for logits, the same every time: fresh one costs a CPU as much as the sums."""

    def of_chunk(self, part: slice) -> Divergence:
        """See `Targets`; what was returned before is of no more use."""
        hidden_CD = self.hidden_RD[part]
        if len(self._buffer) < len(hidden_CD):
            self._buffer = hidden_CD.new_empty(len(hidden_CD), len(self.head.weight))
        raw_CV = self._buffer[: len(hidden_CD)]
        with torch.no_grad():
            torch.mm(hidden_CD, self.head.weight.detach().to(hidden_CD.dtype).T, out=raw_CV)

        def of_block(log_BV: Tensor, block: slice) -> Tensor:
            with torch.no_grad():
                teacher_BV = softened(self.head.finish(raw_CV[block]), self.temperature)
            return self.loss(log_BV, teacher_BV.to(log_BV.dtype))

        return of_block


@dataclass(frozen=True, kw_only=True)
class TopKTargets(Targets):
    """The teacher's K likeliest tokens, and all others as one outcome.

    Merging outcomes never makes two distributions differ more (data processing), so the loss is at
    most that over the whole vocabulary; it is exact where the rest has no chance.
    """

    ids_RK: Tensor
    log_RK: Tensor
    """The teacher's log-probabilities, softened."""
    loss: Formula

    def of_chunk(self, part: slice) -> Divergence:
        """See `Targets`."""
        ids_CK, log_CK = self.ids_RK[part], self.log_RK[part]

        def of_block(log_BV: Tensor, block: slice) -> Tensor:
            teacher_BJ = with_rest(log_CK[block].to(log_BV.dtype))
            return self.loss(outcomes(log_BV, ids_CK[block]), teacher_BJ)

        return of_block


def outcomes(log_BV: Tensor, ids_BK: Tensor) -> Tensor:
    """Return the log-probabilities of K tokens and of all others together [B, K + 1].

    Args:
        log_BV: Log-probabilities of the vocabulary.
        ids_BK: The tokens that are told apart, no one twice.
    """
    # Next to nothing in place of the K: the others' sum keeps a logarithm, and a slope.
    others_BV = log_BV.scatter(1, ids_BK, math.log(_LEAST / log_BV.shape[1]))
    rest_B1 = torch.logsumexp(others_BV, dim=1, keepdim=True)
    return torch.cat([log_BV.gather(1, ids_BK), rest_B1], dim=1)


def with_rest(log_BK: Tensor) -> Tensor:
    """Append to log-probabilities of some outcomes that of all others [B, K + 1]."""
    rest_B1 = 1.0 - log_BK.exp().sum(dim=1, keepdim=True)
    return torch.cat([log_BK, rest_B1.clamp(min=_LEAST).log()], dim=1)


def softened(logits_BV: Tensor, temperature: float) -> Tensor:
    """Return log softmax(logits / temperature)."""
    if temperature != 1.0:
        logits_BV = logits_BV / temperature
    return torch.log_softmax(logits_BV, dim=-1)
