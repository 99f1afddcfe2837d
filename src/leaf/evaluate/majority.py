r"""Self-consistency: which of several sampled answers most give, and when that is certain enough.

*Dirichlet* (the criterion of Aggarwal et al. 2023, Let's Sample Step by Step). A model gives answer
i with a probability p_i that nobody knows; beforehand any p is as likely as any other. After counts
v_1 >= v_2 >= ... p is Dirichlet(v_1 + 1, v_2 + 1, ..., 1): the last 1 is an answer that nobody gave
yet. A Dirichlet is independent gamma variables over their sum, so the first answer leads when its
gamma variable is the largest. With a = v + 1, whole numbers, Gamma(a, 1) is at most x with

    G_a(x) = 1 - e^-x T_a(x),    T_a(x) = sum of x^i / i! over i < a,

    P(p_1 is the largest) = integral of x^(a_1 - 1) / (a_1 - 1)! e^-x  prod_j G_aj(x) dx over x > 0.

Multiplied out, the product is a sum over s, how many of its factors give their second term, of
(-1)^s e^-sx E_s(x), where E_s sums the products of s of the T; and each power x^t of E_s gives

    (a_1 - 1 + t)! / (a_1 - 1)! / (1 + s)^(a_1 + t).

All is computed in whole fractions, so that nothing cancels. With n answers alike it is
1 - 2^-(n + 1): four are 96.9% certain.

*Window* (Li et al. 2024, Escape Sky-high Cost). Answers are asked for `window` at a time; when all
of one window are the same, that is enough.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import factorial

from leaf.recipe import MajoritySection
from leaf.statistics import Values

Votes = Sequence[int | None]
"""What each answer to one problem votes for: a number that those share that say the same; None:
nothing could be read in it, so that it has no vote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ballot:
    """The answers to one problem, in the order in which they were given."""

    problem_id: str
    votes: tuple[int | None, ...]
    right: tuple[bool, ...]
    """Whether each was graded right."""
    weights: tuple[float, ...] | None = None
    """What each vote weighs; None: all the same."""

    def winner(self, k: int) -> int | None:
        """Return what most of the first k answers vote for, of several the one given first."""
        weights = self.weights or (1.0,) * len(self.votes)
        sums: dict[int, float] = {}
        for vote, weight in zip(self.votes[:k], weights, strict=False):
            if vote is not None:
                sums[vote] = sums.get(vote, 0.0) + weight
        return max(sums, key=lambda vote: sums[vote], default=None)

    def value(self, k: int) -> float:
        """Return maj@k: 1 where that answer is right."""
        winner = self.winner(k)
        return 0.0 if winner is None else float(self.right[self.votes.index(winner)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Consistency:
    """How much one model's answers to the same question agree, and what stopping early saved."""

    asked: int
    """Answers that were asked for."""
    whole: int
    """Answers that `samples` of each problem would have been."""
    saved: float
    """Share of `whole` that was not asked for, in [0, 1]."""
    stopped: int
    """Problems whose majority was settled before the last sample."""
    share: float
    """Mean share of a problem's answers that give its majority's, in [0, 1]."""
    n: int
    """Problems."""


def majority_at(ballots: Sequence[Ballot], k: int) -> Values:
    """Return maj@k of each problem; where sampling ended earlier, of all its answers."""
    return {ballot.problem_id: ballot.value(k) for ballot in ballots}


def consistency(ballots: Sequence[Ballot], samples: int) -> Consistency:
    """Say how much answers agree and how many were not asked for, of `samples` a problem."""
    asked, whole = sum(len(ballot.votes) for ballot in ballots), samples * len(ballots)
    shares = [
        ballot.votes.count(winner) / len(ballot.votes)
        if (winner := ballot.winner(samples)) is not None
        else 0.0
        for ballot in ballots
    ]
    return Consistency(
        asked=asked,
        whole=whole,
        saved=1 - asked / whole,
        stopped=sum(len(ballot.votes) < samples for ballot in ballots),
        share=sum(shares) / len(shares),
        n=len(ballots),
    )


def due(votes: Votes, section: MajoritySection, samples: int) -> int:
    """Return how many answers to ask for next: as few as could settle it; 0 where it is settled.

    Nothing is asked for that turns out not to be needed: with fewer answers it cannot be settled,
    even if all of them vote for the one that leads.
    """
    left = samples - len(votes)
    if section.stop is None or is_settled(votes, section):
        return left if section.stop is None else 0
    counts = Counter(vote for vote in votes if vote is not None)
    leader = max(counts, key=lambda vote: counts[vote], default=0)
    if section.stop == "window":
        return min(left, section.window - len(votes) % section.window)
    for_it = ([*votes, *[leader] * more] for more in range(1, left))
    return next((len(one) - len(votes) for one in for_it if is_settled(one, section)), left)


def is_settled(votes: Votes, section: MajoritySection) -> bool:
    """Whether no more answers are needed; `stop: null` is never settled."""
    if section.stop == "window":
        last = votes[-section.window :]
        whole = len(last) == section.window and len(votes) % section.window == 0
        return whole and len(set(last)) == 1 and last[0] is not None
    counts = Counter(vote for vote in votes if vote is not None)
    return section.stop == "dirichlet" and lead(sorted(counts.values())) >= section.certainty


def lead(counts: Sequence[int]) -> float:
    """Return how likely the answer with the most votes is the model's most likely one.

    Args:
        counts: Votes of each answer that was given, in any order.
    """
    return _lead(tuple(sorted(counts, reverse=True))) if counts else 0.0


@lru_cache(maxsize=4096)
def _lead(counts: tuple[int, ...]) -> float:
    first, *others = (*(count + 1 for count in counts), 1)
    # (s, t) to the coefficient of e^-sx x^t.
    terms = {(0, 0): Fraction(1)}
    for other in others:
        product: defaultdict[tuple[int, int], Fraction] = defaultdict(Fraction)
        for (s, t), part in terms.items():
            product[s, t] += part
            for power in range(other):
                product[s + 1, t + power] -= part / factorial(power)
        terms = product
    integrals = (
        part * factorial(first - 1 + t) / (1 + s) ** (first + t) for (s, t), part in terms.items()
    )
    return float(sum(integrals) / factorial(first - 1))
