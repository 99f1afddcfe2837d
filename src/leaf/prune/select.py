"""From a ranking to candidate units: the rules of Eq. 5.

Axes: U units of one question.
"""

import numpy as np
from numpy.typing import NDArray

from leaf.recipe import PruneSection
from leaf.records import RankedUnits

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def candidates_by_value(gap_U: Floats, threshold: float) -> Bools:
    """Mark units whose min-maxed gap is at most tau (Eq. 5, the paper's rule)."""
    return gap_U <= threshold


def candidates_by_quantile(gap_U: Floats, share: float) -> Bools:
    """Mark units whose gap is at most the `share` quantile of the problem's gaps."""
    return gap_U <= np.quantile(gap_U, share)


RULES = {"value": candidates_by_value, "quantile": candidates_by_quantile}


def candidates(scores: RankedUnits, question: str, section: PruneSection) -> Bools:
    """Mark the candidate units of one question; whitespace alone is never a candidate.

    With a `count`, so many units are marked that come first, else those that the rule marks.
    """
    score_U = np.asarray(scores.rank_score)
    text_U = np.asarray(
        [
            not question[start:end].isspace()
            for start, end in zip(scores.starts, scores.ends, strict=True)
        ]
    )
    if scores.count is None:
        chosen_U: Bools = RULES[section.rule](score_U, section.threshold) & text_U
        return chosen_U
    marked_U = np.zeros(len(score_U), dtype=np.bool_)
    ranked_U = np.argsort(score_U, kind="stable")
    marked_U[ranked_U[text_U[ranked_U]][: scores.count]] = True
    return marked_U
