"""One prompt on a terminal: heat maps, what was tried, what both models answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from leaf.progress import visible
from leaf.report.heat_terminal import has_colours, parted, print_heat
from leaf.report.one_problem import (
    judgement,
    mark,
    put_in_by_kind,
)
from leaf.report.placebos import as_line
from leaf.store.ledger import Entry

_ANSWER_LINES = 12
"""Lines of an answer that are shown; page and ledger have all of them."""
_SHORT_LINES = 3
"""Lines of an answer to a cut that freed nobody."""

_SOURCES = {"transplant": "another problem's distraction", "injection": "a text that says nothing"}
_OUTCOMES = {
    "right": Text("✓ right", "bold green"),
    "wrong": Text("✗ wrong", "bold dark_orange3"),
    "ungradable": Text("? not gradable", "dim"),
    None: Text("– not asked", "dim"),
}


def print_list(
    found: Sequence[Entry], detector: str, console: Console, most: int | None = None
) -> None:
    """Print a line a problem that entered: id, cuts kept, text; count those that only took some.

    Args:
        found: The run's entries.
        detector: Whose cuts count.
        console: Where to.
        most: Lines on a terminal, those with a cut kept first; the rest are counted.
    """
    entered = [entry for entry in found if entry.entered]
    left = 0
    if most is not None and console.is_terminal and len(entered) > most:
        left = len(entered) - most
        kept_first = sorted(entered, key=lambda one: not any(t.kept for t in one.tried(detector)))
        entered = kept_first[:most]
    width = max((cell_len(visible(entry.problem_id)) for entry in entered), default=0)
    cut: Any = {"no_wrap": True, "overflow": "ellipsis"} if console.is_terminal else {}
    for entry in entered:
        tried = entry.tried(detector)
        kept = sum(item.kept for item in tried)
        share = f"{kept} of {len(tried)} kept"
        line = Text.assemble(
            set_cell_size(visible(entry.problem_id), width),
            (f"  {share:<16}", "bold green" if kept else "dim"),
            " ".join(visible(entry.question).split()),
        )
        console.print(line, soft_wrap=not console.is_terminal, **cut)
    if left:
        line = Text(
            f"and {left} more that entered: through a pipe, or with --json, all of them", "dim"
        )
        console.print(line)
    hosts = [entry for entry in found if not entry.entered and entry.tried(detector)]
    if hosts:
        came = sum(any(item.kept for item in entry.tried(detector)) for entry in hosts)
        kinds = {item.kind for entry in hosts for item in entry.put_in(detector)}
        took = "an injection" if kinds == {"injection"} else "a transplant"
        took += " or an injection" * (len(kinds) > 1)
        more = f"and {len(hosts)} more that the student solved, and that took {took}"
        line = Text(f"{more} ({came} with one kept): --json lists them", "dim")
        console.print(line, soft_wrap=not console.is_terminal)


def print_explanation(found: Mapping[str, Any], console: Console) -> None:
    """Print what `leaf.report.one_problem.explanation` returns: heat maps, what was tried, answers.

    Args:
        found: The explanation.
        console: Where to; without colours bars stand under the words.
    """
    problem = found["problem"]
    console.print(
        Rule(Text(" ".join(visible(found["title"]).split()), "bold"), align="left", style="dim")
    )
    verdicts = [
        change["verdict"] or {} for change in (*problem["removals"], *problem["transplants"])
    ]
    roles = [
        role
        for role, answer in problem["before"].items()
        if answer or any(verdict.get(role) for verdict in verdicts)
    ]
    if roles:
        said = Text()
        for role in roles:
            said.append(f"{role} ", "dim")
            answer = problem["before"][role]
            said.append_text(_OUTCOMES[answer and answer["outcome"]])
            said.append(f" ({visible(found['recipe'][role]['model'])})   ", "dim")
        console.print(
            said.append("right answer ", "dim").append(visible(problem["answer"]), "bold")
        )
    _print_context(problem, console)
    print_heat(found, console)
    _print_tried(found, roles, console)
    if roles:
        _print_answers(problem, roles, console)


def _print_context(problem: Mapping[str, Any], console: Console) -> None:
    """Print what stands before the text that is cut: turns, and of a response what it goes on."""
    before = [(turn["role"].capitalize(), turn["said"]) for turn in problem["turns"]]
    before += [("Asked", problem["prompt"]), ("Answered so far", problem["earlier"])]
    for name, text in before:
        if text:
            shown = (visible(text["text"]).strip(), "dim")
            console.print(Text.assemble("\n", (name, "bold"), "\n", shown))
    if not problem["prompt"]:
        return
    goes_on = "goes on with" if problem["earlier"] else "begins with"
    console.print(Text(f"\nThe response {goes_on} what is scored and cut here:", "bold"))


def _print_tried(found: Mapping[str, Any], roles: Sequence[str], console: Console) -> None:
    """Print what was cut and what the models of `roles`, those that were asked, made of it."""
    problem = found["problem"]
    title, verified = "Cuts tried", f"{problem['kept'] or 0} of {problem['tried']} verified"
    student = problem["before"]["student"]
    if problem["kept"] is None:
        title, verified = "Cuts", "not verified yet: look.verify()"
    elif student and student["outcome"] == "right":
        verified = "none can free the student: it is right on the whole question"
    sections = [(title, problem["removals"], verified)]
    for kind, moved in put_in_by_kind(problem).items():
        count = sum(bool(one["verdict"] and one["verdict"]["kept"]) for one in moved)
        if moved:
            said = f"{count} of {len(moved)} kept: {_SOURCES[kind]}, put into this one"
            sections.append((f"{kind.capitalize()}s", moved, said))
    for title, changes, kept in sections:
        if changes or not problem["transplants"]:
            console.print(Text.assemble("\n", (title, "bold"), f"  {kept}"))
            grid = Table.grid(padding=(0, 1))
            for change in changes:
                sign = mark(change)
                style = "bold green" if sign == "✓" else "dim"
                grid.add_row(Text(sign, style), _excerpt(change["pieces"], console))
                if change["verdict"]:
                    grid.add_row("", _verdict(change, roles))
                if change.get("control"):
                    grid.add_row("", Text(visible(as_line(change["control"])), "dim"))
            console.print(grid)
    for refused in found["refused"]:
        cuts = "cut" if refused["count"] == 1 else "cuts"
        line = f"not tried: {refused['count']} {cuts}: {visible(refused['reason'])}"
        console.print(Text(line, "dim"))
    for control in found["controls"]:
        share = f"{control['kept']} of {control['tried']} changed questions kept"
        console.print(Text(f"control {visible(control['detector'])}: {share}", "dim"))


def _verdict(change: Mapping[str, Any], roles: Sequence[str]) -> Text:
    """Say what the models made of a change, in the page's words."""
    outcomes = Text()
    for role in roles:
        outcomes.append(f"{role} ").append_text(_OUTCOMES[change["verdict"][role]]).append("  ")
    name, why = judgement(change)
    donor = f"  from {visible(change['donor'])}" if "donor" in change else ""
    return outcomes.append(f"{name.lower()}: {visible(why)}{donor}", "dim")


