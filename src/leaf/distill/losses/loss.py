"""What a loss is."""

from typing import Protocol

import torch


class Loss(Protocol):
    """A distance of two distributions over J outcomes at each of B positions."""

    def __call__(
        self, log_student_BJ: torch.Tensor, log_teacher_BJ: torch.Tensor, /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of each position [B] and d loss / d log_student [B, J].

        Both arguments are log-probabilities, float32 or wider, and stay as they are. The slope is
        taken as if the J values were free; that they are a distribution is the caller's business.
        """
        ...
