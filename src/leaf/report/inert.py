"""A page's data: JSON that no browser runs, as little of it as the page's script needs."""

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from leaf.progress import visible
from leaf.report.one_problem import by_gradient, judgement

TEASER = 140
"""Characters of a question that a closed row shows."""

REMOVED, FREED = 1, 2
"""Marks of a unit, added up: cut on trial; one of those trials was verified."""

_UNSAFE = {
    "<": "\\u003c",  # ends no script element, opens no comment
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def inert(value: Any) -> Markup:
    """Write a value as JSON that can stand in a script element; its texts are made visible."""
    text = json.dumps(_visible(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 - no markup can begin in it


def problem_data(problem: Mapping[str, Any]) -> Markup:
    """Write what is shown of a problem once it is opened.

    A scored unit is its text, student, teacher and gap score, and marks; a ranked one its text,
    score and marks; other text is a string.
    Scores have three significant digits, more than anybody can tell apart.
    """
    shown = {
        "by_gradient": by_gradient(problem),
        "units": [_unit(piece) for piece in problem["units"]],
        "rankings": [
            {**ranking, "units": [_unit(piece) for piece in ranking["units"]]}
            for ranking in problem.get("rankings", ())
        ],
        "removals": [
            {**cut, "gap": _short(cut["gap"]), "judgement": judgement(cut)}
            for cut in problem["removals"]
        ],
        "transplants": [{**cut, "judgement": judgement(cut)} for cut in problem["transplants"]],
    }
    return inert({**problem, **shown})


def index_entry(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a closed row shows of a problem, and what it is filtered and sorted by."""
    names = ("id", "source", "status", "level", "tried", "kept", "lengths")
    text = "".join(piece["text"] for piece in problem["units"][: TEASER // 2])
    return {
        **{name: problem[name] for name in (*names, "transplanted", "transplants_kept")},
        # A report of version 0.1.0 had transplants alone.
        "put_in": problem.get("put_in", "transplant"),
        "teaser": " ".join(text.split())[:TEASER],
        "lean": min(
            (_short(piece.get("difference")) or 0 for piece in problem["units"]), default=0
        ),
    }


def _unit(piece: Mapping[str, Any]) -> Any:
    names = ("score",) if "score" in piece else ("student", "teacher", "gap")
    if "removed" not in piece:
        return piece["text"]
    scores = (_short(piece[name]) for name in names)
    return [piece["text"], *scores, REMOVED * piece["removed"] + FREED * piece["freed"]]


def _short(value: float | None) -> float | int | None:
    if value is None:
        return None
    short = float(f"{value:.3g}")
    return int(short) if short.is_integer() else short


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {name: _visible(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(item) for item in value]
    return value
