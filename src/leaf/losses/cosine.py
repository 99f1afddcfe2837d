"""The angle between the last hidden states of student and teacher, through a learnt projection."""

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn


class Cosine(nn.Module):
    """1 - cos(W h, t) at each position, 0 to 2: h the student's hidden state, t the teacher's.

    W is learnt with the student and thrown away with the training. It starts as an orthogonal
    matrix, the same in every process. Axes: R positions, D and E widths of student and teacher.
    """

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(student_width, teacher_width, bias=False)
        nn.init.orthogonal_(self.projection.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, student_RD: Tensor, teacher_RE: Tensor) -> Tensor:
        """Return the loss of each position [R], in the projection's dtype."""
        weight = self.projection.weight
        projected_RE = self.projection(student_RD.to(weight.dtype))
        return 1.0 - F.cosine_similarity(projected_RE, teacher_RE.to(weight.dtype), dim=-1)
