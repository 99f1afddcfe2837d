"""Whole runs from Python, as the command `leaf run` makes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaf.api.undisturbed import undisturbed
from leaf.errors import UsageError, check_type, nearest
from leaf.pipeline import run
from leaf.pipeline.stages import STAGES, STEPS
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe, load_recipe
from leaf.store.results import Results
from leaf.store.store import Store


@undisturbed()
def run_recipe(
    recipe: Recipe | Mapping[str, Any] | Path | str,
    *,
    out: Path | str | None = None,
    store: Store | Path | str | None = None,
    until: str = STAGES[-1],
    command: str | None = None,
) -> Results:
    """Run a recipe up to a stage; what was computed before is found again and not repeated.

    Args:
        recipe: A shipped recipe's name, a YAML file, its values as a dict, or what
            `leaf.load_recipe` returned.
        out: The run folder, whose report is current after every stage; None: `runs/NAME`.
        store: Where stage results are kept; None: the folder `store` beside `out`.
        until: The last stage: problems, answers, attribute, prune, verify, distill or evaluate.
        command: What the report says would repeat this run; None: this script's own words.

    Returns:
        What the run found. As the last line of a cell it is a table of arms by benchmark.

    Raises:
        RecipeError: a key or value of the recipe is wrong; names it and the nearest right one.
        UsageError: there is no such stage, or `out` is a file.
        LeafError: data or models cannot be used, or the work failed.

    Example:
        >>> leaf.run_recipe("demo", out="runs/demo", until="problems")
        Results(2000 problems)
    """
    for name, path in (("out", out), ("store", store)):
        if path is not None:
            check_type(name, path, (str, Path, Store), "a folder's path")
    if until not in STEPS:
        hint = nearest(str(until), STEPS)
        raise UsageError(f"until: unknown `{until}`{hint} (stages: {', '.join(STEPS)})")
    if isinstance(recipe, str | Path):
        recipe = load_recipe(recipe)
    elif not isinstance(recipe, Recipe):
        if not isinstance(recipe, Mapping):
            raise UsageError(
                f"recipe: must be a name, a file, a dict or a `Recipe`, but is {recipe!r:.60}"
            )
        recipe = check_recipe(recipe, source="run_recipe")
    folder = Path(out) if out is not None else Path("runs") / recipe.name
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"out: {folder} is a file; name a folder")
    if store is not None and not isinstance(store, Store):
        store = Store(Path(store))
    return run.run_recipe(recipe, out=folder, store=store, until=until, command=command)
