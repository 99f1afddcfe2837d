"""Attention: how much the reference looks at each unit of the question.

Axes: B problems of a batch, T tokens (right-padded), H heads, R response positions of the batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leaf.attribute.batched import BatchedDetector, Item
from leaf.attribute.detector import MeasuredModel
from leaf.errors import ModelError
from leaf.recipe.detectors import detector

if TYPE_CHECKING:
    from torch import Tensor

    from leaf.models.output_head import Head
    from leaf.models.padding import Batch
    from leaf.models.prompt_format import EncodedExample


@detector
class Attention(BatchedDetector):
    """Teacher minus student attention that the reference pays to a unit, a share in [0, 1].

    The mean over layers, heads and the positions that predict the reference and its end-of-turn
    token; a unit of several tokens has their sum. One forward pass, but in eager attention, which
    alone shows its weights: it holds [B, H, T, T] numbers of one layer at a time.
    """

    name = "attention"

    def values(self, model: MeasuredModel, items: Sequence[Item]) -> tuple["Tensor", "Tensor"]:
        """Return attention shares [B, T] and mean losses [B]."""
        return attention(model.loaded.model, model.head, [item.conversation for item in items])


def attention(
    model: Any, head: "Head", conversations: Sequence["EncodedExample"]
) -> tuple["Tensor", "Tensor"]:
    """Return the mean attention from the reference to each token [B, T] and the mean losses [B].

    Both are float32 on the CPU (float64 for a float64 model). Rows add up to 1.

    Raises:
        ModelError: the architecture does not show its attention.
    """
    from leaf.attribute.surprise import means, response_losses
    from leaf.models.output_head import attention_by
    from leaf.models.padding import pad
    from leaf.models.paths import paths_of

    batch = pad(conversations)
    paths_of(model)  # a rehearsal shows attention, too: before anybody looks
    seen = _Seen(batch)
    # Other ways than step by step show no weights.
    with attention_by(model, "eager"), _watched(model, seen):
        losses_R = response_losses(model, head, batch)
    if seen.layers != model.config.get_text_config().num_hidden_layers:
        raise ModelError(
            f"{type(model).__name__}: {seen.layers} of its layers show their attention, so "
            "detector `attention` cannot be used; choose another"
        )
    return seen.sum_BT.to(losses_R.dtype) / seen.layers, means(losses_R, batch)


class _Seen:
    """Adds up layers' attention as it is computed, so that no layer's weights are kept."""

    def __init__(self, batch: "Batch") -> None:
        import torch

        self.layers = 0
        self.sum_BT = torch.zeros(batch.ids_BT.shape, dtype=torch.float64)
        self._batch = batch

    def add(self, _module: Any, _inputs: Any, output: Any) -> None:
        """Take a layer's weights [B, H, T, T] from what its attention returns, if it does."""
        weights: Any = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        length = self._batch.ids_BT.shape[1]
        if getattr(weights, "shape", ())[-2:] != (length, length):
            return
        self.layers += 1
        rows, positions = self._batch.rows_R, self._batch.positions_R
        # Two index tensors around a slice put the indexed axis first: [R, H, T].
        paid_RT = weights[rows, :, positions].mean(dim=1, dtype=self.sum_BT.dtype).cpu()
        share_R = 1 / self.sum_BT.new_tensor(self._batch.lengths)[rows]
        self.sum_BT.index_add_(0, rows, paid_RT * share_R[:, None])


@contextmanager
def _watched(model: Any, seen: _Seen) -> Iterator[None]:
    hooks = [
        module.register_forward_hook(seen.add)
        for module in model.modules()
        if type(module).__name__.endswith("Attention")
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
