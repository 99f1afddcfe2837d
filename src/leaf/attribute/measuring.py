"""All that a detector goes by, from models that are in memory already."""

from collections.abc import Sequence
from dataclasses import replace

from leaf.attribute.detector import Detector, Evidence, MeasuredModel
from leaf.attribute.projection import join
from leaf.attribute.ranking import normalise_scores
from leaf.errors import UsageError
from leaf.recipe.detectors import detector_class
from leaf.records import Attribution, NormalisedScores, Problem, Sensitivity


def gather(
    detector: Detector,
    problems: Sequence[Problem],
    references: Sequence[str],
    student: MeasuredModel,
    teacher: MeasuredModel | None = None,
) -> list[Evidence]:
    """Measure what a detector needs to rank each question, and nothing else; the order is kept.

    Args:
        detector: Who will rank.
        problems: What is ranked.
        references: The response y to each.
        student: The model that is distracted.
        teacher: The model to compare it with, where there is one.

    Raises:
        UsageError: the detector compares two models, or its gradient has to, and there is one.
    """
    roles = detector.roles(teacher=teacher is not None)
    gradient: list[NormalisedScores | str | None] = [None] * len(problems)
    if teacher and (detector.counts_as_gradient or detector.chooses_places):
        both = _both(detector_class("gradient")(), problems, references, student, teacher)
        gradient = [normalise_scores(item) for item in both]
    evidence = [
        Evidence(
            problem=problem,
            tokens=tuple((unit.start, unit.end) for unit in student.chat.prompt(problem).units),
            gradient=scores if isinstance(scores, NormalisedScores) else None,
        )
        for problem, scores in zip(problems, gradient, strict=True)
    ]
    if not roles:
        return evidence
    if detector.chooses_places:
        if teacher is None:
            raise UsageError(
                f"detector `{detector.name}`: the gradient of both models is to choose what is "
                "measured, and there is no teacher; name one, or have all of it measured"
            )
        places = {
            item.problem.id: detector.places(item, item.gradient) if item.gradient else ()
            for item in evidence
        }
        student, teacher = replace(student, places=places), replace(teacher, places=places)
    measurer = detector_class(detector.goes_by)() if detector.goes_by else detector
    measured: Sequence[Sensitivity | Attribution]
    if teacher and "teacher" in roles:
        measured = _both(measurer, problems, references, student, teacher)
    else:
        measured = measurer.measure(student, problems, references)
    return [replace(item, measured=one) for item, one in zip(evidence, measured, strict=True)]


def _both(
    detector: Detector,
    problems: Sequence[Problem],
    references: Sequence[str],
    student: MeasuredModel,
    teacher: MeasuredModel,
) -> list[Attribution]:
    of_student = detector.measure(student, problems, references)
    of_teacher = detector.measure(teacher, problems, references)
    return join(problems, references, of_teacher, of_student)
