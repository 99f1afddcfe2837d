"""Where the student was distracted: problems as coloured units, and what each removal did."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.records import Answer, Counterfactual, Focus, Problem, Score, Span, Verdict
from leaf.report.plain import TEXT_LIMIT, clipped

PROBLEM_LIMIT = 50
"""Problems shown; those with a verified removal come first."""

REMOVAL_LIMIT = 12
"""Removals shown of one problem; kept ones come first."""

CONTEXT = 70
"""Characters shown on each side of a removed span."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What one model wrote for the whole problems."""

    answers: dict[str, Answer]
    scores: dict[str, Score]

    def of(self, problem_id: str) -> dict[str, Any] | None:
        answer, score = self.answers.get(problem_id), self.scores.get(problem_id)
        if answer is None:
            return None
        return {
            **clipped(answer.failure or answer.text),
            "truncated": answer.truncated,
            "outcome": score and score.outcome,
            "extracted": score and score.extracted,
        }


def distractions(
    *,
    problems: Sequence[Problem],
    answers: tuple[Sequence[Answer], Sequence[Answer]],
    scores: tuple[Sequence[Score], Sequence[Score]],
    focus: Sequence[Focus],
    counterfactuals: Sequence[Counterfactual] | None,
    verdicts: Sequence[Verdict] | None,
) -> dict[str, Any] | None:
    """Describe up to `PROBLEM_LIMIT` problems that have counterfactuals, verified ones first.

    `answers` and `scores` are the student's, then the teacher's. None before pruning.
    """
    if counterfactuals is None:
        return None
    cuts: dict[str, list[Counterfactual]] = defaultdict(list)
    for cut in counterfactuals:
        if cut.skipped is None:
            cuts[cut.problem_id].append(cut)
    verdict_of = {verdict.counterfactual_id: verdict for verdict in verdicts or ()}
    focus_of = {one.problem_id: one for one in focus}
    student, teacher = (
        _Before({a.problem_id: a for a in answered}, {s.problem_id: s for s in scored})
        for answered, scored in zip(answers, scores, strict=True)
    )
    shown = [problem for problem in problems if problem.id in cuts]
    ranked = sorted(shown, key=lambda problem: not _kept(cuts[problem.id], verdict_of))
    described = [
        {
            **_problem(problem, focus_of.get(problem.id), cuts[problem.id], verdict_of),
            "kept": None if verdicts is None else _kept(cuts[problem.id], verdict_of),
            "before": {"student": student.of(problem.id), "teacher": teacher.of(problem.id)},
        }
        for problem in ranked[:PROBLEM_LIMIT]
    ]
    return {"total": len(shown), "problems": described}


def _problem(
    problem: Problem,
    focus: Focus | None,
    cuts: Sequence[Counterfactual],
    verdict_of: dict[str, Verdict],
) -> dict[str, Any]:
    order = sorted(cuts, key=lambda cut: not _kept([cut], verdict_of))
    return {
        "id": problem.id,
        "answer": problem.answer,
        "units": _units(problem.question, focus, [span for cut in cuts for span in cut.spans]),
        "omitted": max(len(problem.question) - TEXT_LIMIT, 0),
        "tried": len(cuts),
        "removals": [
            _removal(problem.question, cut, verdict_of.get(cut.id)) for cut in order[:REMOVAL_LIMIT]
        ],
    }


def _kept(cuts: Sequence[Counterfactual], verdict_of: dict[str, Verdict]) -> int:
    return sum(cut.id in verdict_of and verdict_of[cut.id].kept for cut in cuts)


def _units(question: str, focus: Focus | None, spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Cut a question into its scored units and the unscored text between them, in order."""
    pieces: list[dict[str, Any]] = []
    place = 0
    for start, end, teacher, student, gap in _scored(focus):
        if start >= TEXT_LIMIT:
            break
        pieces.append({"text": question[place:start]})
        pieces.append(
            {
                "text": question[start : min(end, TEXT_LIMIT)],
                "teacher": teacher,
                "student": student,
                "difference": teacher - student,
                "gap": gap,
                "removed": any(start < span.end and span.start < end for span in spans),
            }
        )
        place = end
    pieces.append({"text": question[place:TEXT_LIMIT]})
    return [piece for piece in pieces if piece["text"]]


def _scored(focus: Focus | None) -> Iterator[tuple[int, int, float, float, float]]:
    if focus is not None:
        yield from zip(
            focus.starts, focus.ends, focus.teacher, focus.student, focus.gap, strict=True
        )


def _removal(question: str, cut: Counterfactual, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "id": cut.id,
        "strategy": cut.strategy,
        "pieces": list(_excerpt(question, cut.spans)),
        "gap": min((span.gap for span in cut.spans), default=None),
        "units": sum(span.units for span in cut.spans),
        "verdict": verdict and _verdict(verdict),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "student": verdict.student,
        "teacher": verdict.teacher,
        "kept": verdict.kept,
        "reason": verdict.reason,
        "student_text": clipped(verdict.student_text),
        "teacher_text": None if verdict.teacher_text is None else clipped(verdict.teacher_text),
    }


def _excerpt(question: str, spans: Sequence[Span]) -> Iterator[dict[str, Any]]:
    """Yield removed spans and `CONTEXT` characters around each; None stands for text left out."""
    place = 0
    for span in spans:
        yield from _context(question[place : span.start], first=place == 0)
        yield {"text": question[span.start : span.end][:TEXT_LIMIT], "removed": True}
        place = span.end
    rest = question[place:]
    yield {"text": _head(rest), "removed": False}
    if len(rest) > CONTEXT:
        yield {"text": None, "removed": False}


def _context(text: str, *, first: bool) -> Iterator[dict[str, Any]]:
    if len(text) <= (CONTEXT if first else 2 * CONTEXT):
        yield {"text": text, "removed": False}
        return
    if not first:
        yield {"text": _head(text), "removed": False}
    yield {"text": None, "removed": False}
    yield {"text": _head(text[::-1])[::-1], "removed": False}


def _head(text: str) -> str:
    """Return at most `CONTEXT` characters, ending with a whole word where that is near."""
    if len(text) <= CONTEXT:
        return text
    words = text[:CONTEXT].rpartition(" ")[0]
    return words if len(words) > CONTEXT // 2 else text[:CONTEXT]
