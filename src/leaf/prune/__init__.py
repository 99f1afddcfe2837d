"""What is cut: candidate tokens, spans, counterfactual questions."""

from leaf.prune.cut import prune, remove, spans
from leaf.prune.select import RULES, candidates, focus, min_max, sensitivity_gap

__all__ = ["RULES", "candidates", "focus", "min_max", "prune", "remove", "sensitivity_gap", "spans"]
