"""Condition (ii): a changed question stays when both models answer it right."""

from leaf.verify.judge import effects, judge, pruned_problems, screen

__all__ = ["effects", "judge", "pruned_problems", "screen"]
