"""The paper's detector: what moves the student's loss and not the teacher's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaf.attribute.batched import BatchedDetector, Item
from leaf.attribute.detector import MeasuredModel
from leaf.recipe.detectors import detector

if TYPE_CHECKING:
    from torch import Tensor


@detector
class Gradient(BatchedDetector):
    """Teacher minus student sensitivity, the norm of d loss / d embedding (Eq. 2 to 5).

    The loss is the mean cross-entropy of the reference and its end-of-turn token given the prompt,
    in nats per token. A unit of several tokens has the norm over all their embeddings. Costs a
    forward and a backward of the conversation, but for the template before the question.
    """

    name = "gradient"
    measurement = "sensitivity"

    def values(self, model: MeasuredModel, items: Sequence[Item]) -> tuple["Tensor", "Tensor"]:
        """Return gradient norms [B, T] and mean losses [B]."""
        from leaf.attribute.embedding_gradient import sensitivity, unscored

        conversations = [item.conversation for item in items]
        return sensitivity(model.packer, model.head, conversations, unscored(items))

    def join(self, values_T: "Tensor") -> "Tensor":
        """Take the norm over all the tokens' embeddings."""
        norm: Tensor = values_T.norm()
        return norm
