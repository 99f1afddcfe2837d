"""What is measured of answers: measures, pass@k, majorities, what variants of a problem cost."""

from leaf.evaluate.majority import Ballot, Consistency, consistency, due, majority_at
from leaf.evaluate.measures import measures
from leaf.evaluate.robustness import Robustness, robustness

__all__ = [
    "Ballot",
    "Consistency",
    "Robustness",
    "consistency",
    "due",
    "majority_at",
    "measures",
    "robustness",
]
