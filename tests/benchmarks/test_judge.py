"""The judge's benchmark: its kappa by another implementation, its counts by hand."""

import random

import pytest
from torch import tensor
from torchmetrics.functional.classification import binary_cohen_kappa

from benchmarks.judge import figures, kappa
from leaf.records import Outcome, Score


def score(outcome: Outcome) -> Score:
    return Score(problem_id="p", outcome=outcome, extracted=None, reason=None)


def test_kappa_is_that_of_torchmetrics() -> None:
    rng = random.Random(0)
    for _ in range(20):
        pairs = [(rng.random() < 0.6, rng.random() < 0.4) for _ in range(rng.randint(5, 40))]
        theirs = binary_cohen_kappa(*(tensor(side).int() for side in zip(*pairs, strict=True)))
        assert kappa(pairs) == pytest.approx(theirs.item(), abs=1e-6)


def test_what_a_judge_cannot_say_is_in_no_share() -> None:
    right, wrong, none = map(score, (Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE))
    found = figures([(True, right), (True, wrong), (False, right), (False, wrong), (True, none)])
    assert (found["agreement"], found["kappa"], found["n"]) == (0.5, 0.0, 4)
    assert (found["too_kind"], found["too_strict"], found["no_verdict"]) == (1, 1, 1)
