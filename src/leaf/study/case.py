"""A few problems in full: who looks where, and what each student answers (Fig. 2, 11, 12).

Colours are those of `leaf explain`: orange where the student leans, blue where the teacher does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from leaf.errors import StudyError
from leaf.records import Sensitivity
from leaf.report.heat_terminal import heat_style
from leaf.store.arms import arm_of
from leaf.store.ledger import Entry, Variant
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.mass import share_on
from leaf.study.output import written
from leaf.study.paper import differs

CASES = 3
"""Problems that are shown."""

_LONGEST = 300
"""Characters of an answer that are shown."""

_WINDOW = 1500
"""Characters of a longer question that are shown, around what was cut first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer to a problem's question."""

    who: str
    text: str
    right: bool

    @property
    def verdict(self) -> str:
        """For people."""
        return "right" if self.right else "wrong"

    @property
    def clipped(self) -> str:
        """As much of the text as is shown."""
        return self.text if len(self.text) <= _LONGEST else self.text[:_LONGEST] + "…"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One problem with all that is shown of it."""

    entry: Entry
    removed: Variant
    """A verified removal: of several the one with the lowest gap."""
    attention: Mapping[str, Sensitivity]
    """Arm (`kd`, `leaf`) to its attention."""
    replies: tuple[Reply, ...]

    @property
    def removed_text(self) -> str:
        """What was cut."""
        return " … ".join(span.text.strip() for span in self.removed.spans)

    def on_removed(self, arm: str) -> float | None:
        """Return the share of an arm's attention that is on what was cut."""
        found = self.attention[arm]
        return share_on(found.starts, found.ends, found.scores, self.removed.spans)


def case(lab: Lab) -> Finding:
    """Show the verified problems on whose reference the student is worst against the teacher."""
    lab.check_teacher("cases are those on which the student is worst against it")
    run = lab.run({"attribute.controls": []}, until="distill", seed=lab.seeds[0], label="students")
    cases = _cases(run)
    if not cases:
        raise StudyError("no removal was verified, so there is no case to show")
    return Finding(
        study="case",
        says=(
            f"{len(cases)} problems: of those with a verified removal the ones on whose reference "
            "the student's loss is highest above the teacher's. How trained students do on them "
            "played no part.",
            *(_sentence(shown) for shown in cases),
            "One case proves nothing; `leaf study focus-audit` measures all of them.",
        ),
        tables=(_attention(cases), _answers(cases)),
        differs=differs(lab.recipe, "8"),
        text=Text("\n\n").join(map(text_of, cases)),
    )


def _cases(run: Run) -> list[Case]:
    removals = {entry.problem_id: run.verified_removals(entry) for entry in run.entries}
    shown = [entry for entry in worst(run.entries) if removals[entry.problem_id]][:CASES]
    problems = [run.pipeline.detection.problems[entry.problem_id] for entry in shown]
    pairs = [(problem, entry.reference) for problem, entry in zip(problems, shown, strict=True)]
    attention = {arm: run.look(arm, "attention", pairs) for arm in run.results.students}
    graded = {arm: run.answers(arm, problems, "cases") for arm in run.results.students}
    cases = []
    for at, entry in enumerate(shown):
        removed = min(removals[entry.problem_id], key=lambda item: (_gap(item), item.id))
        assert entry.student and removed.student  # noqa: S101 - it was verified
        again = [
            Reply(who=f"{arm_of(arm).title} student", text=answers[at].text, right=scores[at].right)
            for arm, (answers, scores) in graded.items()
        ]
        cases.append(
            Case(
                entry=entry,
                removed=removed,
                attention={arm: every[at] for arm, every in attention.items()},
                replies=(
                    Reply(who="student", text=entry.student.text, right=False),
                    Reply(who="student, once pruned", text=removed.student.text, right=True),
                    *again,
                ),
            )
        )
    return cases


def worst(entries: Sequence[Entry]) -> list[Entry]:
    """Order what was scored by how far the student's loss is above the teacher's, then by id."""
    excess = {
        entry.problem_id: entry.student_loss - entry.teacher_loss
        for entry in entries
        if entry.student_loss is not None and entry.teacher_loss is not None
        if entry.units and entry.units[0].gap is not None
    }
    scored = [entry for entry in entries if entry.problem_id in excess]
    return sorted(scored, key=lambda entry: (-excess[entry.problem_id], entry.problem_id))


def _gap(item: Variant) -> float:
    return min(span.gap for span in item.spans)


