"""One prompt inside a notebook: a fragment of HTML without a script, for light and dark ground."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from leaf.report.formats import visible
from leaf.report.one_problem import judgement

_ORANGE = "213,94,0"
"""Of what the detector would cut, as on the page."""
_DEEPEST = 0.55
"""How much of the colour the highest score has: text is readable on it in both themes."""

_OUTCOMES = {"right": "✓ right", "wrong": "✗ wrong", "ungradable": "? not gradable"}


def explanation_html(shown: Mapping[str, Any]) -> str:
    """Return what `leaf.report.one_problem.explanation` describes as a fragment of HTML.

    Everything that models or people wrote is escaped. Colours are laid over the ground that the
    notebook has, and each unit says its score to whoever points at it.
    """
    problem = shown["problem"]
    ranking = next(iter(problem["rankings"]), None)
    units = ranking["units"] if ranking else problem["units"]
    named = (
        f"Ranked by {ranking['detector']}, {ranking['unit']} by {ranking['unit']}"
        if ranking
        else "The question"
    )
    parts = [
        f"<p><b>{_text(named)}</b> <small>the deeper its colour, the sooner it is cut; underlined: "
        "taken out of some prompt; struck through: that one was verified</small></p>",
        f'<p style="white-space:pre-wrap;line-height:1.7">{"".join(map(_unit, units))}</p>',
    ]
    if shown["skipped"]:
        parts.append(f"<p>No scores: {_text(shown['skipped'])}</p>")
    parts += _changes([*problem["removals"], *problem["transplants"]], shown["refused"])
    parts += _answers(problem["before"], shown["recipe"])
    return f'<div class="leaf-look" style="max-width:50rem">{"".join(parts)}</div>'


def explanation_page(shown: Mapping[str, Any]) -> str:
    """Return the fragment as a page that needs nothing outside itself."""
    title = _text(shown["problem"]["id"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{title} · LeaF explains</title>'
        "<style>:root{color-scheme:light dark}body{margin:2rem auto;max-width:50rem;padding:0 1rem;"
        "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}</style></head>"
        f"<body><h1>{title}</h1>{explanation_html(shown)}</body></html>\n"
    )


def _unit(unit: Mapping[str, Any]) -> str:
    """Return a piece of the question in its colour; the space before it has none."""
    text = visible(unit["text"])
    word = text.lstrip()
    space = text[: len(text) - len(word)]
    score = unit.get("score", 1 - unit["gap"] if "gap" in unit else None)
    if score is None or not word:
        return _text(text)
    style = f"background:rgba({_ORANGE},{_DEEPEST * score:.2f});border-radius:2px"
    if unit["removed"]:
        style += ";text-decoration:" + ("line-through" if unit["freed"] else "underline")
    return f'{space}<span style="{style}" title="score {score:.2f}">{_text(word)}</span>'


def _changes(
    changes: Sequence[Mapping[str, Any]], refused: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    rows = []
    for change in changes:
        pieces = "".join(map(_piece, change["pieces"]))
        verdict = "" if change["verdict"] is None else " · ".join(judgement(change))
        rows.append(f"<li>{pieces} <small>{_text(verdict) or 'not verified yet'}</small></li>")
    rows += [
        f"<li><small>{found['count']} not tried: {_text(found['reason'])}</small></li>"
        for found in refused
    ]
    if rows:
        yield f"<p><b>Cuts</b></p><ul>{''.join(rows)}</ul>"


def _piece(piece: Mapping[str, Any]) -> str:
    if piece["text"] is None:
        return " … "
    text = _text(piece["text"])
    if piece["removed"]:
        return f"<del>{text}</del>"
    return f"<ins>{text}</ins>" if piece["inserted"] else text


def _answers(before: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the models answered to the whole prompt, those that were asked."""
    for role, answer in before.items():
        if answer is not None:
            outcome = _OUTCOMES[answer["outcome"]]
            name = f"{role.capitalize()} ({recipe[role]['model']})"
            yield (
                f"<details><summary><b>{_text(name)}</b>: {outcome}</summary>"
                f'<pre style="white-space:pre-wrap">{_text(answer["text"])}</pre></details>'
            )


def _text(text: str) -> str:
    return escape(visible(text))
