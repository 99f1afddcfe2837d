"""Surprisal: how little a model expects each unit of the question; a control, not a detector.

Axes: B problems of a batch, T tokens (right-padded).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaf.attribute.batched import BatchedDetector, Item
from leaf.attribute.detector import Evidence, MeasuredModel
from leaf.attribute.ranking import by_suspicion
from leaf.recipe.detectors import detector
from leaf.records import Attribution, Problem, RankedUnits

if TYPE_CHECKING:
    from torch import Tensor

    from leaf.models.prompt_format import EncodedExample, Prompt, PromptFormat


@detector
class Perplexity(BatchedDetector):
    """Control: as many units as the gradient would mark, those that surprise the student most.

    A unit has the sum of -log p of its tokens, given all that stands before them, in nats.
    References play no part. `loss` is the mean over the whole prompt, nats per token.
    """

    name = "perplexity"
    measurement = "surprisal"
    needs = "student"
    counts_as_gradient = True

    def tokens(
        self, chat: "PromptFormat", problem: Problem, prompt: "Prompt", reference: str
    ) -> "EncodedExample | str":
        """Return the prompt alone; every token but the first counts as a response."""
        from leaf.models.prompt_format import EncodedExample

        return EncodedExample(ids=prompt.ids, prompt_length=1)

    def values(self, model: MeasuredModel, items: Sequence[Item]) -> tuple["Tensor", "Tensor"]:
        """Return surprisals [B, T] and their means [B]."""
        from leaf.attribute.surprise import surprisal

        return surprisal(model.loaded.model, model.head, [item.conversation for item in items])

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank what surprises the student most first."""
        measured = evidence.measured
        assert measured is not None  # noqa: S101 - it needs the student
        nats = measured.student if isinstance(measured, Attribution) else measured.scores
        return by_suspicion(measured, nats, "surprisals")
