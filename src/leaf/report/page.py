"""Writes the report: `report.json`, and the page rendered from exactly those values."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import yaml
from markupsafe import Markup

from leaf.errors import StoreError, UsageError
from leaf.progress import visible
from leaf.recipe.base import leaves
from leaf.recipe.schema import SELF
from leaf.report.content import FORMAT
from leaf.report.cost import STAGES
from leaf.report.figures import accuracy_plot, arm_name, curve_plot
from leaf.report.formats import as_said, duration, number, percent, points, whole
from leaf.report.inert import index_entry, inert, problem_data
from leaf.report.looks import looks_of, style_of_looks
from leaf.report.one_problem import by_gradient
from leaf.report.readings import in_words, listed
from leaf.store.arms import ARMS
from leaf.store.memory import size_of
from leaf.store.store import write_whole


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
    # Not indented: that takes minutes where a report has thousands of problems.
    values = json.dumps(report, allow_nan=False)
    write_text(folder / "report.json", values + "\n")
    return write_text(folder / "report.html", page)


def render(report: dict[str, Any]) -> str:
    """Return the page of a report as HTML that needs nothing outside itself."""
    problems = (report["distraction"] or {}).get("problems", [])
    return (
        environment("problem.js", "list.js")
        .get_template("report.html.j2")
        .render(
            report=report,
            baseline=arm_name(report.get("baseline", "kd")),
            once_more=_once_more(report),
            alone=_alone(report),
            two_contexts=_two_contexts(report),
            arms={arm: arm_name(arm) for arm in [*ARMS, *report["recipe"].get("arms", {})]},
            looks=looks_of(report["recipe"].get("arms", {})),
            settings=inert(_settings(report, single=False)),
            index=inert([index_entry(problem) for problem in problems]),
            problems=map(problem_data, problems),
            counts={step["step"]: step["count"] for step in report["steps"]},
            listed={problem["id"] for problem in problems},
        )
    )


def write_explanation(page: Mapping[str, Any], path: Path) -> Path:
    """Write the page of one problem as HTML that needs nothing outside itself.

    Args:
        page: What `leaf.report.one_problem.explanation` returns.
        path: The file to write, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    text = (
        environment("problem.js")
        .get_template("explain.html.j2")
        .render(
            report=page,
            alone=_alone(page),
            settings=inert(_settings(page, single=True)),
            problems=[problem_data(page["problem"])],
        )
    )
    return write_text(path, text)


def _settings(report: Mapping[str, Any], *, single: bool) -> dict[str, Any]:
    """Return what the script must know besides problems."""
    detector, units = report["recipe"]["attribute"]["detector"], report["recipe"]["prune"]["units"]
    # With several units a cut does not tell which it was made of; the oracle always marks tokens.
    cut_by = ["token"] if detector == "oracle" else units
    return {
        "single": single,
        "alone": _alone(report),
        "ranked": detector == "gradient",
        "unit": cut_by[0] if len(cut_by) == 1 else "unit",
        "two_contexts": _two_contexts(report),
    }


def _once_more(report: Mapping[str, Any]) -> list[str]:
    """Say how each arm that a recipe names was trained besides."""
    arms: Mapping[str, Any] = report["recipe"].get("arms", {})
    return [
        f"once more without a teacher ({arm_name(arm)})"
        if changes.get("teacher") == SELF and not _alone(report)
        else f"once more as {arm_name(arm)}"
        for arm, changes in arms.items()
    ]


def _two_contexts(report: Mapping[str, Any]) -> bool:
    """Whether the teacher reads changed questions without what distracts."""
    return bool(report["recipe"]["distill"].get("teacher_sees") == "cut")


def _alone(report: Mapping[str, Any]) -> bool:
    """Whether there is no teacher; a prompt of one's own then has the student in its place."""
    student, teacher = (report["recipe"][role]["model"] for role in ("student", "teacher"))
    asked = "problem" in report and report["problem"]["before"]["teacher"] is not None
    return teacher == SELF or ("problem" in report and student == teacher and not asked)


@cache
def environment(*scripts: str) -> jinja2.Environment:
    """Return what renders pages; `scripts` are run as one, which nothing on a page can add to.

    Kept, since a run writes its page after every stage and templates are compiled only once.
    """
    script = f'"use strict";\n(() => {{\n{"".join(map(_file, scripts))}}})();\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
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
        "as_said": as_said,
        "yaml": _yaml,
        "flat": _flat,
        "size": size_of,
        "anchor": _anchor,
        "by_gradient": by_gradient,
        "strategies": _strategies,
        "listed": listed,
        "of_kind": _of_kind,
    }
    environment.globals |= {
        "accuracy_plot": accuracy_plot,
        "curve_plot": curve_plot,
        "by_gradient": by_gradient,
        "in_words": _in_words,
        "plurals": _plurals,
        "stages": STAGES,
        "style": Markup(_file("style.css") + style_of_looks()),  # noqa: S704 - our own
        "script": Markup(script),  # noqa: S704 - our own files
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    }
    return environment


def _strategies(named: str | list[str]) -> list[str]:
    """Return the names in `prune.strategy`; one text with + in a report of version 0.1.0."""
    return named.split("+") if isinstance(named, str) else named


def _of_kind(drops: list[dict[str, Any]], kind: str | None) -> list[dict[str, Any]]:
    """Return the drops that are `transplants` or `injections`; None: the others."""
    if kind:
        return [drop for drop in drops if drop.get(kind)]
    return [drop for drop in drops if not (drop["transplants"] or drop.get("injections"))]


def _anchor(problem_id: str) -> str:
    """Return the address of a problem within the page."""
    return f"#problem-{quote(visible(problem_id), safe='')}"


def _finalize(value: Any) -> Any:
    """Make every text that the template prints visible; runs before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _in_words(compared: Sequence[Mapping[str, Any]], baseline: str) -> str:
    """Say what results show, all of which have a comparison."""
    readings = {found["benchmark"]: found["comparison"]["reading"] for found in compared}
    return in_words(readings, baseline)


def _plurals(units: Sequence[str]) -> str:
    """Write units as people list them: `tokens and clauses`."""
    return listed([f"{unit}s" for unit in units])


def _yaml(values: Any) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(leaves(values))


def _file(name: str) -> str:
    return (resources.files("leaf.report") / "templates" / name).read_text(encoding="utf-8")


def write_text(path: Path, text: str) -> Path:
    """Write a file whole or not at all, and its folder where there is none.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(errors="replace"))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); free space or name another place"
        ) from error
    return path
