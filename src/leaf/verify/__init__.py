"""Condition (ii): a counterfactual stays when both models answer the pruned prompt right."""

from leaf.verify.judge import judge, pruned_problems

__all__ = ["judge", "pruned_problems"]
