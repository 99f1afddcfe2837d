"""Where the student was distracted: problems as coloured units, and what each change did."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.records import (
    Answer,
    Counterfactual,
    NormalisedScores,
    Outcome,
    Problem,
    Score,
    Span,
    Verdict,
)
from leaf.report.changes import Changes
from leaf.report.excerpts import excerpt
from leaf.report.plain import TEXT_LIMIT, clipped

REMOVAL_LIMIT = 12
"""Removals shown of one problem; kept ones come first."""

TRANSPLANT_LIMIT = 6
"""Transplants shown of one problem; kept ones that the student fails come first."""

STATUSES = ("verified", "transplant", "unverified", "pending", "uncut", "unscored")
"""What became of a problem, in the order shown: a removal was verified; a transplant was kept;
tried, but nothing was kept; nothing judged yet; scored, but nothing was tried; without scores."""


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
    refused: list[Counterfactual]

    @property
    def changed(self) -> bool:
        """Whether there is a changed question to answer."""
        return bool(self.removals or self.transplants)


_NOTHING = _Tried([], [], [])


def distractions(
    *,
    problems: Sequence[Problem],
    segments: Mapping[str, Sequence[Problem]],
    entered: Collection[str] | None,
    answers: tuple[Sequence[Answer], Sequence[Answer]],
    scores: tuple[Sequence[Score], Sequence[Score]],
    focus: Sequence[NormalisedScores],
    changes: Changes | None,
) -> dict[str, Any] | None:
    """Describe every problem that entered detection or took a transplant, by status, then in order.

    `answers` and `scores` are the student's, then the teacher's. The response-level problems of
    `segments` come after their own and count beside them. `entered` are the ids of what was to be
    scored, at either level; None before that, and so is what is returned. `total` counts problems
    with removals, `hosts` those that only took a transplant.
    """
    if entered is None:
        return None
    changes = changes or Changes(removals=(), transplants=(), verdicts=None)
    tried = _by_problem(changes)
    focus_of = {one.problem_id: one for one in focus}
    before = {
        model: _Before({a.problem_id: a for a in answered}, {s.problem_id: s for s in scored})
        for model, answered, scored in zip(("student", "teacher"), answers, scores, strict=True)
    }
    every = [each for problem in problems for each in (problem, *segments.get(problem.id, ()))]
    described = [
        {
            **_problem(problem, focus_of.get(problem.id), tried.get(problem.id, _NOTHING), changes),
            "before": {model: said.of(asked) for model, said in before.items()},
        }
        for problem in every
        if problem.id in entered or problem.id in tried
        for asked in [changes.origins.get(problem.id, problem.id)]
    ]
    described.sort(key=lambda one: STATUSES.index(one["status"]))
    return {
        "total": sum(one["tried"] > 0 for one in described),
        "hosts": sum(one["transplanted"] > 0 and not one["tried"] for one in described),
        "problems": described,
    }


def one_problem(
    problem: Problem,
    answers: Sequence[tuple[Answer, Score]],
    focus: NormalisedScores | None,
    changes: Changes,
) -> dict[str, Any]:
    """Describe one problem as `distractions` does, with everything that was tried on it.

    Args:
        problem: The only one that `changes` are of.
        answers: The student's answer to the whole question, then the teacher's.
        focus: Its normalised scores; None where it has none.
        changes: What was tried.
    """
    tried = _Tried(list(changes.removals), list(changes.transplants), list(changes.refused))
    student, teacher = (
        _Before({problem.id: answer}, {problem.id: score}).of(problem.id)
        for answer, score in answers
    )
    return {
        **_problem(problem, focus, tried, changes, limits=(None, None)),
        "before": {"student": student, "teacher": teacher},
    }


def _by_problem(changes: Changes) -> dict[str, _Tried]:
    tried: dict[str, _Tried] = {}
    for kind, found in (
        ("removals", changes.removals),
        ("transplants", changes.transplants),
        ("refused", changes.refused),
    ):
        for cut in found:
            one = tried.setdefault(cut.problem_id, _Tried([], [], []))
            getattr(one, kind).append(cut)
    return tried


def _problem(
    problem: Problem,
    focus: NormalisedScores | None,
    tried: _Tried,
    changes: Changes,
    limits: tuple[int | None, int | None] = (REMOVAL_LIMIT, TRANSPLANT_LIMIT),
) -> dict[str, Any]:
    question = problem.question
    removals = sorted(tried.removals, key=lambda cut: not changes.kept([cut]))
    transplants = sorted(tried.transplants, key=lambda cut: _rank(changes, cut))
    kept = changes.kept(removals)
    verified = changes.verdicts is not None
    return {
        "id": problem.id,
        "source": problem.source,
        "status": _status(tried, focus, changes),
        "level": problem.level,
        "prompt": clipped(problem.prompt) if problem.prompt else None,
        "earlier": clipped(problem.before) if problem.prompt and problem.before else None,
        "answer": problem.answer,
        "units": _units(question, focus, _spans(removals), _spans(kept)),
        "omitted": max(len(question) - TEXT_LIMIT, 0),
        "tried": len(removals),
        "kept": len(kept) if verified else None,
        "lengths": sorted({sum(span.end - span.start for span in cut.spans) for cut in removals}),
        "removals": [
            _removal(question, cut, changes.verdict(cut)) for cut in removals[: limits[0]]
        ],
        "transplanted": len(transplants),
        "transplants_kept": len(changes.kept(transplants)),
        "transplants": [
            _transplant(question, cut, changes.verdict(cut)) for cut in transplants[: limits[1]]
        ],
        "refused": [
            {"reason": reason, "count": count}
            for reason, count in Counter(cut.skipped for cut in tried.refused).items()
        ],
    }


def _status(tried: _Tried, focus: NormalisedScores | None, changes: Changes) -> str:
    """Return the first of `STATUSES` that fits."""
    if changes.kept(tried.removals):
        return "verified"
    if changes.kept(tried.transplants):
        return "transplant"
    if tried.changed:
        return "pending" if changes.verdicts is None else "unverified"
    if focus is None:
        return "unscored"
    # Whoever was pruned without a change was refused one.
    return "uncut" if tried.refused else "pending"


def _rank(changes: Changes, transplant: Counterfactual) -> int:
    """Rank a transplant by what it teaches: 0 kept and the student fails it, 1 kept, 2 neither."""
    verdict = changes.verdict(transplant)
    if verdict is None or not verdict.kept:
        return 2
    return int(verdict.student is Outcome.RIGHT)


def _spans(cuts: Sequence[Counterfactual]) -> list[Span]:
    return [span for cut in cuts for span in cut.spans]


def _units(
    question: str, focus: NormalisedScores | None, removed: Sequence[Span], freed: Sequence[Span]
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


def _scored(focus: NormalisedScores | None) -> Iterator[tuple[int, int, float, float, float]]:
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
        "pieces": excerpt(question, cut),
        "gap": min((span.gap for span in cut.spans), default=None),
        "units": sum(span.units for span in cut.spans),
        "verdict": verdict and _verdict(verdict),
    }


def _transplant(question: str, cut: Counterfactual, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "id": cut.id,
        "donor": cut.donor,
        "pieces": excerpt(question, cut),
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
