"""Heat maps on a terminal: a question whose words show what they weigh.

Colours are the page's: orange where the student leans, blue where the teacher does. Without colours
a row of bars under each line says the same.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from leaf.progress import visible
from leaf.report.formats import level
from leaf.report.one_problem import by_gradient, judged_unsolved

_STUDENT, _TEACHER = (213, 94, 0), (0, 114, 178)
_DEPTHS = (0.0, 0.13, 0.25, 0.37, 0.48, 0.59, 0.7)
"""How much of the colour each of the seven steps has; the rest is white, the text black."""
_BARS = " ▁▂▃▄▅▆"


def print_heat(found: Mapping[str, Any], console: Console) -> None:
    """Print the question with what each word weighs, and what was cut on trial.

    Args:
        found: What `leaf.report.one_problem.explanation` returns.
        console: Where to; without colours bars stand under the words.
    """
    problem = found["problem"]
    if found["skipped"] or not found["entered"]:
        why = visible(found["skipped"] or "") or "the student solves it, so it was not scored"
        text = _text(problem["units"])
        console.print(Text.assemble("\n", text, "\n", (f"no scores: {why}", "dim")))
        return
    colours = has_colours(console)
    for heat in _maps(problem, colours=colours):
        console.print(Text.assemble("\n", (heat.name, "bold"), "  ", (heat.meaning, "dim")))
        if colours:
            console.print(_text(heat.units, heat, asked=judged_unsolved(problem)))
        else:
            for line in _barred(heat, console.width, asked=judged_unsolved(problem)):
                console.print(line, markup=False, no_wrap=True, crop=False)
    if problem["tried"]:
        legend = "struck through" if colours else "[-so-]"
        legend += ": cut on trial"
        legend += "; ✓ that freed the student, ✗ that did not" * judged_unsolved(problem)
        console.print(Text(legend, "dim"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Map:
    """One heat map."""

    name: str
    meaning: str
    units: Sequence[Mapping[str, Any]]
    value: Callable[[Mapping[str, Any]], float]
    """Of a scored unit, in [-1, 1]: the student's colour below 0, the teacher's above."""
    sign: int = -1
    """Which side of `value` the bars show."""


def _maps(problem: Mapping[str, Any], *, colours: bool) -> Iterator[_Map]:
    """Yield a map of what was ranked; the gradient's tokens have one a model, then the gap."""
    rankings, units = problem["rankings"], problem["units"]
    if any("gap" in unit for unit in units) and by_gradient(problem):
        yield _Map(
            name="Student",
            meaning="how much each word moves its loss on the reference",
            units=units,
            value=lambda unit: -unit["student"],
        )
        yield _Map(
            name="Teacher",
            meaning="the same for the teacher",
            units=units,
            value=lambda unit: float(unit["teacher"]),
            sign=1,
        )
        yield _Map(
            name="Gap",
            meaning="orange: the student leans on it more; blue: the teacher"
            if colours
            else "how much more the student leans on it than the teacher",
            units=units,
            value=lambda unit: float(unit["difference"]),
        )
    for ranking in rankings:
        unit = ranking["unit"]
        yield _Map(
            name=f"Ranked by {visible(ranking['detector'])}, {unit} by {unit}",
            meaning="darker is cut sooner" if colours else "higher bars are cut sooner",
            units=ranking["units"],
            value=lambda unit: -unit["score"],
        )


def has_colours(console: Console) -> bool:
    """Whether colours are shown; under NO_COLOR a terminal still has a system of them."""
    return bool(console.color_system) and not console.no_color


def _signs(units: Sequence[Mapping[str, Any]], *, asked: bool) -> list[tuple[str, str]]:
    """Return what stands before and after each unit: the mark and brackets of a cut."""
    cuts = [unit.get("freed", False) if unit.get("removed") else None for unit in units]
    signs = []
    for at, cut in enumerate(cuts):
        first = at == 0 or cuts[at - 1] is not cut
        last = at + 1 == len(cuts) or cuts[at + 1] is not cut
        sign = ("✓" if cut else "✗") if asked else ""
        opening = f"{sign}[-" if first and cut is not None else ""
        signs.append((opening, "-]" if last and cut is not None else ""))
    return signs


def _text(
    units: Sequence[Mapping[str, Any]], heat: _Map | None = None, *, asked: bool = False
) -> Text:
    text = Text()
    for unit, (opening, _) in zip(units, _signs(units, asked=asked), strict=True):
        style = heat_style(heat.value(unit)) if heat and "removed" in unit else ""
        space, word = parted(unit["text"])
        # A struck space would read as a mark of its own.
        text.append(space, style)
        text.append(opening.removesuffix("[-"), "bold green" if unit.get("freed") else "dim")
        text.append(word, f"{style} strike".strip() if unit.get("removed") else style)
    return text


def parted(text: str) -> tuple[str, str]:
    """Part what is shown of a text into the spaces in front and the rest."""
    word = (shown := visible(text)).lstrip()
    return shown[: len(shown) - len(word)], word


def heat_style(value: float) -> str:
    """Return the colours of a value in [-1, 1]: the student's below 0, the teacher's above."""
    step = level(value)
    if step == 0:
        return ""
    hue, depth = (_STUDENT if step < 0 else _TEACHER), _DEPTHS[abs(step)]
    red, green, blue = (round(255 + depth * (part - 255)) for part in hue)
    return f"black on #{red:02x}{green:02x}{blue:02x}"


def _barred(heat: _Map, width: int, *, asked: bool) -> Iterator[str]:
    """Yield lines of at most `width` cells where words allow it, each with bars under it if any."""
    line, bars = "", ""
    signs = _signs(heat.units, asked=asked)
    for unit, (opening, closing) in zip(heat.units, signs, strict=True):
        step = max(heat.sign * level(heat.value(unit)), 0) if "removed" in unit else 0
        space, word = parted(unit["text"])
        # A sentence may be longer than a line.
        for part in re.findall(r"\n|[^\S\n]*\S+|[^\S\n]+", space + opening + word + closing):
            if part == "\n" or (line and cell_len(line + part) > width):
                yield from filter(None, (line, bars.rstrip()))
                line, bars = "", ""
            shown = part.strip("\n") if line else part.lstrip(" \n")
            line, bars = line + shown, bars + _BARS[step] * cell_len(shown)
    yield from filter(None, (line, bars.rstrip()))
