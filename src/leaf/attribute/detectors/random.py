"""The control that every detector has to beat."""

import random
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from leaf.attribute.detector import Detector, Evidence
from leaf.attribute.ranking import units_of
from leaf.recipe.base import Section, Seed
from leaf.recipe.detectors import detector
from leaf.records import RankedUnits


@detector
class Random(Detector):
    """Control: as many units as the gradient would mark, drawn with a seed."""

    name = "random"
    needs = "nothing"
    counts_as_gradient = True
    formerly: ClassVar[Mapping[str, str]] = {"seed": "seed"}

    class Options(Section):
        """What `random` draws."""

        seed: Seed = Field(0, description="seed of the draw")

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Shuffle the tokens; what comes depends on the seed and the problem's id alone."""
        return self.rank_units(evidence)

    def rank_units(self, evidence: Evidence, unit: str = "token") -> RankedUnits | str:
        """Shuffle units of a kind: the mean of shuffled tokens would prefer the short ones."""
        places = units_of(evidence.tokens, evidence.problem.question, unit)
        rng = random.Random(f"{self.options.seed} {evidence.problem.id}")
        order = rng.sample(range(len(places)), len(places))
        last = max(len(order) - 1, 1)
        return RankedUnits(
            problem_id=evidence.problem.id,
            starts=tuple(start for start, _ in places),
            ends=tuple(end for _, end in places),
            rank_score=tuple(place / last for place in order),
        )
