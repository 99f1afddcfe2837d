"""What a detector of one's own returns is checked before anybody goes by it."""

from typing import Any

import numpy as np
import pytest

from leaf.attribute import Detector, Evidence
from leaf.attribute.checks import check_measured
from leaf.errors import LeafError
from leaf.records import Problem, RankedUnits, Sensitivity

PROBLEM = Problem(id="pens", question="Two pens. Why?", answer="2", solution="2")
TOKENS = ((0, 3), (3, 8), (8, 14))


class Own(Detector):
    """Says what the test wants."""

    name = "own"
    needs = "nothing"
    says: Any = None

    def rank(self, evidence: Evidence) -> Any:
        return self.says


def ranked(says: Any) -> RankedUnits | str:
    detector = Own()
    detector.says = says
    return detector.rank_units(Evidence(problem=PROBLEM, tokens=TOKENS))


def units(*scores: Any, starts: Any = (0, 3, 8), ends: Any = (3, 8, 14)) -> RankedUnits:
    return RankedUnits(problem_id="pens", starts=starts, ends=ends, rank_score=scores)


def test_a_ranking_within_the_rules_is_taken() -> None:
    for says in (units(0.0, 0.5, 1), units(*np.array([0, 1, 0.5], np.float32)), "no idea"):
        assert ranked(says) is says


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (None, "it must be `RankedUnits`, or a text that says why not, but is None"),
        ("", "it must be `RankedUnits`, or a text that says why not, but is ''"),
        (units(0.0, float("nan"), 1.0), "a score must be a finite number, but is nan"),
        (units(0.0, float("inf"), 1.0), "a score must be a finite number, but is inf"),
        (units(0.0, "high", 1.0), "a score must be a finite number, but is 'high'"),
        (units(0.0, 3.0, 1.0), "`rank_score` must lie in [0, 1] (0: cut first)"),
        (units(0.0, 1.0), "3 starts, 3 ends and 2 scores: must be as many"),
        (units(starts=(), ends=()), "it names no unit; return a text that says why"),
        (
            units(0.0, 0.5, 1.0, ends=(3, 8, 99)),
            "unit 8:99 must lie in the question (0:14), in text order and not over another one",
        ),
        (
            units(0.0, 0.5, 1.0, ends=(5, 8, 14)),
            "unit 3:8 must lie in the question (0:14), in text order and not over another one",
        ),
    ],
)
def test_a_ranking_out_of_the_rules_is_one_line(says: Any, told: str) -> None:
    with pytest.raises(LeafError) as raised:
        ranked(says)
    assert str(raised.value) == f"detector `own`: its ranking of problem pens: {told}"


def measured(*scores: float) -> Sensitivity:
    return Sensitivity(problem_id="pens", starts=(0,), ends=(3,), scores=scores, loss=0.0)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (None, "`measure` must return one `Sensitivity` a problem, 1 here, but returned None"),
        ([], "`measure` must return one `Sensitivity` a problem, 1 here, but returned 0"),
        ([None], "its measure of problem pens: it must be a `Sensitivity`, but is None"),
        (
            [measured(float("nan"))],
            "its measure of problem pens: a score must be a finite number, but is nan",
        ),
        (
            [measured()],
            "its measure of problem pens: 1 starts, 1 ends and 0 scores: must be as many",
        ),
    ],
)
def test_a_measure_out_of_the_rules_is_one_line(says: Any, told: str) -> None:
    with pytest.raises(LeafError) as raised:
        check_measured("own", [PROBLEM], says)
    assert str(raised.value) == f"detector `own`: {told}"
