"""One prompt on a terminal: three heat maps, what was tried, what both models answered.

Colours are the page's: orange where the student leans, blue where the teacher does. Without colours
a row of bars under each line says the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from leaf.report.formats import level, visible
from leaf.report.one_problem import Explanation
from leaf.store.ledger import Entry

_STUDENT, _TEACHER = (213, 94, 0), (0, 114, 178)
_DEPTHS = (0.0, 0.13, 0.25, 0.37, 0.48, 0.59, 0.7)
"""How much of the colour each of the seven steps has; the rest is white, the text black."""
_BARS = " ▁▂▃▄▅▆"
_ANSWER_LINES = 12
"""Lines of an answer that are shown; page and ledger have all of them."""

_OUTCOMES = {
    "right": Text("✓ right", "bold green"),
    "wrong": Text("✗ wrong", "bold dark_orange3"),
    "ungradable": Text("? not gradable", "dim"),
    None: Text("– not asked", "dim"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """One heat map."""

    name: str
    meaning: str
    """In words, where there are colours."""
    bars: str
    """In words, where there are none."""
    value: Callable[[Mapping[str, Any]], float]
    """Of a scored unit, in [-1, 1]: the student's colour below 0, the teacher's above."""
    sign: int
    """Which side of `value` the bars show."""


_VIEWS = (
    _View(
        name="Student",
        meaning="how much each word moves its loss on the reference",
        bars="how much each word moves its loss on the reference",
        value=lambda unit: -unit["student"],
        sign=-1,
    ),
    _View(
        name="Teacher",
        meaning="the same for the teacher",
        bars="the same for the teacher",
        value=lambda unit: unit["teacher"],
        sign=1,
    ),
    _View(
        name="Gap",
        meaning="orange: the student leans on it more; blue: the teacher",
        bars="how much more the student leans on it than the teacher",
        value=lambda unit: unit["difference"],
        sign=-1,
    ),
)


def print_list(found: Sequence[Entry], detector: str, console: Console) -> None:
    """Print one line an entry: its id, how many changed prompts were kept, what was cut in."""
    width = max((cell_len(visible(entry.problem_id)) for entry in found), default=0)
    cut: Any = {"no_wrap": True, "overflow": "ellipsis"} if console.is_terminal else {}
    for entry in found:
        tried = entry.tried(detector)
        kept = sum(item.kept for item in tried)
        share = f"{kept} of {len(tried)} kept"
        line = Text.assemble(
            set_cell_size(visible(entry.problem_id), width),
            (f"  {share:<16}", "bold green" if kept else "dim"),
            " ".join(visible(entry.question).split()),
        )
        console.print(line, soft_wrap=not console.is_terminal, **cut)


def print_explanation(found: Explanation, console: Console) -> None:
    """Print one prompt: heat maps, what was tried, and the answers before and after."""
    problem = found.problem
    before = problem["before"]
    console.print(
        Rule(Text(" ".join(visible(problem["id"]).split()), "bold"), align="left", style="dim")
    )
    console.print(
        Text.assemble(
            ("student ", "dim"),
            _OUTCOMES[before["student"]["outcome"]],
            (f" ({visible(found.recipe['student']['model'])})   teacher ", "dim"),
            _OUTCOMES[before["teacher"]["outcome"]],
            (f" ({visible(found.recipe['teacher']['model'])})   answer ", "dim"),
            (visible(problem["answer"]), "bold"),
        )
    )
    _print_heat(found, console)
    changes = [*problem["removals"], *problem["transplants"]]
    _print_tried(found, changes, console)
    _print_answers(before, changes, console)


def _print_heat(found: Explanation, console: Console) -> None:
    units = found.problem["units"]
    if found.problem["prompt"]:
        _print_context(found.problem, console)
    if found.skipped or not found.entered:
        why = visible(found.skipped or "") or "the student solves it, so it was not scored"
        console.print(Text.assemble("\n", _text(units), "\n", (f"no scores: {why}", "dim")))
        return
    for view in _VIEWS:
        meaning = view.meaning if console.color_system else view.bars
        console.print(Text.assemble("\n", (view.name, "bold"), "  ", (meaning, "dim")))
        if console.color_system:
            console.print(_text(units, view))
        else:
            for line in _barred(units, view, console.width):
                console.print(line, markup=False, no_wrap=True, crop=False)
    said = "underlined: taken out of some prompt; struck through: one of those was verified"
    if not console.color_system:
        said = "[-so-]: taken out of a prompt that was verified"
    console.print(Text(said, "dim"))


def _print_context(problem: Mapping[str, Any], console: Console) -> None:
    """Print what stands before a segment of a response: the message, and the response so far."""
    before = [("Asked", problem["prompt"]), ("Answered so far", problem["earlier"])]
    for name, text in before:
        if text:
            shown = visible(text["text"]).strip()
            console.print(Text.assemble("\n", (name, "bold"), "\n", (shown, "dim")))
    goes_on = "goes on with" if problem["earlier"] else "begins with"
    console.print(Text(f"\nThe response {goes_on} what is scored and cut here:", "bold"))


def _text(units: Sequence[Mapping[str, Any]], view: _View | None = None) -> Text:
    text = Text()
    for unit in units:
        style = _style(view.value(unit)) if view and "gap" in unit else ""
        space, word = _parted(unit["text"])
        # A struck or underlined space would read as a mark of its own.
        text.append(space, style)
        marks = " underline" * unit.get("removed", False) + " strike" * unit.get("freed", False)
        text.append(word, (style + marks).strip())
    return text


def _parted(text: str) -> tuple[str, str]:
    """Part what is shown of a text into the spaces in front and the rest."""
    shown = visible(text)
    word = shown.lstrip()
    return shown[: len(shown) - len(word)], word


def _style(value: float) -> str:
    """Return the colours of a value in [-1, 1]: the student's below 0, the teacher's above."""
    step = level(value)
    if step == 0:
        return ""
    hue, depth = (_STUDENT if step < 0 else _TEACHER), _DEPTHS[abs(step)]
    red, green, blue = (round(255 + depth * (part - 255)) for part in hue)
    return f"black on #{red:02x}{green:02x}{blue:02x}"


def _barred(units: Sequence[Mapping[str, Any]], view: _View, width: int) -> Iterator[str]:
    """Yield lines of at most `width` cells where units allow it, each with its bars under it."""
    line, bars = "", ""
    freed = [False, *(unit.get("freed", False) for unit in units), False]
    for at, unit in enumerate(units, start=1):
        step = max(view.sign * level(view.value(unit)), 0) if "gap" in unit else 0
        space, word = _parted(unit["text"])
        opening = "[-" if freed[at] and not freed[at - 1] else ""
        closing = "-]" if freed[at] and not freed[at + 1] else ""
        text = space + opening + word + closing
        first, *rest = text.split("\n")
        if line and cell_len(line + first) > width:
            yield from (line, bars.rstrip())
            line, bars, first = "", "", first.lstrip(" ")
        line, bars = line + first, bars + _BARS[step] * cell_len(first)
        for after in rest:
            yield from (line, bars.rstrip())
            line, bars = after, _BARS[step] * cell_len(after)
    yield from (line, bars.rstrip())


def _print_tried(
    found: Explanation, changes: Sequence[Mapping[str, Any]], console: Console
) -> None:
    problem = found.problem
    kept = (problem["kept"] or 0) + problem["transplants_kept"]
    console.print(
        Text.assemble("\n", ("Tried", "bold"), f"  {kept} of {len(changes)} changed prompts kept")
    )
    grid = Table.grid(padding=(0, 1))
    for change in changes:
        verdict = change["verdict"]
        mark = Text("✓", "bold green") if verdict["kept"] else Text("✗", "dim")
        why = visible(verdict["reason"])
        if verdict["kept"] and why == "kept":
            why = "both right" if "donor" not in change else "teacher still right"
        said = Text.assemble(
            "student ",
            _OUTCOMES[verdict["student"]],
            "  teacher ",
            _OUTCOMES[verdict["teacher"]],
            (f"  {why}", "dim"),
        )
        grid.add_row(mark, _excerpt(change["pieces"], console))
        grid.add_row("", said)
    console.print(grid)
    for refused in found.refused:
        plural = "s" * (refused.count != 1)
        line = f"not tried: {refused.count} span{plural}: {visible(refused.reason)}"
        console.print(Text(line, "dim"))
    for control in found.controls:
        share = f"{control.kept} of {control.tried} changed prompts kept"
        console.print(Text(f"control {visible(control.detector)}: {share}", "dim"))


def _excerpt(pieces: Sequence[Mapping[str, Any]], console: Console) -> Text:
    text = Text()
    for piece in pieces:
        if piece["text"] is None:
            text.append(" … ", "dim")
            continue
        lead, word = _parted(" ".join(piece["text"].splitlines()))
        style = ""
        if piece["removed"]:
            style = "strike dark_orange3"
            word = word if console.color_system else f"[-{word}-]"
        elif piece["inserted"]:
            style = "underline dodger_blue2"
            word = word if console.color_system else f"{{+{word}+}}"
        text.append(lead).append(word, style)
    return text


def _print_answers(
    before: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], console: Console
) -> None:
    console.print(Text.assemble("\n", ("Answers", "bold")))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="dim", expand=True)
    for name, ratio in (("", 1), ("student", 2), ("teacher", 2)):
        table.add_column(name, ratio=ratio)
    table.add_row("whole question", *(_answer(before[role]) for role in ("student", "teacher")))
    for change in changes:
        verdict = change["verdict"]
        if verdict["kept"]:
            pieces = [piece for piece in change["pieces"] if piece["removed"] or piece["inserted"]]
            said = (
                text and {**text, "outcome": verdict[role]}
                for role, text in (
                    ("student", verdict["student_text"]),
                    ("teacher", verdict["teacher_text"]),
                )
            )
            table.add_row(_named(pieces, console), *map(_answer, said))
    console.print(table)


def _named(pieces: Sequence[Mapping[str, Any]], console: Console) -> Text:
    """Name a change in a few words: `without ...`, `with ...`."""
    excerpt = _excerpt(pieces, console)
    word = "with" if any(piece["inserted"] for piece in pieces) else "without"
    text = Text(f"{word}{'' if excerpt.plain.startswith(' ') else ' '}")
    return text.append_text(excerpt)


def _answer(said: Mapping[str, Any] | None) -> Text:
    if said is None:
        return _OUTCOMES[None]
    lines = visible(said["text"]).strip().splitlines()
    text = Text.assemble(_OUTCOMES[said["outcome"]], "\n", "\n".join(lines[:_ANSWER_LINES]))
    if len(lines) > _ANSWER_LINES or said["omitted"]:
        text.append("\n… the rest is in the ledger and on the page (--html)", "dim")
    return text
