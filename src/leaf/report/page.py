"""Writes the report: `report.json`, and the page rendered from exactly those values."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from leaf.errors import StoreError, UsageError
from leaf.report.content import FORMAT
from leaf.report.figures import ARM_NAMES, accuracy_plot, curve_plot
from leaf.report.formats import duration, level, number, percent, points, visible, whole
from leaf.report.readings import in_words, listed
from leaf.store import write_whole


def write_report(report: Any, folder: Path) -> Path:
    """Write `report.json` and `report.html` into `folder`, each whole or not at all.

    Returns:
        The path of the page.

    Raises:
        UsageError: `report` is not what this version's `build_report` returns.
        StoreError: a file cannot be written.
    """
    written = report.get("format") if isinstance(report, dict) else None
    if written != FORMAT:
        raise UsageError(
            f"{folder / 'report.json'}: has format {written}, but this version of leaf shows "
            f"format {FORMAT}; `leaf run` with {folder / 'recipe.yaml'} writes it again"
        )
    page = render(report)
    values = json.dumps(report, indent=1, allow_nan=False)
    _write(folder / "report.json", values + "\n")
    return _write(folder / "report.html", page)


def render(report: dict[str, Any]) -> str:
    """Return the page of a report as HTML that needs nothing outside itself."""
    return _environment().get_template("report.html.j2").render(report=report, arms=ARM_NAMES)


def write_explanation(page: dict[str, Any], path: Path) -> Path:
    """Write the page of one problem as HTML that needs nothing outside itself.

    Args:
        page: What `leaf.explain.explanation` returns.
        path: The file to write, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    return _write(path, _environment().get_template("explain.html.j2").render(report=page))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leaf.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "number": number,
        "whole": whole,
        "duration": duration,
        "level": level,
        "yaml": _yaml,
        "flat": _flat,
    }
    environment.globals |= {
        "accuracy_plot": accuracy_plot,
        "curve_plot": curve_plot,
        "in_words": _in_words,
        "plurals": _plurals,
        "style": _style(),
    }
    return environment


def _finalize(value: Any) -> Any:
    """Make every text that the template prints visible; runs before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _in_words(compared: Sequence[Mapping[str, Any]]) -> str:
    """Say what results show, all of which have a comparison."""
    return in_words({found["benchmark"]: found["comparison"]["reading"] for found in compared})


def _plurals(units: Sequence[str]) -> str:
    """Write units as people list them: `tokens and clauses`."""
    return listed([f"{unit}s" for unit in units])


def _yaml(values: Any) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """List the leaves of nested mappings as (dotted key, value)."""
    leaves: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            leaves += _flat(value, f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value))
    return leaves


def _style() -> Markup:
    sheet = resources.files("leaf.report") / "templates" / "style.css"
    return Markup(sheet.read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(errors="replace"))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); free space or name another place"
        ) from error
    return path
