"""A ledger's entry in words and plain values: what page, terminal and report.json show of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from leaf.recipe import Recipe
from leaf.records import Outcome, Span
from leaf.report.excerpts import excerpt
from leaf.report.formats import as_said
from leaf.report.placebos import held_against
from leaf.report.plain import TEXT_LIMIT, clipped, plain
from leaf.store.ledger import Entry, Ranking, Said, Variant

REMOVAL_LIMIT = 12
"""Removals shown of one problem; kept ones come first."""

TRANSPLANT_LIMIT = 6
"""Transplants shown of one problem; kept ones that the student fails come first."""

STATUSES = ("verified", "transplant", "unverified", "pending", "uncut", "unscored")
"""What became of a problem, in the order shown: a removal was verified; what was put in was kept;
tried, but nothing was kept; nothing judged yet; scored, but nothing was tried; without scores."""


def explanation(
    entry: Entry, recipe: Recipe, source: str, title: str | None = None
) -> dict[str, Any]:
    """Describe one entry with everything that was tried on it, as plain values.

    Args:
        entry: Of a ledger, or of a prompt of one's own.
        recipe: Names the models and the detector; its controls are told in short.
        source: Where the entry comes from, for the foot of the page.
        title: What stands above it; None: the problem's id.

    Returns:
        `title`, `recipe`, `entered`, `skipped` (why it has no scores), `problem` (as in
        report.json), `refused` (spans that were not tried), `controls` and `source`: what
        `print_explanation` and `write_explanation` show.
    """
    own = recipe.attribute.detector
    refused = Counter(item.reason for item in entry.made(own, "refused") if item.spans)
    controls = dict.fromkeys(item.detector for item in entry.variants if item.detector != own)
    return {
        "title": plain(title or entry.problem_id),
        "recipe": plain(recipe.model_dump(by_alias=True)),
        "entered": entry.entered,
        "skipped": entry.skipped or _unranked(entry),
        "problem": describe(entry, own, token_limit=recipe.generate.max_new_tokens),
        "refused": [{"reason": reason, "count": count} for reason, count in refused.items()],
        "controls": [
            {
                "detector": detector,
                "kept": sum(item.kept for item in entry.tried(detector)),
                "tried": len(entry.tried(detector)),
            }
            for detector in controls
        ],
        "source": source,
    }


def by_gradient(problem: Mapping[str, Any]) -> bool:
    """Whether a described problem was ranked by the gradient: both models' tokens are shown then.

    A report.json of version 0.1.0 has no rankings.
    """
    return all(ranking["detector"] == "gradient" for ranking in problem.get("rankings", ()))


def judgement(change: Mapping[str, Any]) -> tuple[str, str]:
    """Say what verification made of a removal or transplant: `Verified`, `both right without it`.

    Args:
        change: One of a described problem's `removals` or `transplants`.
    """
    verdict, moved = change["verdict"], "donor" in change
    if verdict is None:
        return "Verdict", "not there yet"
    name = "Kept" if moved else "Verified"
    if verdict["kept"] and not freed(change):
        return "Freed nobody", "right with and without it"
    if not verdict["kept"]:
        return f"Not {name.lower()}", as_said(verdict["reason"])
    if verdict["reason"] != "kept":
        return name, verdict["reason"]
    if not moved:
        who = "both" if verdict["teacher"] else "student"
        return name, f"{who} right {'with' if change['strategy'] == 'substitute' else 'without'} it"
    return name, _with_it(verdict["student"], verdict["teacher"])


def _with_it(student: str | None, teacher: str | None) -> str:
    """Say what was answered to a question with a text that was put in and kept."""
    if teacher is None:
        said = {"right": "student right with it, too", None: "nobody was asked"}
        return said.get(student, "student fails with it: here it learns")
    return "teacher still right" + ("" if student in ("right", None) else _LEARNS)


_LEARNS = ", student not: here it learns"


def freed(change: Mapping[str, Any]) -> bool:
    """Whether a removal or transplant was kept; a student that was right before is not freed."""
    verdict = change["verdict"]
    return bool(verdict and verdict["kept"] and not verdict.get("right_before"))


def mark(change: Mapping[str, Any]) -> str:
    """Return the sign of what came of a change: freed, no effect, not kept, not asked."""
    verdict = change["verdict"]
    if verdict is None:
        return "–"
    return "✓" if freed(change) else "=" if verdict["kept"] else "✗"


def judged_unsolved(problem: Mapping[str, Any]) -> bool:
    """Whether cuts were judged, of a student that did not solve the whole question."""
    student = problem["before"]["student"]
    judged = any(change["verdict"] for change in problem["removals"])
    return judged and not (student and student["outcome"] == "right")


def distractions(entries: Iterable[Entry], detector: str) -> dict[str, Any]:
    """Describe every entry by its status, then in order, with the first of what was tried.

    `total` counts those with removals, `hosts` those that only took what was put in.
    """
    problems = [
        describe(entry, detector, removals=REMOVAL_LIMIT, transplants=TRANSPLANT_LIMIT)
        for entry in entries
    ]
    problems.sort(key=lambda problem: STATUSES.index(problem["status"]))
    return {
        "total": sum(problem["tried"] > 0 for problem in problems),
        "hosts": sum(problem["transplanted"] > 0 and not problem["tried"] for problem in problems),
        "problems": problems,
    }


def describe(
    entry: Entry,
    detector: str,
    *,
    removals: int | None = None,
    transplants: int | None = None,
    token_limit: int | None = None,
) -> dict[str, Any]:
    """Return what is shown of an entry, as plain values.

    Args:
        entry: The problem.
        detector: Whose cuts and rankings are shown.
        removals: How many removals at most; None is all.
        transplants: How many transplants at most.
        token_limit: Of an answer, to say where one was cut; None: it is not named.
    """
    removed = sorted(entry.made(detector, "removal"), key=lambda item: not item.kept)
    moved = sorted(entry.put_in(detector), key=_lesson)
    kept = [item for item in removed if item.kept]
    refused = Counter(item.reason for item in entry.made(detector, "refused"))
    placebos = entry.made(detector, "placebo")
    question = entry.question
    right_before = entry.student is not None and entry.student.outcome is Outcome.RIGHT
    marks = {"removed": _spans(removed), "freed": [] if right_before else _spans(kept)}
    described: dict[str, Any] = plain(
        {
            "id": entry.problem_id,
            "source": entry.source,
            "status": _status(entry, detector),
            "level": entry.level,
            "prompt": clipped(entry.prompt) if entry.prompt else None,
            "earlier": clipped(entry.before) if entry.prompt and entry.before else None,
            "turns": [{"role": turn.role, "said": clipped(turn.text)} for turn in entry.turns],
            "answer": entry.answer,
            "units": list(_coloured(question, _tokens(entry), marks)),
            "rankings": list(_rankings(entry, detector, marks)),
            "omitted": max(len(question) - TEXT_LIMIT, 0),
            "tried": len(removed),
            "kept": None if any(item.pending for item in removed) else len(kept),
            "lengths": sorted({sum(len(span.text) for span in item.spans) for item in removed}),
            "removals": [
                _removal(question, item)
                | {"verdict": _verdict(item, token_limit, right_before)}
                | {"control": held_against(item, placebos)}
                for item in removed[:removals]
            ],
            "put_in": _put_in(moved),
            "transplanted": len(moved),
            "transplants_kept": sum(item.kept for item in moved),
            "transplants": [
                _transplant(question, item) | {"verdict": _verdict(item, token_limit)}
                for item in moved[:transplants]
            ],
            "refused": [{"reason": reason, "count": count} for reason, count in refused.items()],
            "before": {
                "student": _answer(entry.student, token_limit),
                "teacher": _answer(entry.teacher, token_limit),
            },
        }
    )
    return described


def put_in_by_kind(problem: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what was put into a described problem, `transplant` and `injection` by themselves."""
    put_in = problem["transplants"]
    return {
        kind: [one for one in put_in if one["kind"] == kind] for kind in ("transplant", "injection")
    }


