"""Spans cut out of questions and responses, and what is put in: fillers, transplants, and more."""

from leaf.prune.cut import distinct, prune, removable, spans
from leaf.prune.guards import refusal
from leaf.prune.inject import injections
from leaf.prune.segments import segments
from leaf.prune.select import RULES, candidates
from leaf.prune.substitute import substitutes
from leaf.prune.transplant import transplants
from leaf.text.units import remove

__all__ = [
    "RULES",
    "candidates",
    "distinct",
    "injections",
    "prune",
    "refusal",
    "removable",
    "remove",
    "segments",
    "spans",
    "substitutes",
    "transplants",
]
