"""From problems to training rows: how many are left after each step."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaf.records import Answer, Attribution, Counterfactual, Outcome, Problem, Score
from leaf.report.changes import Changes

Answers = Sequence[Answer] | None
Scores = Sequence[Score] | None


def steps(
    *,
    problems: Sequence[Problem] | None,
    answers: tuple[Answers, Answers],
    scores: tuple[Scores, Scores],
    attributions: Sequence[Attribution] | None,
    changes: Changes | None,
    origins: Mapping[str, str],
    rows: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Count what is left after each step: `step`, `unit` and `count` (None: not reached).

    `answers` and `scores` are the student's, then the teacher's. Transplants, fillers and the
    response level have steps of their own, where there are some; a problem whose response was cut
    as well is one problem. `origins` maps a response-level problem to the problem it is of, `rows`
    the arms `kd` and `leaf` to the rows that they train on.
    """
    cut = None if changes is None else changes.removals
    kept = None if changes is None or changes.verdicts is None else changes.kept(changes.removals)
    found = (
        ("problems", "problem", None if problems is None else len(problems)),
        ("answered", "problem", _answered_by_both(*answers)),
        ("student_wrong_teacher_right", "problem", _teachable(*scores)),
        ("attributed", "problem", _attributed(attributions, origins)),
        *((("split", "problem", len(set(origins.values()))),) if origins else ()),
        ("with_span", "problem", _problems(changes, cut)),
        ("with_verified", "problem", _problems(changes, kept)),
        ("spans", "removal", None if cut is None else _spans(cut)),
        ("counterfactuals", "removal", None if cut is None else len(cut)),
        ("verified", "removal", None if kept is None else len(kept)),
        *_substitutes(cut, kept),
        *(_in_response(changes, cut or (), kept) if changes and origins else ()),
        *(_transplants(changes) if changes and changes.transplants else ()),
        ("rows_kd", "row", rows.get("kd")),
        ("rows_leaf", "row", rows.get("leaf")),
    )
    return [{"step": step, "unit": unit, "count": count} for step, unit, count in found]


def outcome_table(student: Scores, teacher: Scores) -> dict[str, dict[str, int]] | None:
    """Count problems by the student's outcome (outer key) and the teacher's (inner key)."""
    if student is None or teacher is None:
        return None
    table = {row.value: {column.value: 0 for column in Outcome} for row in Outcome}
    teacher_of = {score.problem_id: score.outcome for score in teacher}
    for score in student:
        if score.problem_id in teacher_of:
            table[score.outcome.value][teacher_of[score.problem_id].value] += 1
    return table


def _problems(changes: Changes | None, cut: Sequence[Counterfactual] | None) -> int | None:
    return None if changes is None or cut is None else len({changes.problem(c) for c in cut})


def _in_response(
    changes: Changes, cut: Sequence[Counterfactual], kept: Sequence[Counterfactual] | None
) -> tuple[tuple[str, str, int | None], ...]:
    """Count what of the removals was done to the beginning of a response."""

    def count(found: Sequence[Counterfactual]) -> int:
        return sum(item.problem_id in changes.origins for item in found)

    return (
        ("in_response", "removal", count(cut)),
        ("in_response_verified", "removal", None if kept is None else count(kept)),
    )


def _spans(cut: Sequence[Counterfactual]) -> int:
    return len({(c.problem_id, span.start, span.end) for c in cut for span in c.spans})


def _substitutes(
    cut: Sequence[Counterfactual] | None, kept: Sequence[Counterfactual] | None
) -> tuple[tuple[str, str, int | None], ...]:
    """Count the fillers among what was tried and verified, where there are some."""
    tried = _filled(cut or ())
    if not tried:
        return ()
    return (
        ("substitutes", "removal", tried),
        ("substitutes_verified", "removal", None if kept is None else _filled(kept)),
    )


def _filled(cut: Sequence[Counterfactual]) -> int:
    return sum(item.strategy == "substitute" for item in cut)


def _transplants(changes: Changes) -> tuple[tuple[str, str, int], ...]:
    kept = changes.kept(changes.transplants)
    verdicts = [changes.verdict(item) for item in kept]
    failed = sum(verdict is not None and verdict.student != Outcome.RIGHT for verdict in verdicts)
    return (
        ("transplants", "transplant", len(changes.transplants)),
        ("transplants_kept", "transplant", len(kept)),
        ("transplants_failed", "transplant", failed),
    )


def _answered_by_both(student: Answers, teacher: Answers) -> int | None:
    if student is None or teacher is None:
        return None
    by_student = {answer.problem_id for answer in student if answer.failure is None}
    by_teacher = {answer.problem_id for answer in teacher if answer.failure is None}
    return len(by_student & by_teacher)


def _teachable(student: Scores, teacher: Scores) -> int | None:
    table = outcome_table(student, teacher)
    return None if table is None else table[Outcome.WRONG.value][Outcome.RIGHT.value]


def _attributed(
    attributions: Sequence[Attribution] | None, origins: Mapping[str, str]
) -> int | None:
    if attributions is None:
        return None
    scored = [item.problem_id for item in attributions if item.skipped is None]
    return len({origins.get(name, name) for name in scored})
