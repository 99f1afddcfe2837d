"""The student as its own teacher: as it was before training, without a second copy of its weights.

With `tuning: lora` the frozen weights are the model that training began with, and adapters lie
beside them. The teacher's forward leaves the adapters out.

Axes: R response positions, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leaf.distill.lora import adapters_off
from leaf.distill.ranks import Ranks
from leaf.distill.sample import Sample
from leaf.distill.sharding import reshard
from leaf.distill.student import Student
from leaf.distill.targets import HiddenTargets
from leaf.distill.teacher import computed_once
from leaf.losses import Formula
from leaf.models.output_head import Head
from leaf.models.padding import pad
from leaf.models.prompt_format import EncodedExample


@dataclass(kw_only=True)
class OwnTargets(HiddenTargets):
    """What the student says without its adapters: through its own head, which has none."""

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """Take the head as the student's forward has it: sharded weights are whole there alone."""
        self.head = head


class OwnTeacher:
    """A student with adapters, looked at without them (see `leaf.distill.teacher.Teacher`)."""

    def __init__(self, student: Student, ranks: Ranks) -> None:
        self._student = student
        self._ranks = ranks

    @property
    def vocabulary(self) -> int:
        """Entries of its output head."""
        return len(self._student.head.weight)

    def targets(
        self,
        samples: Sequence[Sample],
        *,
        loss: Formula,
        temperature: float,
        vocabulary: int,
        device: torch.device,
    ) -> OwnTargets:
        """See `Teacher`; the vocabulary is the student's own."""
        items = [sample.teacher_tokens for sample in samples]
        hidden_RD = computed_once(items, self._states)
        head = self._student.head
        return OwnTargets(hidden_RD=hidden_RD, head=head, loss=loss, temperature=temperature)

    def _states(self, items: Sequence[EncodedExample]) -> Tensor:
        student = self._student
        # Not `lent`, which freezes it meanwhile: sharding keeps the flags that it saw first.
        modes = [(module, module.training) for module in student.modules()]
        student.eval()
        try:
            with torch.no_grad(), adapters_off(student.model):
                hidden_RD: Tensor = student(pad(items), lambda states_RD: states_RD)
        finally:
            for module, learns in modes:
                module.training = learns
            if self._ranks.world > 1:
                reshard(student)
        return hidden_RD
