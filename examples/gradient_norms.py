"""Two other norms of the gradient as detectors: L1, and input x gradient.

    leaf run demo --set attribute.plugins=[examples/gradient_norms.py] \
        --set attribute.detector=input_x_gradient

They shipped with LeaF 0.1.0 as `attribute.norm`; neither is shown to be better than the paper's L2
norm (docs/results.md). Axes: B problems of a batch, T tokens (right-padded), D width.
"""

from collections.abc import Sequence

from torch import Tensor

from leaf.attribute import MeasuredModel, detector
from leaf.attribute.batched import BatchedDetector, Item
from leaf.attribute.embedding_gradient import embedding_gradient, embeddings_of, unscored
from leaf.models.padding import pad


class _OtherNorm(BatchedDetector):
    """The gradient of Eq. 2, made a number another way; the gap is that of Eq. 3 to 5."""

    measurement = "sensitivity"

    def value(self, gradient_BTD: Tensor, embeddings_BTD: Tensor) -> Tensor:
        """Return each token's value [B, T]."""
        raise NotImplementedError

    def values(self, model: MeasuredModel, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        """Return each token's value [B, T] and mean losses [B]."""
        batch = pad([item.conversation for item in items], unscored(items))
        embeddings_BTD = embeddings_of(model.packer.model, batch)
        gradient_BTD, losses_B = embedding_gradient(model.packer, model.head, batch, embeddings_BTD)
        return self.value(gradient_BTD, embeddings_BTD.to(gradient_BTD.dtype)).cpu(), losses_B


@detector
class GradientL1(_OtherNorm):
    """Teacher minus student sensitivity by the L1 norm; of a unit over all its embeddings."""

    name = "gradient_l1"

    def value(self, gradient_BTD: Tensor, embeddings_BTD: Tensor) -> Tensor:
        """Return the sum of absolute values."""
        return gradient_BTD.abs().sum(dim=-1)


@detector
class InputXGradient(_OtherNorm):
    """Teacher minus student |g . e|: the first-order change when a unit becomes zero."""

    name = "input_x_gradient"

    def value(self, gradient_BTD: Tensor, embeddings_BTD: Tensor) -> Tensor:
        """Return g . e, signed until the unit is whole."""
        return (gradient_BTD * embeddings_BTD).sum(dim=-1)

    def join(self, values_T: Tensor) -> Tensor:
        """Add up, then forget the sign."""
        return values_T.sum().abs()
