"""From the records of a call to those of a run's ledger, which page and terminal show."""

from leaf.api.records import Cut, Said, Scores, Verified
from leaf.attribute.ranking import min_max
from leaf.records import RankedUnit, Span
from leaf.store.ledger import Ranking, Unit, Variant
from leaf.store.ledger import Said as LedgerSaid


def said_of(said: Said | None) -> LedgerSaid | None:
    """Return an answer as a ledger keeps it."""
    if said is None:
        return None
    return LedgerSaid(
        text=said.text,
        outcome=said.outcome,
        extracted=said.extracted,
        truncated=said.truncated,
        failure=None if said.text.strip() else said.reason,
    )


def tokens_of(scores: Scores) -> tuple[Unit, ...]:
    """Return both models' sensitivities of each token, where it is these that were compared."""
    if scores.detector != "gradient" or scores.skipped:
        return ()
    student = min_max([unit.student for unit in scores.measured])
    teacher = min_max([unit.teacher or 0.0 for unit in scores.measured])
    gap = None if teacher is None or student is None else min_max(teacher - student)
    if teacher is None or student is None or gap is None:
        return ()
    return tuple(
        Unit(
            start=unit.start,
            end=unit.end,
            text=scores.question[unit.start : unit.end],
            teacher_raw=unit.teacher or 0.0,
            student_raw=unit.student,
            teacher=float(teacher[at]),
            student=float(student[at]),
            gap=float(gap[at]),
        )
        for at, unit in enumerate(scores.measured)
    )


def ranking_of(scores: Scores) -> Ranking:
    """Return the units of a ranking, in text order."""
    units = tuple(
        RankedUnit(start=unit.start, end=unit.end, score=unit.score) for unit in scores.units
    )
    return Ranking(detector=scores.detector, unit=scores.unit, units=units)


def variant_of(made: Verified | Cut) -> Variant:
    """Return a changed question, and what came of it where models were asked."""
    cut = made if isinstance(made, Cut) else made.cut
    verified = None if isinstance(made, Cut) else made
    return Variant(
        id=cut.id,
        detector=cut.detector,
        strategy=cut.strategy,
        spans=tuple(
            Span(start=unit.start, end=unit.end, text=unit.text, gap=1 - unit.score, units=1)
            for unit in cut.removed
        ),
        question=cut.changed,
        inserted=cut.inserted,
        donor="",
        student=said_of(verified.student) if verified else None,
        teacher=said_of(verified.teacher) if verified else None,
        kept=bool(verified and verified.kept),
        reason=cut.skipped or (verified.reason if verified else ""),
    )
