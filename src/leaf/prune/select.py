"""From two models' sensitivities to candidate tokens: Eq. 3, 4 and 5, one pure function each.

Axes: U units of one question.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leaf.recipe import PruneSection
from leaf.records import Attribution, NormalisedScores

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


ROUNDING = 1e-9
"""Gaps of scores in [0, 1] that differ by less are equal: what is left is rounding."""


def min_max(scores_U: Sequence[float] | Floats, *, resolution: float = 0.0) -> Floats | None:
    """Scale scores to [0, 1] (Eq. 3); None when all are equal, since there is no ranking then.

    Args:
        scores_U: Scores of any scale.
        resolution: Scores that all lie within this of each other count as equal.
    """
    values_U = np.asarray(scores_U, dtype=np.float64)
    if len(values_U) == 0:
        return None
    low, high = values_U.min(), values_U.max()
    if high - low <= resolution:
        return None
    scaled_U: Floats = (values_U - low) / (high - low)
    return scaled_U


def sensitivity_gap(teacher_U: Floats, student_U: Floats) -> Floats:
    """Teacher minus student, both min-maxed (Eq. 4): low where only the student looks."""
    return teacher_U - student_U


def normalise_scores(attribution: Attribution) -> NormalisedScores | str:
    """Normalise one problem's scores (Eq. 3 to 5), or say why they give no ranking."""
    if attribution.skipped:
        return attribution.skipped
    teacher_U, student_U = min_max(attribution.teacher), min_max(attribution.student)
    if teacher_U is None:
        return "all teacher scores are equal"
    if student_U is None:
        return "all student scores are equal"
    gap_U = min_max(sensitivity_gap(teacher_U, student_U), resolution=ROUNDING)
    if gap_U is None:
        return "teacher and student scores differ by the same everywhere"
    return NormalisedScores(
        problem_id=attribution.problem_id,
        starts=attribution.starts,
        ends=attribution.ends,
        teacher=tuple(teacher_U.tolist()),
        student=tuple(student_U.tolist()),
        gap=tuple(gap_U.tolist()),
    )


def candidates_by_value(gap_U: Floats, threshold: float) -> Bools:
    """Mark units whose min-maxed gap is at most tau (Eq. 5, the paper's rule)."""
    return gap_U <= threshold


def candidates_by_quantile(gap_U: Floats, share: float) -> Bools:
    """Mark units whose gap is at most the `share` quantile of the problem's gaps."""
    return gap_U <= np.quantile(gap_U, share)


RULES = {"value": candidates_by_value, "quantile": candidates_by_quantile}


def candidates(
    scores: NormalisedScores, question: str, section: PruneSection, *, count: int | None = None
) -> Bools:
    """Mark the candidate units of one question; whitespace alone is never a candidate.

    With `count`, so many units of the lowest gap are marked, else those that the rule marks.
    """
    gap_U = np.asarray(scores.gap)
    text_U = np.asarray(
        [
            not question[start:end].isspace()
            for start, end in zip(scores.starts, scores.ends, strict=True)
        ]
    )
    if count is None:
        chosen_U: Bools = RULES[section.rule](gap_U, section.threshold) & text_U
        return chosen_U
    marked_U = np.zeros(len(gap_U), dtype=np.bool_)
    ranked_U = np.argsort(gap_U, kind="stable")
    marked_U[ranked_U[text_U[ranked_U]][:count]] = True
    return marked_U
