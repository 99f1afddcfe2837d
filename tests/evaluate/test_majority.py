"""When sampled answers agree enough, against integrals by scipy and windows counted by hand."""

import numpy as np
import pytest
from scipy import integrate, stats

from leaf.evaluate.majority import Ballot, consistency, due, is_settled, lead
from leaf.recipe import MajoritySection


def by_integral(counts: list[int]) -> float:
    """P(the first is the largest) of Dirichlet(counts + 1, 1), numerically, by gamma variables."""
    first, *others = (*(count + 1 for count in sorted(counts, reverse=True)), 1)

    def density(x: float) -> float:
        below = [stats.gamma.cdf(x, other) for other in others]
        return float(stats.gamma.pdf(x, first) * np.prod(below))

    return float(integrate.quad(density, 0, 200, points=[first], limit=500)[0])


@pytest.mark.parametrize("counts", [[1], [4], [3, 1], [2, 2], [5, 2, 1], [1] * 6, [20, 15, 3, 1]])
def test_the_chance_that_the_majority_leads_is_that_of_a_numeric_integral(counts: list[int]):
    assert lead(counts) == pytest.approx(by_integral(counts), abs=1e-9)


def test_of_two_answers_it_is_the_beta_distribution_where_a_third_is_hopeless():
    # P(p > 1/2) of Beta(v + 1, 1), as (v, 0): 1 - 2^-(v + 1).
    assert lead([4]) == pytest.approx(stats.beta.sf(0.5, 5, 1)) == 1 - 1 / 32
    assert lead([]) == 0.0


DIRICHLET = MajoritySection(stop="dirichlet")
WINDOW = MajoritySection(stop="window", window=3)


@pytest.mark.parametrize(
    ("section", "votes", "wanted"),
    [
        # 1 - 2^-4 = 0.938 < 0.95 <= 1 - 2^-5: four alike are needed, and asked for at once.
        (DIRICHLET, [], 4),
        (DIRICHLET, [0, 0, 0], 1),
        (DIRICHLET, [0, 0, 0, 0], 0),
        # What has no vote settles nothing.
        (DIRICHLET, [None] * 4, 4),
        (DIRICHLET, [0, 1] * 4, 2),
        (WINDOW, [], 3),
        (WINDOW, [0, 1, 0], 3),
        # Three alike, but over two windows.
        (WINDOW, [1, 0, 0, 0, 1, 1], 3),
        (WINDOW, [1, 0, 1, 0, 0, 0], 0),
        (WINDOW, [None] * 3, 3),
        (WINDOW, [0, 1] * 4 + [0], 1),
        (MajoritySection(), [0, 0], 8),
    ],
)
def test_only_as_many_answers_are_due_as_could_settle_it(
    section: MajoritySection, votes: list[int | None], wanted: int
):
    assert due(votes, section, samples=10) == wanted


def test_asking_stops_at_the_first_answer_that_settles_it():
    votes = [0, 1, 0, 0, 0, 0, 0]
    settled = [is_settled(votes[:n], DIRICHLET) for n in range(8)]
    # (5, 1): by the integral 0.93; (6, 1): 0.96.
    assert settled == [lead([votes[:n].count(0), votes[:n].count(1)]) >= 0.95 for n in range(8)]
    assert settled.count(True) == 1
    assert settled[7]


def test_the_majority_of_the_first_k_counts_and_a_tie_goes_to_what_was_given_first():
    ballot = Ballot(
        problem_id="p", votes=(0, 1, 1, None, 0), right=(True, False, False, False, True)
    )
    assert [ballot.value(k) for k in range(1, 6)] == [1, 1, 0, 0, 1]
    assert Ballot(problem_id="q", votes=(None,), right=(False,)).value(1) == 0


def test_weights_may_overrule_the_larger_number():
    ballot = Ballot(
        problem_id="p", votes=(0, 1, 1), right=(True, False, False), weights=(0.9, 0.4, 0.4)
    )
    assert ballot.value(3) == 1
    assert ballot.value(3) != Ballot(problem_id="p", votes=(0, 1, 1), right=ballot.right).value(3)


def test_what_was_saved_is_a_share_of_all_samples():
    ballots = [
        Ballot(problem_id="p", votes=(0, 0, 0, 0), right=(True,) * 4),
        Ballot(problem_id="q", votes=(0, 1, None, 0, 2, 0), right=(False,) * 6),
    ]
    found = consistency(ballots, samples=6)
    assert (found.asked, found.whole, found.saved) == (10, 12, pytest.approx(2 / 12))
    assert (found.stopped, found.n, found.share) == (1, 2, pytest.approx((1 + 3 / 6) / 2))
