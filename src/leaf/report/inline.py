"""One prompt inside a notebook: a fragment of HTML without a script, for light and dark ground."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from leaf.progress import visible
from leaf.report.one_problem import by_gradient, freed, judgement, mark, put_in_by_kind

_ORANGE = "213,94,0"
"""Of the student and of what the detector would cut, as on the page."""
_BLUE = "0,114,178"
"""Of the teacher."""
_DEEPEST = 0.55
"""How much of the colour the highest score has: text is readable on it in both themes."""

_BEGINNING = 80
"""Characters of an answer that stand beside its outcome."""

_STYLE = (
    "<style>.leaf-look{max-width:50rem}.leaf-look span{border-radius:2px}"
    ".leaf-look .leaf-question{white-space:pre-wrap;line-height:1.7}"
    ".leaf-look s{text-decoration:line-through}.leaf-look ins{text-decoration:underline}"
    ".leaf-look pre{white-space:pre-wrap;color:inherit;background:none}"
    ".leaf-look small{opacity:.75}.leaf-look ul{list-style:none;padding-left:0}"
    ".leaf-look li{margin:.4rem 0}.leaf-look details{margin-left:1.2rem}</style>"
)
"""Of the fragment alone; ground and text are the notebook's, light or dark."""

_OUTCOMES = {"right": "✓ right", "wrong": "✗ wrong", "ungradable": "? not gradable"}


def explanation_html(shown: Mapping[str, Any]) -> str:
    """Return what `leaf.report.one_problem.explanation` describes as a fragment of HTML.

    Everything that models or people wrote is escaped. Colours are laid over the ground that the
    notebook has, and each unit says its score to whoever points at it.
    """
    problem = shown["problem"]
    parts = [_STYLE, *_maps(problem)]
    if problem["tried"]:
        legend = "<s>struck through</s>: cut on trial"
        if any(map(freed, problem["removals"])):
            legend += "; <b>✓</b> that freed the student"
        parts.append(f"<p><small>{legend}</small></p>")
    if shown["skipped"]:
        parts.append(f"<p>No scores: {_text(shown['skipped'])}</p>")
    parts += _changes(problem, shown["refused"])
    parts += _answers(problem, shown["recipe"])
    return f'<div class="leaf-look">{"".join(parts)}</div>'


def _maps(problem: Mapping[str, Any]) -> Iterator[str]:
    """Yield a map of each ranking; the gradient's tokens have one a model, then the gap."""
    if by_gradient(problem) and any("gap" in unit for unit in problem["units"]):
        for role in ("student", "teacher"):
            meaning = "how much each word moves its loss on the reference"
            yield _map(role.capitalize(), meaning, problem["units"], role)
        meaning = "orange: the student leans on it more; blue: the teacher"
        yield _map("Gap", meaning, problem["units"], "difference")
    for ranking in problem["rankings"]:
        name = f"Ranked by {ranking['detector']}, {ranking['unit']} by {ranking['unit']}"
        yield _map(name, "darker is cut sooner", ranking["units"], "score")
    if not problem["rankings"] and not any("gap" in unit for unit in problem["units"]):
        yield _map("The question", "", problem["units"], "score")


def _map(name: str, meaning: str, units: Sequence[Mapping[str, Any]], key: str) -> str:
    coloured = "".join(_unit(unit, key) for unit in units)
    return (
        f"<p><b>{_text(name)}</b> <small>{meaning}</small></p>"
        f'<p class="leaf-question">{coloured}</p>'
    )


def _unit(unit: Mapping[str, Any], key: str) -> str:
    """Return a piece of the question in its colour; the space before it has none."""
    text = visible(unit["text"])
    word = text.lstrip()
    space = text[: len(text) - len(word)]
    value = unit.get(key)
    if value is None or not word:
        return _text(text)
    # Of a difference the sign says whose colour it is.
    blue = key == "teacher" or (key == "difference" and value > 0)
    style = f"background:rgba({_BLUE if blue else _ORANGE},{_DEEPEST * abs(value):.2f})"
    content = f"<s>{_text(word)}</s>" if unit["removed"] else _text(word)
    if unit["freed"]:
        content = f"<b>✓</b>{content}"
    return f'{space}<span style="{style}" title="{key} {value:.2f}">{content}</span>'


def _changes(problem: Mapping[str, Any], refused: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what was tried under the page's headings, and why the rest was not."""
    sections = {"Cuts tried": problem["removals"]}
    for kind, put_in in put_in_by_kind(problem).items():
        sections[f"{kind.capitalize()}s"] = put_in
    for title, changes in sections.items():
        if changes:
            yield f"<p><b>{title}</b></p><ul>{''.join(map(_change, changes))}</ul>"
    if refused:
        rows = [
            f"<li><small>{found['count']}: {_text(found['reason'])}</small></li>"
            for found in refused
        ]
        yield f"<p><b>Not tried</b></p><ul>{''.join(rows)}</ul>"


def _change(change: Mapping[str, Any]) -> str:
    """Return a change with its mark, its verdict and both answers to it."""
    verdict = change["verdict"]
    said = ": ".join(judgement(change)) if verdict else "not verified yet"
    answers = ""
    if verdict:
        answers = "".join(
            _said(role.capitalize(), verdict[f"{role}_text"], verdict[role])
            for role in ("student", "teacher")
            if verdict[f"{role}_text"]
        )
    pieces = "".join(map(_piece, change["pieces"]))
    return f"<li><b>{mark(change)}</b> {pieces} <small>{_text(said)}</small>{answers}</li>"


def _piece(piece: Mapping[str, Any]) -> str:
    if piece["text"] is None:
        return " … "
    text = _text(piece["text"])
    if piece["removed"]:
        # A struck space would read as a minus sign.
        word = text.lstrip()
        return f"{text[: len(text) - len(word)]}<s>{word}</s>"
    return f"<ins>{text}</ins>" if piece["inserted"] else text


def _answers(problem: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the models answered to the whole prompt, those that were asked."""
    asked = {role: answer for role, answer in problem["before"].items() if answer is not None}
    if asked:
        yield "<p><b>Answers to the whole question</b></p>"
    for role, answer in asked.items():
        name = f"{role.capitalize()} ({recipe[role]['model']})"
        yield _said(name, answer, answer["outcome"])


def _said(name: str, answer: Mapping[str, Any], outcome: str) -> str:
    """Return one answer: its outcome and beginning, the whole behind a click."""
    why = f": {answer['why']}" if answer.get("why") else ""
    beginning = " ".join(answer["text"].split())
    if len(beginning) > _BEGINNING:
        beginning = beginning[:_BEGINNING].rstrip() + " …"
    return (
        f"<details><summary>{_text(name)} {_text(_OUTCOMES[outcome] + why)} "
        f"<small>{_text(beginning)}</small></summary><pre>{_text(answer['text'])}</pre></details>"
    )


def _text(text: str) -> str:
    return escape(visible(text))