Marks = Mapping[str, Sequence[Span]]
"""Name of a mark to the spans whose units have it."""


def _unranked(entry: Entry) -> str | None:
    if entry.rankings or not entry.units or entry.units[0].gap is not None:
        return None
    return next((item.reason for item in entry.variants if not item.student), "no ranking")


def _status(entry: Entry, detector: str) -> str:
    """Return the first of `STATUSES` that fits."""
    removals, transplants = entry.made(detector, "removal"), entry.put_in(detector)
    if any(item.kept for item in removals):
        return "verified"
    if any(item.kept for item in transplants):
        return "transplant"
    if removals or transplants:
        return "pending" if any(item.pending for item in removals) else "unverified"
    if not entry.rankings and (not entry.units or entry.units[0].gap is None):
        return "unscored"
    # Whoever was pruned without a change was refused one.
    return "uncut" if entry.made(detector, "refused") else "pending"


def _lesson(transplant: Variant) -> int:
    """Rank what was put in by what it teaches: 0 kept and the student fails it, 1 kept, 2 not."""
    if not transplant.kept:
        return 2
    return int(transplant.student is None or transplant.student.outcome is Outcome.RIGHT)


def _put_in(moved: Sequence[Variant]) -> str:
    """Name what was put in: `transplant`, `injection`, or `distractor` where both are there."""
    kinds = {item.kind for item in moved} or {"transplant"}
    return kinds.pop() if len(kinds) == 1 else "distractor"


