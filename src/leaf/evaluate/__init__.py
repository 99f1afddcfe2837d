"""Scores with intervals, and two models compared on the same questions."""

from leaf.evaluate.measures import measures
from leaf.evaluate.robustness import Robustness, Share, robustness
from leaf.evaluate.statistics import Values, accuracy, by_base, compare, compare_values, estimate

__all__ = [
    "Robustness",
    "Share",
    "Values",
    "accuracy",
    "by_base",
    "compare",
    "compare_values",
    "estimate",
    "measures",
    "robustness",
]
