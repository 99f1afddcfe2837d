"""What is cut: candidate tokens, spans, changed questions and responses, transplants, fillers."""

from leaf.prune.cut import distinct, prune, remove, spans
from leaf.prune.guards import refusal
from leaf.prune.question import cut_question
from leaf.prune.rank import RANKINGS, by_gap, propose, rank, widen
from leaf.prune.segments import segments
from leaf.prune.select import RULES, candidates, min_max, normalise_scores, sensitivity_gap
from leaf.prune.substitute import substitutes
from leaf.prune.transplant import transplants

__all__ = [
    "RANKINGS",
    "RULES",
    "by_gap",
    "candidates",
    "cut_question",
    "distinct",
    "min_max",
    "normalise_scores",
    "propose",
    "prune",
    "rank",
    "refusal",
    "remove",
    "segments",
    "sensitivity_gap",
    "spans",
    "substitutes",
    "transplants",
    "widen",
]
