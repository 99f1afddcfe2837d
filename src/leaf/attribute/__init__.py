"""Who looks where: detectors, what they measure in models, and the order in which they rank.

To add a detector: one file in `leaf/attribute/detectors`, or a script of your own, with a class
that `@detector` puts into the table (docs/detectors.md).
"""

from leaf.attribute.detector import Detector, Evidence, MeasuredModel
from leaf.attribute.measuring import gather
from leaf.attribute.projection import join
from leaf.attribute.ranking import normalise_scores, ranked_units
from leaf.recipe.detectors import detector, detector_class

__all__ = [
    "Detector",
    "Evidence",
    "MeasuredModel",
    "detector",
    "detector_class",
    "gather",
    "join",
    "normalise_scores",
    "ranked_units",
]
