"""Detectors in a run: what they measure through the store, and what is cut by their ranking."""

from collections.abc import Sequence
from dataclasses import replace

from leaf.attribute import Detector, Evidence, normalise_scores
from leaf.attribute.ranking import ranked, widen
from leaf.pipeline.session import Session
from leaf.prune import candidates, distinct, prune
from leaf.recipe import PruneSection
from leaf.records import Attribution, Counterfactual, Problem, RankedUnits, Sensitivity
from leaf.text.units import Piece

Measured = Sensitivity | Attribution


def measure(
    session: Session,
    detector: Detector,
    pairs: Sequence[tuple[Problem, str]],
    gradient: Sequence[Attribution],
) -> Sequence[Measured]:
    """Return what a detector goes by other than the gradient, one a pair; nothing where it does.

    Args:
        session: The models and the store.
        detector: Who goes by it.
        pairs: Problems and their reference responses.
        gradient: What the gradient found of each pair.
    """
    roles = detector.roles()
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


def proposed(detector: Detector, problem: Problem, gradient: Attribution) -> tuple[Piece, ...]:
    """Return what of a question a detector chooses to measure; nothing without a gradient."""
    evidence = evidence_of(problem, gradient)
    if isinstance(evidence, str) or evidence.gradient is None:
        return ()
    return detector.places(evidence, evidence.gradient)


def evidence_of(
    problem: Problem, gradient: Attribution, measured: Measured | None = None
) -> Evidence | str:
    """Return what a question is ranked by, or why the gradient, and so nobody, ranks it.

    Args:
        problem: Whose question it is.
        gradient: Both models' sensitivities: its units are the tokens.
        measured: What the detector goes by; None: the gradient.
    """
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
    detector: Detector, evidence: Evidence, section: PruneSection, unit: str = "token"
) -> RankedUnits | str:
    """Rank units of a question, and count those of a control, or say why there is no ranking."""
    count = None
    if detector.counts_as_gradient and evidence.gradient is not None:
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
    detector: Detector, problem: Problem, evidence: Evidence | str, section: PruneSection
) -> list[Counterfactual]:
    """Cut candidate spans out of one question as a detector ranks them (Eq. 3 to 5).

    Args:
        detector: Who ranks.
        problem: Whose question it is.
        evidence: What the detector goes by, or why there is nothing.
        section: Rule, threshold, units and strategy.

    Returns:
        Different questions, refused spans, or the only reason why there is none of either.
    """
    if isinstance(evidence, str):
        return prune(problem, evidence, section)
    if detector.exact:
        section = section.model_copy(update={"bridge_whitespace": True, "units": ["token"]})
    cuts: list[Counterfactual] = []
    for unit in section.units:
        cuts += prune(problem, rank(detector, evidence, section, unit), section, unit=unit)
    return distinct(cuts)
