"""One call's work through a run's own stages: models in memory, results in a folder that goes."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leaf.api.model import Model, source_of
from leaf.api.records import Cut, MeasuredUnit, Said, ScoredUnit, Scores, Verified
from leaf.api.settings import check_name
from leaf.attribute import Evidence
from leaf.attribute.ranking import of_kind
from leaf.pipeline.detectors import Measured, evidence_of, measure, needs_gradient, rank, unmeasured
from leaf.pipeline.session import Session
from leaf.prune import distinct, prune
from leaf.recipe import PruneSection, Recipe
from leaf.recipe.detectors import detector_names, options_of
from leaf.recipe.reading import check_section
from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    Outcome,
    Problem,
    RankedUnits,
    Score,
    Span,
)
from leaf.store.store import Store
from leaf.store.work import About
from leaf.text.units import UNITS, Piece, may_go, pieces

_ASKING = re.compile(
    r"\s*(?:please\s+)?(?:find|compute|calculate|determine|evaluate|simplify|solve|express|prove"
    r"|show|what (?:is|are|was|were)|which|how (?:many|much|long|far|old|often))\b",
    re.IGNORECASE,
)
"""How a sentence begins that asks without a question mark."""

ASKS = "would take out the sentence that asks"
"""Why a span stays: without that sentence there is no question."""


def detection_of(
    detector: str, unit: str | None, options: Mapping[str, Any], base: Recipe | None = None
) -> dict[str, Any]:
    """Return the section `attribute` of a call.

    Args:
        detector: Who ranks.
        unit: What is ranked; None: as the detector is set.
        options: The detector's own.
        base: The recipe whose settings hold where none are given.

    Raises:
        UsageError: an unknown detector or unit; names the nearest.
        RecipeError: an unknown option of the detector, or a value out of its rules.
    """
    check_name("detector", detector, tuple(detector_names()))
    own = (base.attribute.model_dump().get(detector) or {}) if base else {}
    known = options_of(detector).model_fields
    if unit is not None:
        check_name("unit", unit, UNITS)
        # What takes pieces away takes away those that will be ranked.
        own |= {"unit": unit} if "unit" in known else {}
    section: dict[str, Any] = {"detector": detector, "controls": []}
    if known or options:
        section[detector] = {**own, **options}
        # Before the recipe, whose errors would name its keys and not the argument.
        check_section(options_of(detector), section[detector], source=f"detector {detector}")
    return section


@contextmanager
def desk(student: Model, teacher: Model | None, recipe: Recipe) -> Iterator["Desk"]:
    """Open a call's work; its results go when the block ends, the models stay."""
    with tempfile.TemporaryDirectory(prefix="leaf-") as folder:
        session = Session(recipe, Store(Path(folder)))
        session.sources = {"student": source_of(student)}
        if teacher is not None:
            session.sources["teacher"] = source_of(teacher)
        yield Desk(session)


@dataclass(frozen=True, slots=True)
class Desk:
    """The stages of a run over one call's models, a list of problems in, a list of records out."""

    session: Session

    @property
    def roles(self) -> tuple[str, ...]:
        """`student` and, where there is one, `teacher`."""
        return tuple(self.session.sources)

    def scores(self, problems: Sequence[Problem], unit: str) -> list[Scores]:
        """Rank the units of each question; its `solution` is the reference."""
        asked = [problem for problem in problems if problem.question.strip()]
        evidence = dict(zip((problem.id for problem in asked), self._evidence(asked), strict=True))
        return [
            self._scores(problem, evidence.get(problem.id, "the question is empty"), unit)
            for problem in problems
        ]

    def _scores(self, problem: Problem, evidence: Evidence | str, unit: str) -> Scores:
        recipe = self.session.recipe
        detector = self.session.detector(recipe.attribute.detector)
        ranking: RankedUnits | str = (
            evidence
            if isinstance(evidence, str)
            else rank(detector, evidence, recipe.prune, "token" if detector.exact else unit)
        )
        units: tuple[ScoredUnit, ...] = ()
        measured: tuple[MeasuredUnit, ...] = ()
        if isinstance(ranking, RankedUnits):
            units = tuple(
                ScoredUnit(start=start, end=end, text=problem.question[start:end], score=1 - place)
                for start, end, place in zip(
                    ranking.starts, ranking.ends, ranking.rank_score, strict=True
                )
            )
        if not isinstance(evidence, str) and evidence.measured is not None:
            measured = measured_units(of_kind(evidence.measured, unit))
        return Scores(
            id=problem.id,
            question=problem.question,
            reference=problem.solution,
            detector=detector.name,
            unit=unit,
            units=units,
            measured=measured,
            skipped=ranking if isinstance(ranking, str) else None,
            ranking=None if isinstance(ranking, str) else ranking,
        )

    def _evidence(self, problems: Sequence[Problem]) -> list[Evidence | str]:
        """Measure what the detector goes by, and nothing else; a text says why there is nothing."""
        session = self.session
        detector = session.detector(session.recipe.attribute.detector)
        pairs = [(problem, problem.solution) for problem in problems]
        teacher = "teacher" in self.roles
        if teacher and (needs_gradient(detector) or detector.counts_as_gradient):
            gradient = session.attributions("gradient", pairs)
        else:
            gradient = [unmeasured(session, *pair) for pair in pairs]
        measured: Sequence[Measured | None] = measure(
            session, detector, pairs, gradient, teacher=teacher
        )
        measured = measured or [None] * len(pairs)
        return [
            evidence_of(problem, scores, found)
            for problem, scores, found in zip(problems, gradient, measured, strict=True)
        ]

    def answers(
        self, problems: Sequence[Problem], about: About | None = None
    ) -> dict[str, list[Said]]:
        """Let every model answer problems; role to answers, in order."""
        said = {}
        for role in self.roles:
            graded = self.session.answers_of(role, problems, about)
            said[role] = [_said(*pair) for pair in zip(*graded, strict=True)]
        return said

    def verify(self, cuts: Sequence[Cut], problems: Sequence[Problem]) -> list[Verified]:
        """Let every model answer the changed questions; kept is what all of them answer right.

        Args:
            cuts: What was cut.
            problems: The whole question of each, with its gold answer and grader.
        """
        said = self.answers(_asked(cuts, problems), About(changed="pruned"))
        return _judged(cuts, said)

    def verify_one(
        self, cuts: Sequence[Cut], problem: Problem
    ) -> tuple[dict[str, Said], list[Verified]]:
        """Let every model answer one question whole and cut, together: few rows cost what one does.

        Returns:
            Role to the answer to the whole question, and what came of the cuts.
        """
        said = self.answers([problem, *_asked(cuts, [problem] * len(cuts))])
        whole = {role: answers[0] for role, answers in said.items()}
        return whole, _judged(cuts, {role: answers[1:] for role, answers in said.items()})