def text_of(shown: Case) -> Text:
    """Return a case as coloured text: heat maps, the change of attention, the answers."""
    units = shown.entry.units
    places = [(unit.start, unit.end) for unit in units]
    student = [unit.student or 0.0 for unit in units]
    teacher = [unit.teacher or 0.0 for unit in units]
    gap = [t - s for t, s in zip(teacher, student, strict=True)]
    caption = "student: how strongly each token moves its loss (darker: more)"
    between = "difference: orange where the student leans more, blue where the teacher does"
    return Text("\n").join(
        [
            Text(shown.entry.problem_id, "bold"),
            _map(shown, caption, places, [-value for value in student]),
            _map(shown, "teacher", places, teacher),
            _map(shown, f"{between}; struck: cut", places, gap, struck=True),
            _change_of_attention(shown),
            *(
                Text(f"{reply.who} ({reply.verdict}): {_printable(reply.clipped)}")
                for reply in shown.replies
            ),
        ]
    )


def _change_of_attention(shown: Case) -> Text:
    kd, leaf = shown.attention["kd"], shown.attention["leaf"]
    if kd.skipped or leaf.skipped:
        return Text(f"attention: none, {kd.skipped or leaf.skipped}", _CAPTION)
    # Orange where LeaF looks more, as it is where the student leans in the maps above.
    change = [kd - leaf for kd, leaf in zip(_shares(kd), _shares(leaf), strict=True)]
    most = max(map(abs, change), default=0.0)
    caption = (
        "attention: orange where the LeaF student looks more than the KD student, blue where "
        f"less; strongest: {100 * most:.1f} points"
    )
    values = [value / most if most else 0.0 for value in change]
    return _map(shown, caption, list(zip(kd.starts, kd.ends, strict=True)), values, struck=True)


_CAPTION = "italic #555555"


def _map(
    shown: Case,
    caption: str,
    places: Sequence[tuple[int, int]],
    values: Sequence[float],
    *,
    struck: bool = False,
) -> Text:
    """Return the question under a caption, each place in the colour of its value in [-1, 1]."""
    question, first = shown.entry.question, shown.removed.spans[0]
    low = 0 if len(question) <= _WINDOW else max(0, first.start - _WINDOW // 2)
    high = min(len(question), low + _WINDOW)
    text = Text(_printable(question))
    for (start, end), value in zip(places, values, strict=True):
        text.stylize(heat_style(value), start, end)
    for span in shown.removed.spans if struck else ():
        text.stylize("strike", span.start, span.end)
    lines = [Text(caption, _CAPTION), text[low:high]]
    if low:
        lines.insert(1, Text(f"… {low} characters before", _CAPTION))
    if high < len(question):
        lines.append(Text(f"… {len(question) - high} characters after", _CAPTION))
    return Text("\n").join(lines)


def _printable(text: str) -> str:
    """Give what prints nothing, or turns the text after it round, a character of its own."""
    return "".join(one if one.isprintable() or one == "\n" else "\N{MIDDLE DOT}" for one in text)


def _shares(found: Sensitivity) -> list[float]:
    """Return each unit's share of the question's attention."""
    whole = sum(found.scores)
    return [score / whole if whole else 0.0 for score in found.scores]


def _sentence(shown: Case) -> str:
    by_who = ", ".join(f"{reply.who} {reply.verdict}" for reply in shown.replies)
    kd, leaf = (written(shown.on_removed(arm), "share") for arm in ("kd", "leaf"))
    return (
        f"{shown.entry.problem_id}: without “{shown.removed_text}” the student is right; attention "
        f"on it {kd} by KD, {leaf} by LeaF; {by_who}."
    )


def _attention(cases: Sequence[Case]) -> Table:
    rows = []
    for shown in cases:
        cells: dict[str, Cell] = {
            "removed": shown.removed_text,
            "attention KD": shown.on_removed("kd"),
            "attention LeaF": shown.on_removed("leaf"),
        }
        rows.append(Row(labels={"problem": shown.entry.problem_id}, cells=cells))
    return Table(
        title="What was removed, and the share of the question's attention on it",
        columns={"removed": "text", "attention KD": "share", "attention LeaF": "share"},
        rows=tuple(rows),
    )


def _answers(cases: Sequence[Case]) -> Table:
    return Table(
        title="Answers",
        columns={"verdict": "text", "answer": "text"},
        rows=tuple(
            Row(
                labels={"problem": shown.entry.problem_id, "who": reply.who},
                cells={"verdict": reply.verdict, "answer": reply.clipped},
            )
            for shown in cases
            for reply in shown.replies
        ),
    )
