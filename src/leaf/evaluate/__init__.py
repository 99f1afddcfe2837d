"""Scores with intervals, and two models compared on the same questions."""

from leaf.evaluate.statistics import accuracy, compare

__all__ = ["accuracy", "compare"]
