"""The loss of a micro-batch: divergence from the teacher, and a share of cross-entropy.

Axes: R response positions, B positions of one block, V vocabulary.
"""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from leaf.distill.aligned import AlignedTargets
from leaf.distill.targets import HiddenTargets, Targets, softened
from leaf.errors import RecipeError, nearest
from leaf.losses import LOSSES, Formula
from leaf.models.fused_loss import BlockLoss, cross_entropy
from leaf.models.output_head import Head
from leaf.recipe import DistillSection


class Objective:
    """(1 - c) T^2 divergence + c cross-entropy of each position, T the temperature.

    Weighted losses on hidden states come on top (`of_hidden`): all terms add up. With an anchor the
    whole is m times that + (1 - m) times the KL from the student before training.

    Used as the `chunk_loss` of `leaf.models.fused_loss`; what each part came to is kept beside.
    """

    def __init__(
        self,
        targets: Targets | None,
        labels_R: Tensor,
        *,
        share: float,
        temperature: float,
        hidden: Mapping[str, float] | None = None,
        anchor: Targets | None = None,
        mix: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Hold a student against a teacher.

        Args:
            targets: What the teacher says; None where `share` is 1.
            labels_R: The response's tokens.
            share: c, of the cross-entropy, 0 to 1.
            temperature: T, which softened the targets too.
            hidden: Weights of losses on hidden states.
            anchor: What the student before training says; None without an anchor.
            mix: m, 0 to 1.
            dtype: Of the losses.
        """
        self.divergence_R = torch.zeros(labels_R.shape, dtype=dtype, device=labels_R.device)
        """Divergence of each position in nats, times T^2; 0 without a teacher."""
        self.cross_entropy_R = torch.zeros_like(self.divergence_R)
        """Cross-entropy of each position in nats; 0 where its share is 0."""
        self.hidden_R: Tensor | None = None
        """Weighted losses on hidden states of each position; None where there are none."""
        self.mass_R = targets.mass_R if isinstance(targets, AlignedTargets) else None
        """See `AlignedTargets`; None for a teacher with the student's tokenizer."""
        self.anchor_R = torch.zeros_like(self.divergence_R) if anchor else None
        """KL from the student before training in nats; None without an anchor."""
        self._anchor = anchor
        self._mix = mix
        self._targets = targets
        self._labels_R = labels_R
        self._share = share
        self._hidden = hidden or {}
        self._temperature = temperature

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """Show the targets the student's last hidden states; to be called before the loss."""
        for targets in (self._targets, self._anchor):
            if targets:
                targets.look_at(hidden_RD.detach(), head)

    def of_hidden(self, student_RD: Tensor, terms: nn.ModuleDict) -> Tensor:
        """Return the sum of `distill.hidden`'s losses, weighted, at each position [R]."""
        assert isinstance(self._targets, HiddenTargets)  # noqa: S101 - recipes with others are refused
        teacher_RE = self._targets.hidden_RD
        losses = [self._hidden[name] * term(student_RD, teacher_RE) for name, term in terms.items()]
        total_R = torch.stack(losses).sum(dim=0)
        self.hidden_R = total_R.detach()
        return total_R * self._mix

    def __call__(self, part: slice) -> BlockLoss:
        """Return the loss of the blocks of some neighbouring positions."""
        entropy = cross_entropy(self._labels_R)(part) if self._share else None
        divergence = self._targets.of_chunk(part) if self._targets else None
        anchor = self._anchor.of_chunk(part) if self._anchor else None
        temperature, share = self._temperature, self._share

        def of_block(logits_BV: Tensor, block: slice) -> Tensor:
            places = slice(part.start + block.start, part.start + block.stop)
            loss_B = logits_BV.new_zeros(len(logits_BV))
            if entropy:
                entropy_B = entropy(logits_BV, block)
                self.cross_entropy_R[places] = entropy_B.detach()
                loss_B = loss_B + share * entropy_B
            if divergence:
                apart_B = divergence(softened(logits_BV, temperature), block) * temperature**2
                self.divergence_R[places] = apart_B.detach()
                loss_B = loss_B + (1.0 - share) * apart_B
            if anchor and self.anchor_R is not None:
                moved_B = anchor(softened(logits_BV, 1.0), block)
                self.anchor_R[places] = moved_B.detach()
                loss_B = self._mix * loss_B + (1.0 - self._mix) * moved_B
            return loss_B

        return of_block


def chosen_loss(section: DistillSection) -> Formula:
    """Return the formula that `distill.loss` names, with its options.

    Raises:
        RecipeError: it has no option of a name in `distill.loss_options`.
    """
    formula = LOSSES[section.loss]
    known: dict[str, dict[str, Any]] = {
        "jsd": {"beta": section.jsd_beta},
        "skew_kl": {"skew": section.skew},
    }
    options = known.get(section.loss, {}) | section.loss_options
    _, _, *names = inspect.signature(formula).parameters
    for name in options:
        if name not in names:
            raise RecipeError(
                f"distill.loss_options: the loss {section.loss} has no option `{name}`"
                f"{nearest(name, names)} (it has {', '.join(names) or 'none'})"
            )
    return partial(formula, **options)
