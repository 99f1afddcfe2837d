"""What is measured of answers: measures, pass@k, what variants of a problem cost."""

from leaf.evaluate.measures import measures
from leaf.evaluate.robustness import Robustness, robustness

__all__ = ["Robustness", "measures", "robustness"]
