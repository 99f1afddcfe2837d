"""One prompt explained: who leans on what, what was tried on it, what both models answered."""

from leaf.explain.content import Explanation, explanation
from leaf.explain.terminal import print_explanation, print_list

__all__ = ["Explanation", "explanation", "print_explanation", "print_list"]
