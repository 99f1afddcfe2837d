"""LeaF, Learning to Focus: find the words that distract a small model and distil them away.

    recipe = leaf.load_recipe("demo")
    results = leaf.run_recipe(recipe, out="runs/demo")

The names below are what scripts use. To add a task, a grader, an engine, a detector or a loss, put
it in its room's table (docs/extending.md).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaf.errors import LeafError
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe, dump_recipe, load_recipe, recipe_names

if TYPE_CHECKING:  # they import torch, which a command such as `leaf show` does without
    from leaf.pipeline.results import Results
    from leaf.pipeline.run import run_recipe
    from leaf.records import Problem
    from leaf.store.ledger import read_ledger
    from leaf.store.store import Store

__all__ = [
    "LeafError",
    "Problem",
    "Recipe",
    "Results",
    "Store",
    "check_recipe",
    "dump_recipe",
    "load_recipe",
    "read_ledger",
    "recipe_names",
    "run_recipe",
]
__version__ = "0.1.0"

_PLACES = {
    "Problem": "leaf.records",
    "Results": "leaf.pipeline.results",
    "Store": "leaf.store.store",
    "read_ledger": "leaf.store.ledger",
    "run_recipe": "leaf.pipeline.run",
}
"""Where the names lie that are imported when they are asked for."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module `leaf` has no attribute `{name}`")
    return getattr(import_module(_PLACES[name]), name)
