"""Condition (ii): a changed question stays when both models answer it right."""

from leaf.verify.control import Tried, controlled
from leaf.verify.judge import judge, pruned_problems
from leaf.verify.placebo import placebos
from leaf.verify.put_in import clear, drawn_by, effects, judge_put_in, limit, screen

__all__ = [
    "Tried",
    "clear",
    "controlled",
    "drawn_by",
    "effects",
    "judge",
    "judge_put_in",
    "limit",
    "placebos",
    "pruned_problems",
    "screen",
]
