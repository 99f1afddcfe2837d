"""LeaF, Learning to Focus: find the words that distract a small model and distil them away.

    student = leaf.Model.load("HuggingFaceTB/SmolLM2-135M-Instruct")
    look = leaf.explain(student, None, question, reference)

    results = leaf.run_recipe("demo", out="runs/demo")

`dir(leaf)` lists what there is; names that are not listed may change (docs/python.md).
"""

import random
import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from leaf.errors import LeafError
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe, dump_recipe, load_recipe, recipe_names

if TYPE_CHECKING:  # they import torch, which a command such as `leaf show` does without
    from leaf.api.injection import inject
    from leaf.api.look import Look, explain
    from leaf.api.model import Model
    from leaf.api.recipes import run_recipe
    from leaf.api.stages import cut, score, verify
    from leaf.api.training import distill, distillation_loss
    from leaf.records import Problem
    from leaf.store.ledger import read_ledger
    from leaf.store.results import Results
    from leaf.store.store import Store

__all__ = [
    "LeafError",
    "Look",
    "Model",
    "Problem",
    "Recipe",
    "Results",
    "Store",
    "check_recipe",
    "cut",
    "distill",
    "distillation_loss",
    "dump_recipe",
    "explain",
    "inject",
    "load_recipe",
    "read_ledger",
    "recipe_names",
    "run_recipe",
    "score",
    "verify",
]
__version__ = "0.1.0"

_PLACES = {
    "Look": "leaf.api.look",
    "Model": "leaf.api.model",
    "distill": "leaf.api.training",
    "distillation_loss": "leaf.api.training",
    "Problem": "leaf.records",
    "Results": "leaf.store.results",
    "Store": "leaf.store.store",
    "cut": "leaf.api.stages",
    "explain": "leaf.api.look",
    "inject": "leaf.api.injection",
    "read_ledger": "leaf.store.ledger",
    "run_recipe": "leaf.api.recipes",
    "score": "leaf.api.stages",
    "verify": "leaf.api.stages",
}
"""Where the names lie that are imported when they are asked for."""


_PACKAGES = ("losses", "trl")
"""Packages that are used by their names, as in `leaf.losses.kl`."""


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"leaf.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module `leaf` has no attribute `{name}`")
    # What is imported with it draws random numbers and adds filters.
    drawn = random.getstate()
    with warnings.catch_warnings():
        value = getattr(import_module(_PLACES[name]), name)
    random.setstate(drawn)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES, "__version__"])


class _Leaf(ModuleType):
    """Keeps the names of functions for them where a package of stages has the same name.

    Importing `leaf.verify` would otherwise lay that package over the function `leaf.verify`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _PLACES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Leaf
