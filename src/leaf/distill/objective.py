"""The loss of a micro-batch: divergence from the teacher, and a share of cross-entropy.

Axes: R response positions, B positions of one block, V vocabulary.
"""

import torch
from torch import Tensor

from leaf.distill.aligned import AlignedTargets
from leaf.distill.targets import Targets, softened
from leaf.models.fused_loss import BlockLoss, cross_entropy
from leaf.models.output_head import Head


class Objective:
    """(1 - c) T^2 divergence + c cross-entropy of each position, T the temperature.

    Used as the `chunk_loss` of `leaf.models.fused_loss`; what each part came to is kept beside.
    """

    def __init__(
        self,
        targets: Targets | None,
        labels_R: Tensor,
        *,
        share: float,
        temperature: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Hold a student against a teacher.

        Args:
            targets: What the teacher says; None where `share` is 1.
            labels_R: The response's tokens.
            share: c, of the cross-entropy, 0 to 1.
            temperature: T, which softened the targets too.
            dtype: Of the losses.
        """
        self.divergence_R = torch.zeros(labels_R.shape, dtype=dtype, device=labels_R.device)
        """Divergence of each position in nats, times T^2; 0 without a teacher."""
        self.cross_entropy_R = torch.zeros_like(self.divergence_R)
        """Cross-entropy of each position in nats; 0 where its share is 0."""
        self.mass_R = targets.mass_R if isinstance(targets, AlignedTargets) else None
        """See `AlignedTargets`; None for a teacher with the student's tokenizer."""
        self._targets = targets
        self._cross_entropy = cross_entropy(labels_R)
        self._share = share
        self._temperature = temperature

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """Show the targets the student's last hidden states; to be called before the loss."""
        if self._targets:
            self._targets.look_at(hidden_RD.detach(), head)

    def __call__(self, part: slice) -> BlockLoss:
        """Return the loss of one chunk's blocks."""
        entropy = self._cross_entropy(part) if self._share else None
        divergence = self._targets.of_chunk(part) if self._targets else None
        temperature, share = self._temperature, self._share

        def of_block(logits_BV: Tensor, block: slice) -> tuple[Tensor, Tensor]:
            first = part.start + block.start
            there = slice(first, first + len(logits_BV))
            loss_B, slope_BV = logits_BV.new_zeros(len(logits_BV)), None
            if entropy:
                entropy_B, slope_BV = entropy(logits_BV, block)
                self.cross_entropy_R[there] = entropy_B
                loss_B, slope_BV = entropy_B * share, slope_BV.mul_(share)
            if divergence:
                apart_B, apart_BV = divergence(softened(logits_BV, temperature), block)
                apart_B = apart_B * temperature**2
                self.divergence_R[there] = apart_B
                loss_B = loss_B + (1.0 - share) * apart_B
                # T^2 from the loss, 1 / T from the softened logits.
                factor = (1.0 - share) * temperature
                if slope_BV is not None:
                    slope_BV.add_(apart_BV, alpha=factor)
                else:
                    slope_BV = apart_BV if factor == 1.0 else apart_BV.mul_(factor)
            assert slope_BV is not None  # noqa: S101 - there is a teacher or cross-entropy
            return loss_B, slope_BV

        return of_block
