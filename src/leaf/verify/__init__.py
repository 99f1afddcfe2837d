"""Condition (ii): a changed question stays when both models answer it right."""

from leaf.verify.judge import judge, pruned_problems
from leaf.verify.put_in import clear, drawn_by, effects, judge_put_in, limit, screen

__all__ = [
    "clear",
    "drawn_by",
    "effects",
    "judge",
    "judge_put_in",
    "limit",
    "pruned_problems",
    "screen",
]
