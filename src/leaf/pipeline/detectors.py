"""Detectors in a run: what they measure through the store, and what is cut by their ranking."""

import math
from collections.abc import Sequence
from dataclasses import replace

from leaf.attribute import Detector, Evidence, normalise_scores
from leaf.attribute.ranking import ranked, widen
from leaf.pipeline.session import Session
from leaf.prune import candidates, distinct, prune
from leaf.recipe import AttributeSection, PruneSection
from leaf.recipe.detectors import detector_class
from leaf.records import Attribution, Counterfactual, Problem, RankedUnits, Sensitivity
from leaf.text.units import Piece

Measured = Sensitivity | Attribution


def measure(
    session: Session,
    detector: Detector,
    pairs: Sequence[tuple[Problem, str]],
    gradient: Sequence[Attribution],
    *,
    teacher: bool = True,
) -> Sequence[Measured]:
    """Return what a detector goes by other than the gradient, one a pair; nothing where it does.

    Args:
        session: The models and the store.
        detector: Who goes by it.
        pairs: Problems and their reference responses.
        gradient: What the gradient found of each pair.
        teacher: Whether there is one; else the student alone is measured.
    """
    roles = detector.roles(teacher=teacher)
    name = detector.goes_by or detector.name
    if not roles or name == "gradient":
        return []
    if roles == ("student",):
        return session.sensitivities("student", name, pairs)
    places = None
    if detector.chooses_places:
        places = {
            problem.id: proposed(detector, problem, item)
            for item, (problem, _) in zip(gradient, pairs, strict=True)
        }
    return session.attributions(name, pairs, places)


def detectors_of(section: AttributeSection) -> list[Detector]:
    """Return a recipe's detector, then its controls, each once."""
    names = dict.fromkeys([section.detector, *section.controls])
    return [detector_class(name)(section.options(name)) for name in names]


def needs_gradient(detector: Detector) -> bool:
    """Whether a detector ranks by the gradient, or lets it choose what is measured."""
    return (detector.goes_by or detector.name) == "gradient" or detector.chooses_places


def counts_like(control: Detector, own: Detector) -> bool:
    """Whether a control marks as many units as the recipe's detector, which is another one."""
    return control.counts_as_gradient and not (
        own.counts_as_gradient or own.name == "gradient" or own.exact
    )


def takes_gradient(detectors: Sequence[Detector], *, alone: bool) -> bool:
    """Whether the gradient is taken: where a detector goes by it, and for no other.

    Args:
        detectors: The recipe's detector, then its controls.
        alone: Whether there is no teacher.
    """
    return any(
        needs_gradient(detector)
        or (detector.counts_as_gradient and not counts_like(detector, detectors[0]) and not alone)
        for detector in detectors
    )


def unmeasured(session: Session, problem: Problem, reference: str) -> Attribution:
    """Return the student's tokens of a question, without a gradient."""
    units = session.student_chat.prompt(problem).units
    return Attribution(
        problem_id=problem.id,
        reference=reference,
        starts=tuple(unit.start for unit in units),
        ends=tuple(unit.end for unit in units),
        teacher=(),
        student=(),
        teacher_loss=math.nan,
        student_loss=math.nan,
    )


def proposed(detector: Detector, problem: Problem, gradient: Attribution) -> tuple[Piece, ...]:
    """Return what of a question a detector chooses to measure; nothing without a gradient."""
    evidence = evidence_of(problem, gradient)
    if isinstance(evidence, str) or evidence.gradient is None:
        return ()
    return detector.places(evidence, evidence.gradient)


def evidence_of(
    problem: Problem, gradient: Attribution, measured: Measured | None = None
) -> Evidence | str:
    """Return what a question is ranked by, or why nobody ranks it.

    Args:
        problem: Whose question it is.
        gradient: Both models' sensitivities, or `unmeasured`: its units are the tokens.
        measured: What the detector goes by; None: the gradient.
    """
    if not gradient.student and not gradient.skipped:
        if measured is not None and measured.skipped:
            return measured.skipped
        tokens = tuple(zip(gradient.starts, gradient.ends, strict=True))
        return Evidence(problem=problem, tokens=tokens, measured=measured)
    scores = normalise_scores(gradient)
    if isinstance(scores, str):
        return scores
    return Evidence(
        problem=problem,
        tokens=tuple(zip(scores.starts, scores.ends, strict=True)),
        measured=measured or gradient,
        gradient=scores,
    )


def rank(
    detector: Detector,
    evidence: Evidence,
    section: PruneSection,
    unit: str = "token",
    like: tuple[Detector, Evidence] | None = None,
) -> RankedUnits | str:
    """Rank units of a question, and count those of a control, or say why there is no ranking.

    Args:
        detector: Who ranks.
        evidence: What it goes by.
        section: The rule that says what is marked.
        unit: What is ranked.
        like: Detector, and what it goes by, as many as whose units a control marks; None: the
            gradient.
    """
    count = None
    if detector.counts_as_gradient and like is not None:
        units = like[0].rank_units(like[1], unit)
        if isinstance(units, str):
            return units
        count = int(candidates(units, evidence.problem.question, section).sum())
    elif detector.counts_as_gradient and evidence.gradient is not None:
        gradient = ranked(evidence.gradient, evidence.gradient.gap)
        units = widen(gradient, evidence.problem.question, unit)
        if isinstance(units, str):
            return units
        count = int(candidates(units, evidence.problem.question, section).sum())
    ranking = detector.rank_units(evidence, unit)
    if isinstance(ranking, str) or count is None:
        return ranking
    return replace(ranking, count=count)


def cut_question(
    detector: Detector,
    problem: Problem,
    evidence: Evidence | str,
    section: PruneSection,
    like: tuple[Detector, Evidence] | None = None,
) -> list[Counterfactual]:
    """Cut candidate spans out of one question as a detector ranks them (Eq. 3 to 5).

    Args:
        detector: Who ranks.
        problem: Whose question it is.
        evidence: What the detector goes by, or why there is nothing.
        section: Rule, threshold, units and strategy.
        like: See `rank`.

    Returns:
        Different questions, refused spans, or the only reason why there is none of either.
    """
    if isinstance(evidence, str):
        return prune(problem, evidence, section)
    if detector.exact:
        section = section.model_copy(update={"bridge_whitespace": True, "units": ["token"]})
    cuts: list[Counterfactual] = []
    for unit in section.units:
        cuts += prune(problem, rank(detector, evidence, section, unit, like), section, unit=unit)
    return distinct(cuts)