def _asked(cuts: Sequence[Cut], problems: Sequence[Problem]) -> list[Problem]:
    """Return the changed questions that models are asked."""
    return [
        replace(problem, id=cut.id, question=cut.changed)
        for cut, problem in zip(cuts, problems, strict=True)
        if not cut.skipped
    ]


def _judged(cuts: Sequence[Cut], said: Mapping[str, Sequence[Said]]) -> list[Verified]:
    """Return what came of every cut, from the answers to those that were asked."""
    rows = iter(zip(*said.values(), strict=True))
    return [
        Verified(cut=cut, kept=False, reason=cut.skipped, student=None, teacher=None)
        if cut.skipped
        else _verified(cut, dict(zip(said, next(rows), strict=True)))
        for cut in cuts
    ]


def _verified(cut: Cut, said: Mapping[str, Said]) -> Verified:
    failed = [
        f"{role} {answer.outcome}"
        for role, answer in said.items()
        if answer.outcome is not Outcome.RIGHT
    ]
    return Verified(
        cut=cut,
        kept=not failed,
        reason=" and ".join(failed) or "kept",
        student=said["student"],
        teacher=said.get("teacher"),
    )


def measured_units(measured: Measured) -> tuple[MeasuredUnit, ...]:
    """Return what was measured, a record a unit."""
    student = measured.student if isinstance(measured, Attribution) else measured.scores
    teacher = measured.teacher if isinstance(measured, Attribution) else (None,) * len(student)
    return tuple(
        MeasuredUnit(start=start, end=end, student=of_student, teacher=of_teacher)
        for start, end, of_student, of_teacher in zip(
            measured.starts, measured.ends, student, teacher, strict=True
        )
    )


def cuts_of(scores: Scores, section: PruneSection) -> list[Cut]:
    """Cut the units of one question that the rule marks; the sentence that asks stays."""
    problem = Problem(id=scores.id, question=scores.question, answer="", solution=scores.reference)
    ranking = scores.ranking or scores.skipped or "no ranking"
    made = distinct(prune(problem, ranking, section, unit=scores.unit))
    asking = _asking(scores.question, scores.unit)
    return [_cut(scores, item, asking) for item in made]


def _cut(scores: Scores, item: Counterfactual, asking: Sequence[Piece]) -> Cut:
    skipped = item.skipped
    if skipped is None and any(_takes_out(item.spans, piece, scores.question) for piece in asking):
        skipped = ASKS
    return Cut(
        id=item.id,
        question=scores.question,
        reference=scores.reference,
        removed=tuple(
            ScoredUnit(start=span.start, end=span.end, text=span.text, score=1 - span.gap)
            for span in item.spans
        ),
        changed=scores.question if skipped else item.question,
        detector=scores.detector,
        strategy=item.strategy,
        inserted=item.inserted,
        skipped=skipped,
    )


def _asking(question: str, unit: str) -> list[Piece]:
    """Return the pieces that ask: with a question mark, else a word that asks, else the last."""
    wide = unit in ("phrase", "clause", "sentence", "paragraph")
    every = pieces(question, unit if wide else "sentence")
    marked = [piece for piece in every if not may_go(question[slice(*piece)])]
    return marked or [piece for piece in every if _ASKING.match(question, *piece)] or every[-1:]


def _takes_out(spans: Sequence[Span], piece: Piece, question: str) -> bool:
    """Whether nothing but signs and spaces would be left of a piece."""
    left = [
        question[at]
        for at in range(*piece)
        if not any(span.start <= at < span.end for span in spans)
    ]
    return not any(letter.isalnum() for letter in left)


def _said(answer: Answer, score: Score) -> Said:
    return Said(
        text=answer.text,
        outcome=score.outcome,
        extracted=score.extracted,
        reason=answer.failure or score.reason,
        truncated=answer.truncated,
    )
