"""LeaF, Learning to Focus: find the words that distract a small model and distil them away."""

from leaf.config import Recipe
from leaf.errors import LeafError
from leaf.recipe import load_recipe

__all__ = ["LeafError", "Recipe", "load_recipe"]
__version__ = "0.1.0"
