"""What is cut: candidate units, spans, changed questions and responses, transplants, fillers."""

from leaf.prune.cut import distinct, prune, spans
from leaf.prune.guards import refusal
from leaf.prune.segments import segments
from leaf.prune.select import RULES, candidates
from leaf.prune.substitute import substitutes
from leaf.prune.transplant import transplants
from leaf.text.units import remove

__all__ = [
    "RULES",
    "candidates",
    "distinct",
    "prune",
    "refusal",
    "remove",
    "segments",
    "spans",
    "substitutes",
    "transplants",
]
