"""Where the student was distracted: problems as coloured units, and what each change did."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.records import Answer, Counterfactual, Focus, Outcome, Problem, Score, Span, Verdict
from leaf.report.changes import Changes
from leaf.report.plain import TEXT_LIMIT, clipped

PROBLEM_LIMIT = 50
"""Problems shown: those with a verified removal first, those that only took a transplant last."""

HOST_LIMIT = 5
"""Problems shown that only took a transplant: the student had solved them, nothing was removed."""

REMOVAL_LIMIT = 12
"""Removals shown of one problem; kept ones come first."""

TRANSPLANT_LIMIT = 6
"""Transplants shown of one problem; kept ones that the student fails come first."""

CONTEXT = 70
"""Characters shown on each side of a change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a changed question: as it was, removed from it, or inserted."""

    text: str | None
    """None stands for text that is left out here."""
    removed: bool = False
    inserted: bool = False


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


@dataclass(frozen=True, slots=True)
class _Tried:
    """What was done to one problem, or to the beginning of its response."""

    removals: list[Counterfactual]
    transplants: list[Counterfactual]


def distractions(
    *,
    problems: Sequence[Problem],
    segments: Mapping[str, Sequence[Problem]],
    answers: tuple[Sequence[Answer], Sequence[Answer]],
    scores: tuple[Sequence[Score], Sequence[Score]],
    focus: Sequence[Focus],
    changes: Changes | None,
) -> dict[str, Any] | None:
    """Describe up to `PROBLEM_LIMIT` changed problems, those with a verified removal first.

    `answers` and `scores` are the student's, then the teacher's. The response-level problems of
    `segments` come after their own and count beside them. `total` counts problems with removals,
    `hosts` those that only took a transplant. None before pruning.
    """
    if changes is None:
        return None
    tried: dict[str, _Tried] = defaultdict(lambda: _Tried([], []))
    for cut in changes.removals:
        tried[cut.problem_id].removals.append(cut)
    for cut in changes.transplants:
        tried[cut.problem_id].transplants.append(cut)
    focus_of = {one.problem_id: one for one in focus}
    before = {
        model: _Before({a.problem_id: a for a in answered}, {s.problem_id: s for s in scored})
        for model, answered, scored in zip(("student", "teacher"), answers, scores, strict=True)
    }
    every = [each for problem in problems for each in (problem, *segments.get(problem.id, ()))]
    changed = [problem for problem in every if problem.id in tried]
    cut_in = [problem for problem in changed if tried[problem.id].removals]
    hosts = [problem for problem in changed if not tried[problem.id].removals]
    cut_in.sort(key=lambda problem: not changes.kept(tried[problem.id].removals))
    hosts.sort(
        key=lambda problem: min(_rank(changes, cut) for cut in tried[problem.id].transplants)
    )
    last = hosts[:HOST_LIMIT]
    described = [
        {
            **_problem(problem, focus_of.get(problem.id), tried[problem.id], changes),
            "before": {model: said.of(asked) for model, said in before.items()},
        }
        for problem in [*cut_in[: PROBLEM_LIMIT - len(last)], *last]
        for asked in [changes.origins.get(problem.id, problem.id)]
    ]
    return {"total": len(cut_in), "hosts": len(hosts), "problems": described}


def one_problem(
    problem: Problem,
    answers: Sequence[tuple[Answer, Score]],
    focus: Focus | None,
    changes: Changes,
) -> dict[str, Any]:
    """Describe one problem as `distractions` does, with everything that was tried on it.

    Args:
        problem: The only one that `changes` are of.
        answers: The student's answer to the whole question, then the teacher's.
        focus: Its normalised scores; None where it has none.
        changes: What was tried.
    """
    tried = _Tried(list(changes.removals), list(changes.transplants))
    student, teacher = (
        _Before({problem.id: answer}, {problem.id: score}).of(problem.id)
        for answer, score in answers
    )
    return {
        **_problem(problem, focus, tried, changes, limits=(None, None)),
        "before": {"student": student, "teacher": teacher},
    }


def _problem(
    problem: Problem,
    focus: Focus | None,
    tried: _Tried,
    changes: Changes,
    limits: tuple[int | None, int | None] = (REMOVAL_LIMIT, TRANSPLANT_LIMIT),
) -> dict[str, Any]:
    question = problem.question
    removals = sorted(tried.removals, key=lambda cut: not changes.kept([cut]))
    transplants = sorted(tried.transplants, key=lambda cut: _rank(changes, cut))
    verified = changes.verdicts is not None
    return {
        "id": problem.id,
        "level": problem.level,
        "prompt": clipped(problem.prompt) if problem.prompt else None,
        "earlier": clipped(problem.before) if problem.prompt and problem.before else None,
        "answer": problem.answer,
        "units": _units(question, focus, _spans(removals), _spans(changes.kept(removals))),
        "omitted": max(len(question) - TEXT_LIMIT, 0),
        "tried": len(removals),
        "kept": len(changes.kept(removals)) if verified else None,
        "removals": [
            _removal(question, cut, changes.verdict(cut)) for cut in removals[: limits[0]]
        ],
        "transplanted": len(transplants),
        "transplants_kept": len(changes.kept(transplants)),
        "transplants": [
            _transplant(question, cut, changes.verdict(cut)) for cut in transplants[: limits[1]]
        ],
    }


def _rank(changes: Changes, transplant: Counterfactual) -> int:
    """Rank a transplant by what it teaches: 0 kept and the student fails it, 1 kept, 2 neither."""
    verdict = changes.verdict(transplant)
    if verdict is None or not verdict.kept:
        return 2
    return int(verdict.student is Outcome.RIGHT)


def _spans(cuts: Sequence[Counterfactual]) -> list[Span]:
    return [span for cut in cuts for span in cut.spans]


def _units(
    question: str, focus: Focus | None, removed: Sequence[Span], freed: Sequence[Span]
) -> list[dict[str, Any]]:
    """Cut a question into its scored units and the unscored text between them, in order.

    `removed` marks the units that were taken out, `freed` those whose removal was verified.
    """
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
                "removed": any(_overlap(start, end, span) for span in removed),
                "freed": any(_overlap(start, end, span) for span in freed),
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


def _overlap(start: int, end: int, span: Span) -> bool:
    """Whether they share a character; an empty span shares none."""
    return max(start, span.start) < min(end, span.end)


def _removal(question: str, cut: Counterfactual, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "id": cut.id,
        "strategy": cut.strategy,
        "pieces": list(_excerpt(question, cut.spans, _inserted(question, cut))),
        "gap": min((span.gap for span in cut.spans), default=None),
        "units": sum(span.units for span in cut.spans),
        "verdict": verdict and _verdict(verdict),
    }


def _transplant(question: str, cut: Counterfactual, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "id": cut.id,
        "donor": cut.donor,
        "pieces": list(_excerpt(question, cut.spans, _inserted(question, cut))),
        "verdict": verdict and _verdict(verdict),
    }


def _inserted(question: str, cut: Counterfactual) -> str:
    """Return what came in, read off the question: with the spaces that came along."""
    if not cut.inserted:
        return ""
    (span,) = cut.spans
    return cut.question[span.start : len(cut.question) - (len(question) - span.end)]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "student": verdict.student,
        "teacher": verdict.teacher,
        "kept": verdict.kept,
        "reason": verdict.reason,
        "student_text": clipped(verdict.student_text),
        "teacher_text": None if verdict.teacher_text is None else clipped(verdict.teacher_text),
    }


def _excerpt(question: str, spans: Sequence[Span], inserted: str = "") -> Iterator[Piece]:
    """Yield each change and `CONTEXT` characters around it; `inserted` follows the last span."""
    place = 0
    for span in spans:
        yield from _context(question[place : span.start], first=place == 0)
        if span.start < span.end:
            yield Piece(text=question[span.start : span.end][:TEXT_LIMIT], removed=True)
        place = span.end
    if inserted:
        yield Piece(text=inserted[:TEXT_LIMIT], inserted=True)
    rest = question[place:]
    yield Piece(text=_head(rest))
    if len(rest) > CONTEXT:
        yield Piece(text=None)


def _context(text: str, *, first: bool) -> Iterator[Piece]:
    if len(text) <= (CONTEXT if first else 2 * CONTEXT):
        yield Piece(text=text)
        return
    if not first:
        yield Piece(text=_head(text))
    yield Piece(text=None)
    yield Piece(text=_head(text[::-1])[::-1])


def _head(text: str) -> str:
    """Return at most `CONTEXT` characters, ending with a whole word where that is near."""
    if len(text) <= CONTEXT:
        return text
    words = text[:CONTEXT].rpartition(" ")[0]
    return words if len(words) > CONTEXT // 2 else text[:CONTEXT]
