"""Parts of the docs site that are made from the code: an MkDocs hook, so that they cannot go stale.

A page says where with `<!-- leaf: NAME -->`, NAME a key of `PARTS`. Whatever a page names in
backticks as `leaf.module.name` must be there, else the strict build fails; on the page of the
method such a name leads to its source.
"""

import inspect
import logging
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from docs_keys import sections  # beside this file: MkDocs puts its folder on the path

ROOT = Path(__file__).resolve().parents[1]
_log = logging.getLogger("mkdocs.hooks.leaf")
_MARK = re.compile(r"^<!-- leaf: ([a-z-]+) -->$", re.MULTILINE)
_NAME = re.compile(r"`(leaf(?:\.\w+)+)`")
_HISTORY = {"experiments.md", "changelog.md"}
"""Pages that tell what was: names in them may be gone."""
_LAST = {"results.md": 0.1} | dict.fromkeys(_HISTORY, 0.01)
"""Pages that name everything: a search has what says how before them."""


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the parts of a page and look at the names that it holds."""
    source = page.file.src_uri
    if source in _LAST:
        page.meta["search"] = {"boost": _LAST[source]}
    if source not in _HISTORY:
        for name in sorted(set(_NAME.findall(markdown))):
            if resolve(name) is None:
                _log.warning("%s: `%s` is not in the code", source, name)
    if source == "method.md":
        markdown = _NAME.sub(_linked, markdown)
    return _MARK.sub(lambda mark: PARTS[mark.group(1)](), markdown)


def resolve(name: str) -> Any:
    """Return what a dotted name stands for, or None."""
    try:
        return pkgutil.resolve_name(name)
    except (AttributeError, ImportError):
        return None


def commands() -> str:
    """Return every command as `--help` has it; what may be said with it is folded."""
    from leaf.cli.main import app

    text = app.generate_docs(output_format="markdown", usage_name="leaf")
    _, _, sections = text.partition("\n## leaf run")
    text = f"## leaf run{sections}"
    # An example is typed: in a block it can be copied, and its dashes stay as they are.
    text = re.sub(r"^Example: (.+)$", r"```console\n\1\n```", text, flags=re.M)
    return _OPTIONS.sub(
        r'<details markdown="1"><summary>Arguments and options</summary>\n\n\1\n\n</details>\n\n',
        text,
    )


_OPTIONS = re.compile(r"^(\*\*[^\n]+\*\*:\n.*?)\n*(?=^##|\Z)", re.MULTILINE | re.DOTALL)
"""What a command's help ends with: titles in bold type, each with a list."""


def recipes() -> str:
    """Return the shipped recipes with their descriptions."""
    from leaf.recipe.reading import load_recipe, recipe_names

    rows = [(f"`{name}`", load_recipe(name).description) for name in recipe_names()]
    return _table(("recipe", "what it is for"), rows)


def detectors() -> str:
    """Return the detectors that ship, what each goes by and what it needs."""
    from leaf.recipe.detectors import SHIPPED, detector_class

    rows = []
    for name in SHIPPED:
        made = detector_class(name)
        models = "student, teacher" if made.asks_teacher else made.needs
        options = ", ".join(f"`{key}`" for key in made.Options.model_fields)
        rows.append((f"`{name}`", (inspect.getdoc(made) or "").partition("\n")[0], models, options))
    return _table(("detector", "what it suspects", "models", "options"), rows)


def studies() -> str:
    """Return the studies and what each shows."""
    from leaf.study.studies import STUDIES

    rows = [
        (f"`leaf study {name}`", study.about, "yes" if study.trains else "no")
        for name, study in STUDIES.items()
    ]
    return _table(("study", "what it shows", "trains students"), rows)


def functions() -> str:
    """Return the source of every name on the page of the method."""
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    return "\n\n".join(_source(name) for name in dict.fromkeys(_NAME.findall(page)))


def changelog() -> str:
    """Return CHANGELOG.md without its title."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2]


def recipe_keys() -> str:
    """Return every key of a recipe."""
    return "\n\n".join(
        f"{heading}\n\n{about}\n\n" + (_table(_KEY_COLUMNS, rows) if rows else "")
        for heading, about, rows in sections()
    )


_KEY_COLUMNS = ("key", "value", "default", "meaning")

PARTS: dict[str, Callable[[], str]] = {
    "changelog": changelog,
    "commands": commands,
    "detectors": detectors,
    "functions": functions,
    "keys": recipe_keys,
    "recipes": recipes,
    "studies": studies,
}


def _linked(found: re.Match[str]) -> str:
    return f"[{found.group()}](functions.md#{_anchor(found.group(1))})"


def _anchor(name: str) -> str:
    return name.replace(".", "-").lower()


def _source(name: str) -> str:
    """Return one name's section: where it stands and its text."""
    found = resolve(name)
    try:
        text = inspect.getsource(found)
        place = inspect.getsourcefile(found) or ""
    except TypeError:  # a table: its value says what it holds
        text, place = f"{name.rpartition('.')[2]} = {found!r}\n", ""
    where = f"`{Path(place).relative_to(ROOT)}`\n\n" if place else ""
    return f"## `{name}` {{#{_anchor(name)}}}\n\n{where}```python\n{text}```"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(_lines(columns, rows))


def _lines(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        # A bar would end its cell.
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
