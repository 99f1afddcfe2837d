"""LeaF, Learning to Focus: find the words that distract a small model and distil them away."""

from leaf.config import Recipe, load_recipe
from leaf.errors import LeafError

__all__ = ["LeafError", "Recipe", "load_recipe"]
__version__ = "0.1.0"
