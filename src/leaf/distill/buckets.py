"""Next-token distributions of two vocabularies, brought to what they have in common.

There is a bucket for each token that both vocabularies have, with all tokens that begin with it
(`leaf.models.vocabulary`), and one for what is left: special tokens, and entries of an output head
that no token has. A bucket is a function of the token on the union of both vocabularies, so a
divergence of buckets is at most that of the tokens (data processing).

Longer tokens have no bucket of their own on purpose: where the teacher is sure of a word that the
student says in two tokens, the student would be taught to put that chance on other words that only
it has. What buckets still miss: a text may also be said in smaller tokens than the usual ones.

Axes: B positions, V vocabulary of the student, W of the teacher, C common tokens, J buckets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leaf.models.vocabulary import CommonTokens


@dataclass(frozen=True, slots=True)
class _Side:
    """One model's vocabulary, token by token, in three parts."""

    common_C: Tensor
    longer: Tensor
    """Tokens that begin with a common one."""
    buckets: Tensor
    """The bucket of each of `longer`."""
    rest: Tensor

    @classmethod
    def of(
        cls, common: Sequence[int], longer: Mapping[int, int], size: int, device: torch.device
    ) -> "_Side":
        other = torch.ones(size, dtype=torch.bool)
        common_C = torch.tensor(common)
        tokens = torch.tensor(list(longer), dtype=torch.long)
        other[common_C] = False
        other[tokens] = False
        parts = (common_C, tokens, torch.tensor(list(longer.values()), dtype=torch.long))
        return cls(*(part.to(device) for part in (*parts, other.nonzero().squeeze(1))))


class Buckets:
    """Next-token distributions of two vocabularies over what they have in common.

    The last bucket is what is left over. Where one of the models has nothing left, both
    distributions are taken given that nothing of it is said, and there is no such bucket: no
    probability is asked of a model that has no token to put it on.
    """

    def __init__(
        self, common: CommonTokens, student: int, teacher: int, device: torch.device
    ) -> None:
        """Sort the entries of two output heads, `student` and `teacher` many, into buckets."""
        self._student = _Side.of(common.student, common.student_longer, student, device)
        self._teacher = _Side.of(common.teacher, common.teacher_longer, teacher, device)
        self._has_rest = bool(len(self._student.rest) and len(self._teacher.rest))

    def of_student(self, log_BV: Tensor) -> Tensor:
        """Return the student's log-probabilities of the buckets [B, J]."""
        return self._collect(log_BV, self._student)

    def of_teacher(self, log_BW: Tensor) -> Tensor:
        """Return the teacher's log-probabilities of the buckets [B, J]."""
        return self._collect(log_BW, self._teacher)

    def mass(self, log_BW: Tensor) -> Tensor:
        """Return the teacher's probability of all common tokens [B]."""
        return log_BW[:, self._teacher.common_C].exp().sum(-1)

    def _collect(self, log_BV: Tensor, side: _Side) -> Tensor:
        log_BC = log_BV[:, side.common_C]
        if len(side.longer):
            longer_BC = torch.zeros_like(log_BC)
            longer_BC = longer_BC.index_add(1, side.buckets, log_BV[:, side.longer].exp())
            # Sums below the smallest float are lost beside log_BC, which is finite; their
            # logarithm would be neither finite nor have a slope.
            least = torch.finfo(log_BC.dtype).tiny
            both_BC = torch.logaddexp(log_BC, longer_BC.clamp(min=least).log())
            log_BC = torch.where(longer_BC > least, both_BC, log_BC)
        if not self._has_rest:
            return torch.log_softmax(log_BC, dim=-1)
        rest_B1 = torch.logsumexp(log_BV[:, side.rest], dim=-1, keepdim=True)
        return torch.cat([log_BC, rest_B1], dim=-1)