def _excerpt(pieces: Sequence[Mapping[str, Any]], console: Console) -> Text:
    text = Text()
    for piece in pieces:
        if piece["text"] is None:
            text.append(" … ", "dim")
            continue
        lead, word = parted(" ".join(piece["text"].splitlines()))
        style = ""
        if piece["removed"]:
            style = "strike dark_orange3"
            word = word if has_colours(console) else f"[-{word}-]"
        elif piece["inserted"]:
            style = "underline dodger_blue2"
            word = word if has_colours(console) else f"{{+{word}+}}"
        text.append(lead).append(word, style)
    return text


def _print_answers(problem: Mapping[str, Any], roles: Sequence[str], console: Console) -> None:
    console.print(Text.assemble("\n", ("Answers", "bold")))
    _print_beside(
        {role: problem["before"][role] for role in roles}, Text("whole question"), console
    )
    for change in [*problem["removals"], *problem["transplants"]]:
        if not change["verdict"]:
            continue
        lines = _ANSWER_LINES if mark(change) == "✓" else _SHORT_LINES
        pieces = [piece for piece in change["pieces"] if piece["removed"] or piece["inserted"]]
        verdict = change["verdict"]
        answers = {
            role: verdict[f"{role}_text"] and {**verdict[f"{role}_text"], "outcome": verdict[role]}
            for role in roles
        }
        _print_beside(answers, _named(pieces, console), console, lines)


def _print_beside(
    answers: Mapping[str, Any], asked: Text, console: Console, most: int = _ANSWER_LINES
) -> None:
    """Print what was asked over the whole width, and below it the answers side by side."""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in answers:
        grid.add_column(ratio=1)
    grid.add_row(
        *(Text.assemble((f"{role} ", "dim"), _answer(said, most)) for role, said in answers.items())
    )
    console.print(asked)
    console.print(Padding(grid, (0, 0, 0, 2)))


def _named(pieces: Sequence[Mapping[str, Any]], console: Console) -> Text:
    """Name a change in the page's words: `without ...`, `with ... instead of ...`."""
    gone, come = (
        Text(", ").join(
            _excerpt([{**piece, "text": piece["text"].strip()}], console)
            for piece in pieces
            if piece[kind]
        )
        for kind in ("removed", "inserted")
    )
    if not come:
        return Text.assemble("without ", gone)
    text = Text.assemble("with ", come)
    return text.append(" instead of ").append_text(gone) if gone else text


def _answer(said: Mapping[str, Any] | None, most: int = _ANSWER_LINES) -> Text:
    if said is None:
        return _OUTCOMES[None]
    lines = visible(said["text"]).strip().splitlines()
    why = f": {visible(said['why'])}" if said.get("why") else ""
    text = Text.assemble(_OUTCOMES[said["outcome"]], (why, "dim"), "\n", "\n".join(lines[:most]))
    if len(lines) > most or said["omitted"]:
        text.append("\n… the rest is in the ledger and on the page (--html)", "dim")
    return text
