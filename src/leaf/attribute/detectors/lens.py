"""Where the two models disagree about what the prompt says next."""

import numpy as np

from leaf.attribute.detector import Detector, Evidence
from leaf.attribute.ranking import by_suspicion
from leaf.recipe.detectors import detector
from leaf.records import Attribution, RankedUnits


@detector
class Lens(Detector):
    """|log p under the student - log p under the teacher| of a prompt's token, in nats: high first.

    A unit has the sum of its tokens' log p. Of a teacher with another tokenizer each character has
    the log p of its token, and a unit of the student the mean of its characters'. Costs one forward
    pass of the prompt for each model, and shares the student's with `perplexity`.
    """

    name = "lens"
    measurement = "surprisal"
    goes_by = "perplexity"

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank what the models disagree about most first."""
        both = evidence.measured
        assert isinstance(both, Attribution)  # noqa: S101 - it needs both models
        return by_suspicion(both, np.abs(np.subtract(both.student, both.teacher)), "differences")
