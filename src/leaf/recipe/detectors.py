"""Which detectors there are: those that ship, one file each, and those that people bring.

A detector is a class (`leaf.attribute.Detector`). A recipe checks its name and its options, so the
table stands here, below the stages. The name of a file in `leaf/attribute/detectors` is that of its
detector: it is known without loading anything, and the file is read when somebody names it.
"""

import importlib
import sys
import zlib
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from leaf.errors import UsageError
from leaf.progress import say
from leaf.recipe.base import Section

C = TypeVar("C", bound=type[Any])

_PACKAGE = "leaf.attribute.detectors"

SHIPPED = tuple(
    sorted(
        file.name.removesuffix(".py")
        for file in (resources.files("leaf") / "attribute" / "detectors").iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_")
    )
)
"""The names of the detectors that ship."""

DETECTORS: dict[str, type[Any]] = {}
"""Name to class, of those that were read so far; `detector_class` reads others that ship."""


def detector(made: C) -> C:
    """Put a detector's class into the table, as the decorator `@detector`.

    Raises:
        UsageError: it is no detector, or its name is taken or no name; says which.
    """
    if not getattr(made, "__module__", "").startswith(_PACKAGE):
        fault = _fault(made)
        if fault:
            what = getattr(made, "__qualname__", repr(made))
            raise UsageError(f"{getattr(made, '__module__', '')}.{what}: {fault}")
    DETECTORS[made.name] = made
    return made


def _fault(made: Any) -> str:
    """Say why something cannot be somebody's own detector; "" where it can."""
    # By name, since it stands on a floor above this one.
    base = importlib.import_module("leaf.attribute.detector").Detector
    named = _name_fault(getattr(made, "name", None))
    if named:
        return named
    if not (isinstance(made, type) and issubclass(made, base)):
        return "`@detector` takes a subclass of `leaf.attribute.Detector`"
    own: Any = made
    if not (isinstance(own.Options, type) and issubclass(own.Options, Section)):
        return f"`Options` must be a subclass of `leaf.recipe.Section`, but is {own.Options!r}"
    if own.needs not in ("nothing", "student", "both"):
        return f"`needs` must be 'nothing', 'student' or 'both', but is {own.needs!r}"
    lacks = ", ".join(sorted(own.__abstractmethods__))
    return f"does not define `{lacks}`" if lacks else ""


def _name_fault(name: Any) -> str:
    """Say why a detector of one's own cannot be called so; "" where it can."""
    if name in SHIPPED:
        return f"a detector that ships is called `{name}`; give yours another name"
    if not isinstance(name, str) or not name.isidentifier():
        return f"`name` must be a word of letters, digits and _, but is {name!r}"
    section = importlib.import_module("leaf.recipe.attribute").AttributeSection
    if name in section.model_fields or hasattr(section, name) or name in flat_keys():
        return f"`attribute.{name}` means something else; give it another name"
    return ""


def detector_class(name: str) -> type[Any]:
    """Return a detector's class by its name; `KeyError` where there is none."""
    if name not in DETECTORS and name in SHIPPED:
        importlib.import_module(f"{_PACKAGE}.{name}")
    return DETECTORS[name]


def is_detector(name: object) -> bool:
    """Whether a detector of this name ships or was brought."""
    return name in SHIPPED or name in DETECTORS


def detector_names() -> list[str]:
    """Return the names of all detectors, those that ship first."""
    return list(dict.fromkeys([*SHIPPED, *DETECTORS]))


def options_of(name: str) -> type[Section]:
    """Return the options of a detector: a section of a recipe, `attribute.<name>`."""
    options: type[Section] = detector_class(name).Options
    return options


def flat_keys() -> dict[str, tuple[str, str]]:
    """Return the keys of `attribute` in version 0.1.0 that are a detector's options now."""
    return {
        flat: (name, option)
        for name in detector_names()
        for flat, option in detector_class(name).formerly.items()
    }


def plugin_from(plugin: str, folder: Path) -> str:
    """Return the whole path of a plugin's file that a folder's recipe names; a module as it is."""
    return str((folder / plugin).resolve()) if plugin.endswith(".py") else plugin


def load_plugin(plugin: str) -> None:
    """Read a Python file, or a module by its dotted name, so that its detectors are known.

    A file is read once; it is read again when it has changed. One that puts nothing into a table of
    ours is said: a forgotten decorator looks like that.

    Raises:
        ValueError: there is none, or it fails; the message says which.
    """
    path = Path(plugin).resolve()
    if plugin.endswith(".py") and not path.is_file():
        raise ValueError(
            f"attribute.plugins: {path}: no such file (a recipe's plugins are looked for beside "
            "the recipe, those of --set in the current folder)"
        )
    # Files of one name in two folders are two modules.
    name = f"leaf_plugin_{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    known, brought = sys.modules.get(name), _brought()
    try:
        if plugin.endswith(".py"):
            run_plugin(name, str(path), path.read_text(encoding="utf-8"))
        else:
            importlib.import_module(plugin)
    except (Exception, SystemExit) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"attribute.plugins: {plugin}: cannot be read: {type(error).__name__}: {reason}"
        ) from error
    if sys.modules.get(name) is not known and _brought() == brought:
        say(f"attribute.plugins: {plugin}: brings no detector, grader, task, loss or engine")


_TABLES = (
    "leaf.recipe.detectors:DETECTORS",
    "leaf.grade.grader:GRADERS",
    "leaf.tasks.task:TASKS",
    "leaf.losses:LOSSES",
    "leaf.losses:HIDDEN_LOSSES",
    "leaf.generate:ENGINES",
    "leaf.prune.inject:SOURCES",
    "leaf.pipeline.stages:STEPS",
)
"""What a plugin may add to, as `module:NAME`."""


def _brought() -> set[tuple[str, str, int]]:
    """Return what stands in our tables and is none of ours."""
    tables = ((table, *table.split(":")) for table in _TABLES)
    return {
        (table, key, id(value))
        for table, module, name in tables
        for key, value in getattr(sys.modules.get(module), name, {}).items()
        if not str(getattr(value, "__module__", "")).startswith("leaf.")
    }


def run_plugin(name: str, file: str, text: str) -> None:
    """Run the text of a plugin's file as a module of this name, unless it is there already."""
    known = sys.modules.get(name)
    if known is not None and known.__dict__.get("__text__") == text:
        return
    module = ModuleType(name)
    # What `inspect`, and so the key of what is computed, takes for its source.
    module.__file__ = file
    module.__dict__["__text__"] = text
    sys.modules[name] = module
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - the user names the file
    except BaseException:
        del sys.modules[name]
        raise