def _spans(variants: Iterable[Variant]) -> list[Span]:
    return [span for variant in variants for span in variant.spans]


def _tokens(entry: Entry) -> Iterator[tuple[int, int, dict[str, float]]]:
    for unit in entry.units:
        if unit.teacher is not None and unit.student is not None and unit.gap is not None:
            numbers = {"teacher": unit.teacher, "student": unit.student}
            difference = unit.teacher - unit.student
            yield unit.start, unit.end, {**numbers, "difference": difference, "gap": unit.gap}


def _are_units(ranking: Ranking, entry: Entry) -> bool:
    """Whether a ranking is that of the gradient's tokens, which `units` say more about."""
    return bool(entry.units) and (ranking.detector, ranking.unit) == ("gradient", "token")


def _ranked(ranking: Ranking) -> Iterator[tuple[int, int, dict[str, float]]]:
    for unit in ranking.units:
        yield unit.start, unit.end, {"score": unit.score}


def _coloured(
    question: str, units: Iterable[tuple[int, int, dict[str, float]]], marks: Marks
) -> Iterator[dict[str, Any]]:
    """Yield a question's scored units and the unscored text between them, in order."""
    place = 0
    for start, end, numbers in units:
        if start >= TEXT_LIMIT:
            break
        if place < start:
            yield {"text": question[place:start]}
        text = question[start:end]
        first = start + len(text) - len(text.lstrip())
        last = max(start + len(text.rstrip()), first + 1)
        marked = {
            # Whole units: a sentence of which one clause was cut is not cut.
            name: any(span.start <= first and last <= span.end for span in spans)
            for name, spans in marks.items()
        }
        yield {"text": question[start : min(end, TEXT_LIMIT)], **numbers, **marked}
        place = end
    if rest := question[place:TEXT_LIMIT]:
        yield {"text": rest}


def _rankings(entry: Entry, detector: str, marks: Marks) -> Iterator[dict[str, Any]]:
    for ranking in entry.rankings:
        if ranking.detector == detector and not _are_units(ranking, entry):
            units = list(_coloured(entry.question, _ranked(ranking), marks))
            yield {"detector": ranking.detector, "unit": ranking.unit, "units": units}


def _removal(question: str, variant: Variant) -> dict[str, Any]:
    return {
        "id": variant.id,
        "strategy": variant.strategy,
        "pieces": excerpt(question, variant),
        "gap": min((span.gap for span in variant.spans), default=None),
        "units": sum(span.units for span in variant.spans),
    }


def _transplant(question: str, variant: Variant) -> dict[str, Any]:
    shown = {"id": variant.id, "kind": variant.kind, "donor": variant.donor}
    return shown | {"pieces": excerpt(question, variant)}


def _verdict(
    variant: Variant, token_limit: int | None, right_before: bool = False
) -> dict[str, Any] | None:
    student, teacher = variant.student, variant.teacher
    if student is None and not (variant.kind == "injection" and variant.reason):
        return None
    verdict = {
        "student": student and student.outcome,
        "teacher": teacher and teacher.outcome,
        "kept": variant.kept,
        "reason": variant.reason,
        "student_text": student and _words(student, token_limit),
        "teacher_text": teacher and _words(teacher, token_limit),
    }
    return verdict | {"right_before": True} if right_before else verdict


def _words(said: Said, token_limit: int | None) -> dict[str, Any]:
    """Return what a model wrote and, where it could not be graded, why."""
    words = clipped(said.failure or said.text)
    if said.outcome is not Outcome.UNGRADABLE:
        return words
    why = said.failure
    if said.truncated:
        why = f"cut at the limit of {token_limit} tokens" if token_limit else "cut at its limit"
    elif not why and said.truncated is not None and said.extracted is None:
        why = "no final answer found"
    return words | {"why": why} if why else words


def _answer(said: Said | None, token_limit: int | None) -> dict[str, Any] | None:
    if said is None:
        return None
    return {
        **_words(said, token_limit),
        "truncated": said.truncated,
        "outcome": said.outcome,
        "extracted": said.extracted,
    }
