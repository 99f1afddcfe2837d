"""From problems to training rows: how many are left after each step."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leaf.records import Outcome
from leaf.store.ledger import Entry, Variant
from leaf.store.results import Graded, Results

NOT_ASKED = "not asked"
"""What became of a problem that the teacher did not have to answer."""

Change = tuple[Entry, Variant]
"""A changed question, and the problem that it is of."""


def changes(entries: Sequence[Entry], detector: str, kind: str) -> list[Change]:
    """Return what one detector led to that is of one `Variant.kind`."""
    return [(entry, item) for entry in entries for item in entry.made(detector, kind)]


def origins(found: Sequence[Change]) -> set[str]:
    """Return the problems that were asked, whichever of their texts was changed."""
    return {entry.origin for entry, _ in found}


def steps(
    results: Results,
    entries: Sequence[Entry],
    detector: str,
    rows: Mapping[str, int],
    baseline: str = "kd",
) -> list[dict[str, Any]]:
    """Count what is left after each step: `step`, `unit` and `count` (None: not reached).

    Transplants, fillers and the response level have steps of their own, where there are some; a
    problem whose response was cut as well is one problem. `rows` maps `baseline` and `leaf` to the
    rows that they train on. Without a teacher the student alone says who enters.
    """
    cut = changes(entries, detector, "removal") if results.cuts else None
    kept = None
    if cut is not None and results.cuts[detector].verdicts is not None:
        kept = [(entry, item) for entry, item in cut if item.kept]
    scored = [entry for entry in entries if entry.entered and not entry.skipped]
    split = {entry.origin for entry in entries if entry.prompt}
    asked = results.attributions is not None
    counts: list[tuple[str, str, int | None]] = [
        ("problems", "problem", None if results.problems is None else len(results.problems)),
        ("answered", "problem", _answered(results)),
        (entry_step(alone=results.alone), "problem", _entered(results)),
        *_by_kind(results),
        ("attributed", "problem", len({entry.origin for entry in scored}) if asked else None),
    ]
    if split:
        counts.append(("split", "problem", len(split)))
    counts += [
        ("with_span", "problem", None if cut is None else len(origins(cut))),
        ("with_verified", "problem", None if kept is None else len(origins(kept))),
        ("spans", "removal", None if cut is None else _spans(cut)),
        ("counterfactuals", "removal", None if cut is None else len(cut)),
        ("verified", "removal", None if kept is None else len(kept)),
    ]
    if tried := _filled(cut or ()):
        counts.append(("substitutes", "removal", tried))
        counts.append(("substitutes_verified", "removal", None if kept is None else _filled(kept)))
    if cut is not None and split:
        counts.append(("in_response", "removal", _within(cut)))
        counts.append(("in_response_verified", "removal", None if kept is None else _within(kept)))
    for kind in ("transplant", "injection"):
        moved = [item for _, item in changes(entries, detector, kind)]
        counts += [(f"{kind}s{name}", kind, count) for name, count in _put_in(moved)]
    counts += [(f"rows_{arm}", "row", rows.get(arm)) for arm in (baseline, "leaf")]
    return [{"step": step, "unit": unit, "count": count} for step, unit, count in counts]


def _put_in(moved: Sequence[Variant]) -> Iterator[tuple[str, int]]:
    """Count what was put in: in all, kept, what the student fails of that; and what a sample was.

    A sample is what the teacher was asked about, where that is not everything.
    """
    if not moved:
        return
    passed = [item for item in moved if item.kept]
    failed = [item for item in passed if item.student and item.student.outcome != "right"]
    asked = [item.teacher for item in moved if item.teacher]
    yield "", len(moved)
    if asked and (len(asked) < len(moved) or moved[0].kind == "injection"):
        yield "_asked", len(asked)
        yield "_refused", sum(said.outcome != "right" for said in asked)
    yield "_kept", len(passed)
    if any(item.student for item in passed):
        yield "_failed", len(failed)


def entry_step(*, alone: bool) -> str:
    """Return the name of the step that counts what enters detection."""
    return "student_wrong" if alone else "student_wrong_teacher_right"


def outcome_table(
    student: Graded | None, teacher: Graded | None, *, alone: bool = False
) -> dict[str, dict[str, int]] | None:
    """Count problems by the student's outcome (outer key) and the teacher's (inner key).

    A teacher that was not asked about all of them has `not asked` besides; `alone`, without a
    teacher, the inner key is `all`.
    """
    if student is not None and alone:
        counts = Counter(score.outcome for score in student[1])
        return {row.value: {"all": counts[row]} for row in Outcome}
    if student is None or teacher is None:
        return None
    teacher_of = {score.problem_id: score.outcome.value for score in teacher[1]}
    columns = [column.value for column in Outcome]
    if len(teacher_of) < len(student[1]):
        columns.append(NOT_ASKED)
    table = {row.value: dict.fromkeys(columns, 0) for row in Outcome}
    for score in student[1]:
        table[score.outcome.value][teacher_of.get(score.problem_id, NOT_ASKED)] += 1
    return table


def _spans(found: Sequence[Change]) -> int:
    return len({(e.problem_id, span.start, span.end) for e, item in found for span in item.spans})


def _within(found: Sequence[Change]) -> int:
    """Count what was done to the beginning of a response."""
    return sum(bool(entry.prompt) for entry, _ in found)


def _filled(found: Sequence[Change]) -> int:
    return sum(item.strategy == "substitute" for _, item in found)


def _answered(results: Results) -> int | None:
    """Count the problems that every model answered which was asked."""
    models = (results.student,) if results.alone else (results.student, results.teacher)
    if not results.problems or None in models:
        return None
    failed = {
        answer.problem_id
        for graded in models
        if graded
        for answer in graded[0]
        if answer.failure is not None
    }
    return len(results.problems) - len(failed)


def _by_kind(results: Results) -> Iterator[tuple[str, str, int | None]]:
    """Yield how many entered by each way to fail, where not all were graded wrong."""
    kinds = Counter((results.entered or {}).values())
    if set(kinds) - {"wrong"}:
        for kind in ("wrong", "no answer", "cut"):
            yield f"entered_{kind.replace(' ', '_')}", "problem", kinds[kind]


def _entered(results: Results) -> int | None:
    if results.entered is not None:
        return len(results.entered)
    table = outcome_table(results.student, results.teacher, alone=results.alone)
    right = "all" if results.alone else Outcome.RIGHT.value
    return None if table is None else table[Outcome.WRONG.value][right]
