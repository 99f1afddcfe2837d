"""What the teacher says about the response positions of a micro-batch, and how far off one is.

Axes: R response positions, C positions of one chunk, W of a window in it, B of one block, D width
of the teacher, V vocabulary, K tokens that are told apart, J = K + 1 outcomes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from leaf.distill.losses.loss import Loss
from leaf.models.output_head import Head

Divergence = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""(log-probabilities of the student [B, V], which positions of the chunk) -> each position's loss
[B] and its slope d loss / d logits [B, V]."""

_LEAST = 1e-12
"""What all other tokens together have at least, so that its logarithm is finite."""


class Targets(Protocol):
    """A teacher's word on the R response positions of a micro-batch."""

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """See the student's last hidden states and its head, before any chunk is asked for."""
        ...

    def of_chunk(self, part: slice) -> Divergence:
        """Return how far a student is from the teacher at the positions of one chunk."""
        ...


@dataclass(frozen=True, kw_only=True)
class HiddenTargets:
    """The whole distribution, from the teacher's last hidden states: exact.

    The head is applied chunk by chunk, so that the teacher's logits [R, V] never exist.
    """

    hidden_RD: Tensor
    head: Head
    loss: Loss
    temperature: float
    window: int = 128
    """Positions whose products with the head exist at the same time."""
    _buffers: list[Tensor] = field(default_factory=list)

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """Need nothing of it; see `Targets`."""

    def of_chunk(self, part: slice) -> Divergence:
        """See `Targets`; the chunk's blocks are to be asked for in their order."""
        hidden_CD = self.hidden_RD[part]
        weight_VD = self.head.weight.to(hidden_CD.dtype)
        start = stop = 0
        raw_WV = hidden_CD.new_empty(0)

        def of_block(log_BV: Tensor, block: slice) -> tuple[Tensor, Tensor]:
            nonlocal start, stop, raw_WV
            end = block.start + len(log_BV)
            if end > stop:
                rows = max(self.window, len(log_BV))
                start, hidden_WD = block.start, hidden_CD[block.start : block.start + rows]
                stop = start + len(hidden_WD)
                raw_WV = self._buffer(rows, weight_VD)[: len(hidden_WD)]
                torch.mm(hidden_WD, weight_VD.T, out=raw_WV)
            raw_BV = raw_WV[block.start - start : end - start]
            teacher_BV = softened(self.head.finish(raw_BV), self.temperature)
            loss_B, slope_BV = self.loss(log_BV, teacher_BV.to(log_BV.dtype))
            return loss_B, to_logits(slope_BV, log_BV)

        return of_block

    def _buffer(self, rows: int, weight_VD: Tensor) -> Tensor:
        """Return memory for so many positions' logits, the same every time.

        Fresh memory costs a CPU as much as the sums done in it.
        """
        if not self._buffers or len(self._buffers[0]) < rows:
            self._buffers[:] = [weight_VD.new_empty(rows, len(weight_VD))]
        return self._buffers[0]


@dataclass(frozen=True, kw_only=True)
class TopKTargets:
    """The teacher's K likeliest tokens, and all others as one outcome.

    Merging outcomes never makes two distributions differ more (data processing), so the loss is at
    most that over the whole vocabulary; it is exact where the rest has no chance.
    """

    ids_RK: Tensor
    log_RK: Tensor
    """The teacher's log-probabilities, softened."""
    loss: Loss

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """Need nothing of it; see `Targets`."""

    def of_chunk(self, part: slice) -> Divergence:
        """See `Targets`."""
        ids_CK, log_CK = self.ids_RK[part], self.log_RK[part]

        def of_block(log_BV: Tensor, block: slice) -> tuple[Tensor, Tensor]:
            teacher_BJ = with_rest(log_CK[block].to(log_BV.dtype))
            return of_outcomes(log_BV, ids_CK[block], teacher_BJ, self.loss)

        return of_block


def of_outcomes(
    log_BV: Tensor, ids_BK: Tensor, teacher_BJ: Tensor, loss: Loss
) -> tuple[Tensor, Tensor]:
    """Return a loss over K tokens and the rest [B], and its slope d loss / d logits [B, V].

    With h_j = d loss / d log q_j, the slope at token v is h_v - q_v sum(h) among the K tokens, and
    q_v (h_rest / q_rest - sum(h)) elsewhere.

    Args:
        log_BV: The student's log-probabilities.
        ids_BK: The tokens that are told apart, no one twice.
        teacher_BJ: The teacher's log-probabilities of them, and of the rest.
        loss: A loss over J outcomes.
    """
    student_BJ = with_rest(log_BV.gather(1, ids_BK))
    loss_B, slope_BJ = loss(student_BJ, teacher_BJ)
    total_B1 = slope_BJ.sum(dim=1, keepdim=True)
    rest_B1 = slope_BJ[:, -1:] / student_BJ[:, -1:].exp()
    chosen_BK = slope_BJ[:, :-1] - student_BJ[:, :-1].exp() * total_B1
    slope_BV = log_BV.exp().mul_(rest_B1 - total_B1)
    return loss_B, slope_BV.scatter_(1, ids_BK, chosen_BK)


def with_rest(log_BK: Tensor) -> Tensor:
    """Append to log-probabilities of some outcomes that of all others [B, K + 1]."""
    rest_B1 = 1.0 - log_BK.exp().sum(dim=1, keepdim=True)
    return torch.cat([log_BK, rest_B1.clamp(min=_LEAST).log()], dim=1)


def to_logits(slope_BV: Tensor, log_BV: Tensor) -> Tensor:
    """Turn d loss / d log q into d loss / d logits: h_v - q_v sum(h); in place of `slope_BV`."""
    total_B1 = slope_BV.sum(dim=1, keepdim=True)
    return slope_BV.addcmul_(log_BV.exp(), total_B1, value=-1.0)


def softened(logits_BV: Tensor, temperature: float) -> Tensor:
    """Return log softmax(logits / temperature)."""
    if temperature != 1.0:
        logits_BV = logits_BV / temperature
    return torch.log_softmax(logits_BV, dim=-1)
