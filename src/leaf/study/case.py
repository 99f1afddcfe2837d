"""A few problems in full: who looks where, and what each student answers (Fig. 2, 11, 12)."""

from collections.abc import Sequence
from dataclasses import dataclass

from leaf.errors import StudyError
from leaf.records import (
    Attribution,
    Counterfactual,
    NormalisedScores,
    Problem,
    Sensitivity,
    Verdict,
)
from leaf.store.work import About
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.focus_audit import sources_of
from leaf.study.lab import Lab, Run
from leaf.study.mass import share_on
from leaf.study.output import written
from leaf.study.paper import differs
from leaf.study.tinted import Line, draw_lines_of_text, plain, size_of, tinted

CASES = 3
"""Problems that are shown."""

_LONGEST = 300
"""Characters of an answer that are shown."""

_WINDOW = 1500
"""Characters of a longer question that are shown, around what was cut first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One answer to a problem's question."""

    who: str
    text: str
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One problem with all that is shown of it."""

    problem: Problem
    focus: NormalisedScores
    removed: Counterfactual
    """A verified removal: of several the one with the lowest gap."""
    attention: dict[str, Sensitivity]
    """Arm (`kd`, `leaf`) to its attention."""
    said: tuple[Said, ...]


def case(lab: Lab) -> Finding:
    """Show the verified problems on whose reference the student is worst against the teacher."""
    run = lab.run({"attribute.controls": []}, until="distill", seed=lab.seeds[0], label="students")
    found = _cases(run)
    if not found:
        raise StudyError("no removal was verified, so there is no case to show")
    lines = [line for one in found for line in lines_of_case(one)]
    return Finding(
        study="case",
        says=(
            f"{len(found)} problems: of those with a verified removal the ones on whose reference "
            "the student's loss is highest above the teacher's. How trained students do on them "
            "played no part.",
            *(_sentence(one) for one in found),
            "One case proves nothing; `leaf study focus-audit` measures all of them.",
        ),
        tables=(_attention(found), _answers(found)),
        differs=differs(lab.recipe, "8"),
        draw=lambda figure: draw_lines_of_text(figure, lines),
        size=size_of(lines),
    )


def _cases(run: Run) -> list[Case]:
    results, detection, session = run.results, run.pipeline.detection, run.pipeline.session
    cuts = results.cuts[run.recipe.attribute.detector]
    removed: dict[str, Counterfactual] = {}
    for item in sorted(cuts.kept, key=lambda item: (_gap(item), item.id)):
        if item.strategy in {"span", "collective"} and item.problem_id in detection.problems:
            removed.setdefault(item.problem_id, item)
    focus = {item.problem_id: item for item in results.focus or ()}
    verdicts = {verdict.counterfactual_id: verdict for verdict in cuts.verdicts or ()}
    shown = [item for item in worst(results.attributions or ()) if item.problem_id in removed]
    shown = [item for item in shown if item.problem_id in focus][:CASES]
    problems = [detection.problems[item.problem_id] for item in shown]
    pairs = [(problem, item.reference) for problem, item in zip(problems, shown, strict=True)]
    students = {arm: source for arm, source in sources_of(run).items() if source is not None}
    attention = {
        arm: session.sensitivities("student", "attention", pairs, source=source)
        for arm, source in students.items()
    }
    again = {
        arm: session.answers(run.recipe.student, source, problems, About(role=arm, asked="cases"))
        for arm, source in students.items()
    }
    assert results.student is not None  # noqa: S101 - `until` says so
    before = {answer.problem_id: answer.text for answer in results.student[0]}
    return [
        Case(
            problem=problem,
            focus=focus[problem.id],
            removed=removed[problem.id],
            attention={arm: found[at] for arm, found in attention.items()},
            said=(
                Said(who="student", text=before[problem.id], right=False),
                *_once_pruned(verdicts[removed[problem.id].id]),
                *(
                    Said(who=_NAMES[arm], text=answers[at].text, right=scores[at].right)
                    for arm, (answers, scores) in again.items()
                ),
            ),
        )
        for at, problem in enumerate(problems)
    ]


_NAMES = {"kd": "KD student", "leaf": "LeaF student"}


def worst(attributions: Sequence[Attribution]) -> list[Attribution]:
    """Order by how far the student's loss on the reference is above the teacher's, then by id."""
    scored = [item for item in attributions if not item.skipped]
    return sorted(scored, key=lambda item: (item.teacher_loss - item.student_loss, item.problem_id))


def _gap(item: Counterfactual) -> float:
    return min(span.gap for span in item.spans)


def _once_pruned(verdict: Verdict) -> tuple[Said, ...]:
    return (Said(who="student, once pruned", text=verdict.student_text, right=True),)


def lines_of_case(one: Case) -> list[Line]:
    """Return a case as lines of a picture: heat maps, the change of attention, the answers."""
    focus = one.focus
    # Orange is what LeaF is to unlearn, as orange below is where it looks more than KD.
    more = [ours - theirs for theirs, ours in zip(focus.teacher, focus.student, strict=True)]
    lines = plain(one.problem.id, "title")
    lines += plain("student: how strongly each token moves its loss (darker: more)", "caption")
    lines += _map(one, focus, focus.student)
    lines += plain("teacher", "caption")
    lines += _map(one, focus, focus.teacher)
    title = "difference: orange where the student leans more, purple where the teacher does"
    lines += plain(f"{title}; struck: cut", "caption")
    lines += _map(one, focus, more, struck=True)
    lines += _change_of_attention(one)
    for said in one.said:
        verdict = "right" if said.right else "wrong"
        lines += plain(f"{said.who} ({verdict}): {_clipped(said.text)}")
    return [*lines, Line(pieces=())]


def _change_of_attention(one: Case) -> list[Line]:
    kd, leaf = one.attention["kd"], one.attention["leaf"]
    if kd.skipped or leaf.skipped:
        return plain(f"attention: none, {kd.skipped or leaf.skipped}", "caption")
    change = [b - a for a, b in zip(_shares(kd), _shares(leaf), strict=True)]
    most = max(map(abs, change), default=0.0)
    title = (
        "attention: orange where the LeaF student looks more than the KD student, purple where "
        f"less; strongest: {100 * most:.1f} points"
    )
    values = [value / most if most else 0.0 for value in change]
    return plain(title, "caption") + _map(one, kd, values, struck=True)


def _map(
    one: Case,
    units: NormalisedScores | Sensitivity,
    values: Sequence[float],
    *,
    struck: bool = False,
) -> list[Line]:
    """Return the question in colour; with `struck`, values have a sign and the cut is struck."""
    question, first = one.problem.question, one.removed.spans[0]
    low = 0 if len(question) <= _WINDOW else max(0, first.start - _WINDOW // 2)
    high = min(len(question), low + _WINDOW)
    inside = [
        (start - low, end - low, value)
        for start, end, value in zip(units.starts, units.ends, values, strict=True)
        if low <= start and end <= high
    ]
    lines = tinted(
        question[low:high],
        [start for start, _, _ in inside],
        [end for _, end, _ in inside],
        [value for _, _, value in inside],
        struck=[
            (max(span.start, low) - low, min(span.end, high) - low)
            for span in one.removed.spans
            if struck and max(span.start, low) < min(span.end, high)
        ],
        diverging=struck,
    )
    before = plain(f"… {low} characters before", "caption") if low else []
    after = plain(f"… {len(question) - high} characters after", "caption")
    return [*before, *lines, *(after if high < len(question) else [])]


def _shares(found: Sensitivity) -> list[float]:
    """Return each unit's share of the question's attention."""
    whole = sum(found.scores)
    return [score / whole if whole else 0.0 for score in found.scores]


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _removed_text(one: Case) -> str:
    return " … ".join(span.text.strip() for span in one.removed.spans)


def _share(one: Case, arm: str) -> float | None:
    found = one.attention[arm]
    return share_on(found.starts, found.ends, found.scores, one.removed.spans)


def _sentence(one: Case) -> str:
    by_who = ", ".join(f"{said.who} {'right' if said.right else 'wrong'}" for said in one.said)
    kd, leaf = (written(_share(one, arm), "share") for arm in ("kd", "leaf"))
    return (
        f"{one.problem.id}: without “{_removed_text(one)}” the student is right; attention on it "
        f"{kd} by KD, {leaf} by LeaF; {by_who}."
    )


def _attention(found: Sequence[Case]) -> Table:
    rows = []
    for one in found:
        cells: dict[str, Cell] = {
            "removed": _removed_text(one),
            "attention KD": _share(one, "kd"),
            "attention LeaF": _share(one, "leaf"),
        }
        rows.append(Row(labels={"problem": one.problem.id}, cells=cells))
    return Table(
        title="What was removed, and the share of the question's attention on it",
        columns={"removed": "text", "attention KD": "share", "attention LeaF": "share"},
        rows=tuple(rows),
    )


def _answers(found: Sequence[Case]) -> Table:
    rows = [
        Row(
            labels={"problem": one.problem.id, "who": said.who},
            cells={"verdict": "right" if said.right else "wrong", "answer": _clipped(said.text)},
        )
        for one in found
        for said in one.said
    ]
    return Table(
        title="Answers",
        columns={"verdict": "text", "answer": "text"},
        rows=tuple(rows),
    )
