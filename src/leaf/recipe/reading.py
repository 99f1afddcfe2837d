"""Recipe files: read by name or path, laid over each other, checked, described and written.

Every mistake is a line of a `RecipeError` that names the file, the key, the value, what is allowed
and the nearest right name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from leaf.errors import RecipeError, UsageError, check_type
from leaf.recipe import Recipe, Section, choice_of
from leaf.recipe.detectors import plugin_from
from leaf.recipe.faults import explain, nearest_of, section_of
from leaf.recipe.schema import SELF

_DATA = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".xls", ".ods")
"""How files of data end; none of them is a recipe."""

S = TypeVar("S", bound=Section)


class _Loader(yaml.SafeLoader):
    """Reads `1e-5` as the number it is in YAML 1.2 (PyYAML's 1.1 rule takes it for text)."""


class _Dumper(yaml.SafeDumper):
    """Quotes a text that `_Loader` would read as a number, or whose line breaks it would fold."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Write a text; only escaped do Unicode's own line breaks come back as they were."""
        style = '"' if set(data) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes, `paper/...` included, sorted.

    Example:
        >>> "demo" in leaf.recipe_names()
        True
    """
    return sorted(_shipped(resources.files("leaf.recipe") / "shipped", ""))


def load_recipe(name_or_path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by shipped name or file path, apply `key=value` overrides and check it all.

    Args:
        name_or_path: One of `recipe_names()`, or a YAML file.
        overrides: Changes as `--set` of the command line takes them, in order.

    Returns:
        The recipe, every key with its value.

    Raises:
        RecipeError: an unknown recipe, a file that is not YAML, or a key or value out of the rules.

    Example:
        >>> recipe = leaf.load_recipe("gsm8k", ["prune.threshold=0.05"])
        >>> recipe.prune.threshold
        0.05
    """
    rule = "a shipped name or a YAML file; leaf.check_recipe takes a dict"
    check_type("recipe", name_or_path, (str, Path), rule)
    source = str(name_or_path)
    return check_recipe(_read(source, seen=()), source=source, overrides=overrides)


def check_recipe(
    values: Mapping[str, Any], *, source: str, overrides: Sequence[str] = ()
) -> Recipe:
    """Apply `key=value` overrides to plain values and validate them into a `Recipe`.

    Args:
        values: What a recipe's YAML says: a dict of sections.
        source: What messages call it.
        overrides: Changes as `--set` of the command line takes them, in order.

    Raises:
        RecipeError: a key or value out of the rules; `source` is named.

    Example:
        >>> values = {"name": "own", "data": {"task": "gsm8k"}, "evaluate": {"benchmarks": {}}}
        >>> values |= {"student": {"model": "org/small"}, "teacher": {"model": "org/large"}}
        >>> recipe = leaf.check_recipe(values, source="own", overrides=["distill.epochs=1"])
        >>> recipe.teacher.model, recipe.distill.epochs
        ('org/large', 1)
    """
    check_type("recipe", values, Mapping, "a dict of sections; leaf.load_recipe reads a name")
    if isinstance(overrides, str):
        raise UsageError(f"overrides: must be a list of `key=value`; write [{overrides!r:.60}]")
    changed = _merge({}, values)
    for override in overrides:
        _override(changed, override)
    try:
        recipe = Recipe.model_validate(changed)
    except ValidationError as error:
        raise RecipeError(explain(error, source, Recipe)) from None
    arm_recipes(recipe, source)
    return recipe


def arm_recipes(recipe: Recipe, source: str | None = None) -> dict[str, Recipe]:
    """Return the recipe of each arm that a recipe names under `arms`, by name.

    Raises:
        RecipeError: a key or value out of the rules, or a name that is no name of an arm; `source`,
            or else the recipe, is named.
    """
    source = source or f"recipe {recipe.name}"
    whole = recipe.model_dump(by_alias=True) if recipe.arms else {}
    made = {}
    for arm, changes in recipe.arms.items():
        where = f"{source}: arms.{arm}"
        if arm in ("before", "kd", "leaf", "rft", "teacher") or not arm.isidentifier():
            raise RecipeError(f"{where}: an arm needs a name of its own: letters, digits and _")
        if lost := sorted({"arms", "student", "evaluate", "name"} & changes.keys()):
            raise RecipeError(f"{where}.{lost[0]}: is the same for all arms")
        # What is compared on the way is compared by the recipe itself.
        values = _merge({**whole, "arms": {}}, {"attribute": {"controls": []}})
        made[arm] = check_recipe(_merge(values, changes), source=where)
    return made


def trained_arms(recipe: Recipe) -> list[str]:
    """Return the arms that a recipe trains, baselines of other arms among them."""
    arms = {recipe.baseline: None, "leaf": None}
    for name, own in arm_recipes(recipe).items():
        arms |= {own.baseline: None, name: None}
    return list(arms)


def check_section(kind: type[S], values: Any, *, source: str) -> S:
    """Validate plain values, most often a mapping, into one section of a recipe.

    Raises:
        RecipeError: a key or value out of the rules; `source` is named.
    """
    try:
        return kind.model_validate(dict(values) if isinstance(values, Mapping) else values)
    except ValidationError as error:
        raise RecipeError(explain(error, source, kind)) from None


def dump_recipe(recipe: Recipe) -> str:
    """Return a resolved recipe as YAML that `load_recipe` reads back to the same recipe.

    Example:
        >>> print(leaf.dump_recipe(leaf.load_recipe("demo")).splitlines()[0])
        name: demo
    """
    check_type("recipe", recipe, Recipe, "a Recipe; read one: leaf.load_recipe(name)")
    values = recipe.model_dump(by_alias=True)
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def describe(section: Section, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield `(dotted key, value, meaning)` for every leaf of a recipe, in reading order."""
    for name, field in type(section).model_fields.items():
        key = f"{prefix}{field.alias or name}"
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from describe(value, f"{key}.")
        elif isinstance(value, dict) and (
            section_of(field.annotation) or choice_of(field.annotation)
        ):
            for entry, part in value.items():
                yield from describe(part, f"{key}.{entry}.")
        else:
            yield key, value, field.description or ""


def _shipped(folder: Traversable, prefix: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _shipped(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            yield prefix + entry.name.removesuffix(".yaml")


def _read(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a recipe laid over those of the one it extends, but its description."""
    path = Path(name_or_path)
    if path.suffix.lower() in _DATA:
        if not path.is_file():
            raise RecipeError(f"{name_or_path}: no such file; a recipe ends in .yaml")
        raise RecipeError(
            f"{name_or_path}: is data, not a recipe; `leaf init {name_or_path}` writes one"
        )
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise RecipeError(f"{name_or_path}: no such recipe file")
        text, base, key = _text(path, name_or_path), path.parent, str(path.resolve())
    elif name_or_path in recipe_names():
        shipped = resources.files("leaf.recipe") / "shipped" / f"{name_or_path}.yaml"
        text, base, key = shipped.read_text(encoding="utf-8"), None, name_or_path
    else:
        raise RecipeError(
            f"{name_or_path}: no file and no shipped recipe (`leaf recipes`) has this name"
            f"{nearest_of(name_or_path, recipe_names())}"
        )
    if key in seen:
        raise RecipeError(f"{name_or_path}: `extends` goes round in a circle")
    values = _parse(text, name_or_path)
    if base is not None:
        _place_plugins(values, base)
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise RecipeError(f"{name_or_path}: `extends` must name a recipe, but is {parent!r}")
    if base is not None and parent not in recipe_names():
        parent = str(base / parent)
    return _merge(_read(parent, (*seen, key)) | {"description": ""}, values)


def _place_plugins(values: dict[str, Any], folder: Path) -> None:
    """Give the plugins of a recipe file the paths that they have from its folder."""
    attribute = values.get("attribute")
    if not isinstance(attribute, dict):
        return
    plugins = attribute.get("plugins")
    if isinstance(plugins, list):
        attribute["plugins"] = [
            plugin_from(plugin, folder) if isinstance(plugin, str) else plugin for plugin in plugins
        ]


def _text(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{source}: not YAML: byte {error.start} is not UTF-8 text") from None


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        reason = getattr(error, "problem", None) or getattr(error, "reason", error)
        raise RecipeError(f"{place}: not YAML: {reason}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{source}: a recipe is a mapping of keys, but this is {values!r:.60}")
    return values


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`, mapping by mapping; `benchmarks` and `arms` as a whole.

    So is `grader` by another one: its options are not the other's.
    """
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        other = key == "grader" and both and value.keys() != merged[key].keys()
        if both and key not in ("benchmarks", "arms") and not other:
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override}: must be key=value, as in --set prune.threshold=0.05")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError:
        value = text
    *parents, last = key.split(".")
    place = values
    for parent, child in zip(parents, key.split(".")[1:], strict=False):
        if place.get(parent) in (None, child, SELF):
            # A name without options (`grader: close`, `teacher: self`) is one with none yet.
            place[parent] = {"model": SELF} if place.get(parent) == SELF else {}
        if not isinstance(place[parent], dict):
            raise RecipeError(f"--set {override}: `{parent}` is a value, it has no `{child}`")
        place = place[parent]
    place[last] = value
    if value is None and parents[-1:] in (["arms"], ["benchmarks"]):
        del place[last]  # an arm or a benchmark less
