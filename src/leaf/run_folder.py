"""What commands ask of a run folder, finished or not: its recipe, its report, how to go on."""

import json
from pathlib import Path
from typing import Any

from leaf.config import Recipe
from leaf.errors import UsageError
from leaf.recipe import load_recipe


def repeat(folder: Path) -> str:
    """Return the command that goes on with a run, or writes its files again.

    It is the one that the report names; without a readable report, one for the recipe beside it.
    """
    try:
        command = json.loads((folder / "report.json").read_text(encoding="utf-8"))["command"]
    except (OSError, ValueError, KeyError, TypeError):
        command = None
    if isinstance(command, str):
        return command
    recipe = folder / "recipe.yaml"
    return f"leaf run {recipe if recipe.is_file() else 'RECIPE'} --out {folder}"


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of a run.

    Raises:
        UsageError: there is none.
        RecipeError: it is damaged, or of another version of leaf.
    """
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise UsageError(f"{path}: not there; `{repeat(folder)}` writes it again")
    return load_recipe(str(path))


def report_of(folder: Path) -> dict[str, Any]:
    """Return what report.json holds, of whatever format.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / "report.json"
    if not path.is_file():
        raise UsageError(f"{path}: not there; `{repeat(folder)}` writes it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        place, what = f"{path}:{error.lineno}", f"not JSON: {error.msg}"
    except UnicodeDecodeError as error:
        place, what = str(path), f"not JSON: byte {error.start} is not UTF-8 text"
    else:
        if isinstance(content, dict):
            return content
        place, what = str(path), f"not a report, but a {type(content).__name__}"
    raise UsageError(f"{place}: {what}; `{repeat(folder)}` writes it again")
