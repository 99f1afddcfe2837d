"""What a step's loss and its parts came to, from sums over response tokens.

Axes: R response positions of a micro-batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leaf.distill.objective import Objective
from leaf.distill.sample import Sample
from leaf.distill.weights import TokenWeight
from leaf.recipe import DistillSection


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLoss:
    """The loss of one batch; its parts are means over their own response tokens, in nats."""

    loss: float
    kl_original: float | None
    """Divergence (`distill.loss`) on original prompts; None where there are none, or no teacher."""
    kl_counterfactual: float | None
    """The same on changed questions; with two contexts, what there is to learn."""
    cross_entropy: float | None
    """Of the response tokens where it has a share in the loss; None where it has none."""
    hidden: float | None = None
    """Weighted sum of losses on hidden states (no nats); None without any."""
    anchor: float | None = None
    """KL from the student before training, on anchored rows; None without any."""
    aligned_mass: float | None = None
    """The teacher's mean probability of common tokens at pairs; None with the same tokenizer."""
    aligned_characters: float | None = None
    """Share of the responses' characters in pairs; None with the same tokenizer."""


_PARTS = ("divergence_R", "cross_entropy_R", "mass_R", "hidden_R", "anchor_R")
"""What an `Objective` keeps of each response position, in the order of sums."""


def no_sums(device: torch.device) -> Tensor:
    """Return zeros [plain or weighted, kind, part]: plain sums, and those that make up the loss."""
    return torch.zeros(2, 2, len(_PARTS), dtype=torch.float64, device=device)


def sums_of(
    samples: Sequence[Sample], weights: Sequence[TokenWeight], objective: Objective
) -> Tensor:
    """Return sums over the response tokens of a micro-batch [plain or weighted, kind, part]."""
    lengths = torch.tensor([sample.tokens.response_length for sample in samples])
    kinds = torch.tensor([sample.row.counterfactual for sample in samples], dtype=torch.long)
    kinds_R = kinds.repeat_interleave(lengths)
    device = objective.divergence_R.device
    sums = no_sums(device)
    for part, name in enumerate(_PARTS):
        values_R: Tensor | None = getattr(objective, name)
        if values_R is None:
            continue
        each = [one.anchor if name == "anchor_R" else one.loss for one in weights]
        weights_R = torch.tensor(each, dtype=torch.float64).repeat_interleave(lengths).to(device)
        values_R = values_R.to(device).double()
        sums[0, :, part].index_add_(0, kinds_R.to(device), values_R)
        sums[1, :, part].index_add_(0, kinds_R.to(device), values_R * weights_R)
    return sums


def step_loss(
    sums: Tensor,
    samples: Sequence[Sample],
    section: DistillSection,
    *,
    taught: bool,
    anchored: bool,
) -> StepLoss:
    """Turn the sums of a whole batch into its loss and its parts' means.

    Args:
        sums: Of all micro-batches, see `sums_of`.
        samples: The batch.
        section: What the loss is made of.
        taught: Whether there is a teacher.
        anchored: Whether there is an anchor.
    """
    plain, weighted = sums
    tokens = [0, 0]
    for sample in samples:
        tokens[sample.row.counterfactual] += sample.tokens.response_length
    loss, entropy, supervised = float(weighted[:, 3:].sum()), 0.0, 0
    divergences: list[float | None] = [None, None]
    for kind in (0, 1):
        share = section.cross_entropy_of(changed=bool(kind))
        loss += (1.0 - share) * float(weighted[kind, 0]) + share * float(weighted[kind, 1])
        if taught and share < 1.0 and tokens[kind]:
            divergences[kind] = float(plain[kind, 0]) / tokens[kind]
        if share:
            supervised += tokens[kind]
            entropy += float(plain[kind, 1])
    return StepLoss(
        loss=loss,
        kl_original=divergences[0],
        kl_counterfactual=divergences[1],
        cross_entropy=entropy / supervised if supervised else None,
        hidden=float(weighted[:, 3].sum()) if section.hidden else None,
        anchor=_anchor(plain, samples) if anchored else None,
        **(_coverage(samples, plain, section) if taught else {}),
    )


def _anchor(plain: Tensor, samples: Sequence[Sample]) -> float | None:
    """Return the mean KL from the student before training, over the tokens of anchored rows."""
    tokens = sum(one.tokens.response_length for one in samples if one.row.is_anchored)
    return float(plain[:, 4].sum()) / tokens if tokens else None


def _coverage(
    samples: Sequence[Sample], plain: Tensor, section: DistillSection
) -> dict[str, float]:
    """Return what an aligned teacher could be asked of a batch, as fields of `StepLoss`."""
    rows = [
        sample.aligned
        for sample in samples
        if sample.aligned and section.cross_entropy_of(changed=sample.row.counterfactual) < 1.0
    ]
    if not rows:
        return {}
    characters = sum(row.characters for row in rows)
    return {
        "aligned_mass": float(plain[:, 2].sum()) / max(sum(row.pairs for row in rows), 1),
        "aligned_characters": sum(row.paired_characters for row in rows) / max(characters, 1),
    }
