import math

import numpy as np
import pytest

from leaf.errors import LeafError
from leaf.records import Outcome, Score
from leaf.statistics import accuracy, bootstrap, compare, compare_values, mcnemar, wilson


def scored(pattern: str) -> list[Score]:
    """Scores from a word: r right, w wrong, u ungradable."""
    outcomes = {"r": Outcome.RIGHT, "w": Outcome.WRONG, "u": Outcome.UNGRADABLE}
    return [
        Score(problem_id=f"p{i}", outcome=outcomes[letter], extracted=None, reason=None)
        for i, letter in enumerate(pattern)
    ]


def paired(wins: int, losses: int, both: int, neither: int) -> tuple[list[Score], list[Score]]:
    ours = scored("r" * wins + "w" * losses + "r" * both + "w" * neither)
    theirs = scored("w" * wins + "r" * losses + "r" * both + "w" * neither)
    return ours, theirs


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 10), (16, 16), (700, 1319)])
def test_accuracy_interval_is_the_closed_form_of_wilson(right: int, n: int) -> None:
    estimate = accuracy(scored("r" * right + "w" * (n - right)))
    z, p = 1.959963984540054, right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (estimate.right, estimate.n, estimate.mean) == (right, n, p)
    assert estimate.low == pytest.approx(max(centre - half, 0), abs=1e-9)
    assert estimate.high == pytest.approx(min(centre + half, 1), abs=1e-9)


def test_ungradable_answers_count_in_n_as_not_right_and_are_told_apart() -> None:
    estimate = accuracy(scored("rruw"))
    assert (estimate.right, estimate.ungradable, estimate.n, estimate.mean) == (2, 1, 4, 0.5)


def test_accuracy_of_nothing_is_refused() -> None:
    with pytest.raises(LeafError, match="at least one score"):
        accuracy([])


def test_mcnemar_is_the_doubled_binomial_tail() -> None:
    # 10 discordant pairs, 2 or fewer losses: (1 + 10 + 45) / 2**10, doubled = 0.109375.
    comparison = compare(*paired(8, 2, 20, 10), resamples=500, seed=0)
    assert (comparison.wins, comparison.losses, comparison.n) == (8, 2, 40)
    assert comparison.difference == pytest.approx(6 / 40)
    assert comparison.p_value == pytest.approx(0.109375, abs=1e-12)


def test_mcnemar_of_even_wins_and_losses_is_one() -> None:
    assert compare(*paired(3, 3, 5, 5), resamples=200, seed=0).p_value == 1.0


def test_bootstrap_interval_agrees_with_the_normal_approximation_at_large_n() -> None:
    comparison = compare(*paired(150, 90, 500, 260), resamples=4000, seed=1)
    # Variance of a difference in {-1, 0, 1}: (wins + losses)/n - difference**2.
    spread = 1.96 * math.sqrt((240 / 1000 - 0.06**2) / 1000)
    assert comparison.low == pytest.approx(0.06 - spread, abs=0.004)
    assert comparison.high == pytest.approx(0.06 + spread, abs=0.004)


def test_scores_are_paired_by_id_whatever_their_order() -> None:
    ours, theirs = paired(6, 1, 9, 4)
    order = np.random.default_rng(3).permutation(len(theirs))
    shuffled = [theirs[i] for i in order]
    assert compare(ours, shuffled, resamples=300, seed=5) == compare(
        ours, theirs, resamples=300, seed=5
    )


def test_the_same_seed_gives_the_same_interval() -> None:
    ours, theirs = paired(9, 4, 9, 4)
    first = compare(ours, theirs, resamples=300, seed=5)
    assert compare(ours, theirs, resamples=300, seed=5) == first


@pytest.mark.parametrize(("wins", "both", "difference"), [(0, 6, 0.0), (6, 0, 1.0), (1, 0, 1.0)])
def test_equal_differences_have_no_interval_and_say_so(
    wins: int, both: int, difference: float
) -> None:
    comparison = compare(*paired(wins, 0, both, 0), resamples=200, seed=0)
    assert (comparison.low, comparison.high) == (None, None)
    assert comparison.difference == difference
    assert comparison.note is not None
    assert "No interval" in comparison.note


def test_an_interval_comes_without_a_note() -> None:
    assert compare(*paired(3, 1, 3, 1), resamples=200, seed=0).note is None


def test_different_problems_on_the_two_sides_are_refused_by_name() -> None:
    with pytest.raises(LeafError, match=r"1 are on one side only \(first: 'p2', only in `base"):
        compare(scored("rw"), scored("rwr"), resamples=200, seed=0)


def test_a_problem_scored_twice_is_refused_by_name() -> None:
    with pytest.raises(LeafError, match="more than one score for problem 'p0'"):
        compare(scored("r") * 2, scored("rw"), resamples=200, seed=0)


def test_comparing_nothing_is_refused() -> None:
    with pytest.raises(LeafError, match="`scores` has none"):
        compare([], [], resamples=200, seed=0)


OURS = {f"q{i}": float(i % 3 > 0) for i in range(60)}
THEIRS = {f"q{i}": float(i % 4 > 1) for i in range(60)}


def copied(values: dict[str, float], times: int) -> dict[str, float]:
    return {f"{one}/{copy}": value for one, value in values.items() for copy in range(times)}


def test_copies_of_a_question_say_nothing_new() -> None:
    once = compare_values(OURS, THEIRS, resamples=2000, seed=0)
    ours, theirs = copied(OURS, 5), copied(THEIRS, 5)
    base_of = {one: one.partition("/")[0] for one in ours}
    found = compare_values(ours, theirs, base_of=base_of, resamples=2000, seed=0)
    assert (found.n, found.wins, found.losses) == (300, 5 * once.wins, 5 * once.losses)
    assert (found.problems, once.problems) == (60, None)
    assert (found.difference, found.p_value) == (once.difference, once.p_value)
    assert (found.low, found.high) == (once.low, once.high)
    # Taken one by one they would seem to be five times as many questions.
    alone = compare_values(ours, theirs, resamples=2000, seed=0)
    assert alone.p_value < once.p_value
    assert None not in (alone.low, alone.high, once.low, once.high)
    assert (alone.high or 0) - (alone.low or 0) < 0.6 * ((once.high or 0) - (once.low or 0))


def test_an_interval_over_base_problems_agrees_with_the_variance_of_clusters() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, 400)
    lean = rng.normal(0.1, 0.3, 400)
    ours, theirs, base_of = {}, {}, {}
    for base, size in enumerate(sizes):
        for number in range(size):
            name = f"{base}-{number}"
            ours[name] = float(np.clip(0.5 + lean[base] + rng.normal(0, 0.05), 0, 1))
            theirs[name], base_of[name] = 0.5, str(base)
    found = compare_values(ours, theirs, base_of=base_of, resamples=2000, seed=0)
    # Of a ratio of sums over clusters c: sqrt(sum_c (won_c - ratio size_c)^2) / n.
    won = np.zeros(400)
    for name, value in ours.items():
        won[int(base_of[name])] += value - 0.5
    spread = 1.96 * math.sqrt(((won - found.difference * sizes) ** 2).sum()) / sizes.sum()
    assert found.difference == pytest.approx(won.sum() / sizes.sum())
    assert found.low == pytest.approx(found.difference - spread, abs=0.1 * spread)
    assert found.high == pytest.approx(found.difference + spread, abs=0.1 * spread)


def test_the_test_counts_base_problems_on_which_one_model_is_better() -> None:
    # Four base problems: won by 2 questions to 1, won 1 to 0, lost 0 to 1, even 1 to 1.
    pairs = {
        **{"a1": (1, 0), "a2": (1, 0), "a3": (0, 1)},
        **{"b1": (1, 0), "b2": (1, 1)},
        **{"c1": (0, 1)},
        **{"d1": (1, 0), "d2": (0, 1)},
    }
    found = compare_values(
        {name: float(ours) for name, (ours, _) in pairs.items()},
        {name: float(theirs) for name, (_, theirs) in pairs.items()},
        base_of={name: name[0] for name in pairs},
        resamples=200,
        seed=0,
    )
    assert (found.wins, found.losses, found.problems) == (4, 3, 4)
    # Two better, one worse: the least that three can show is 1.
    assert found.p_value == 1.0


@pytest.mark.parametrize("base_of", [None, {}, {"q0": "", "q1": ""}, {"q0": "a", "q1": "b"}])
def test_questions_that_share_no_base_problem_stand_by_themselves(
    base_of: dict[str, str] | None,
) -> None:
    found = compare_values(OURS, THEIRS, base_of=base_of, resamples=300, seed=0)
    assert found == compare_values(OURS, THEIRS, resamples=300, seed=0)
    assert found.problems is None


def test_a_base_problem_is_not_taken_for_a_question_of_that_name() -> None:
    base_of = {"q0": "q1", "q2": "q1"}
    found = compare_values(OURS, THEIRS, base_of=base_of, resamples=300, seed=0)
    assert found.problems == 59


def test_base_problems_that_are_all_alike_have_no_interval() -> None:
    ours = {"a1": 1.0, "a2": 0.0, "b1": 0.0, "b2": 1.0}
    base_of = {name: name[0] for name in ours}
    found = compare_values(ours, dict.fromkeys(ours, 0.0), base_of=base_of, resamples=99, seed=0)
    assert (found.low, found.high) == (None, None)
    assert found.note == "No interval: the difference is the same on all 2 base problems."


@pytest.mark.parametrize(("count", "n"), [(0, 7), (3, 10), (16, 16), (700, 1319)])
def test_the_interval_is_the_closed_form_of_wilson(count: int, n: int) -> None:
    z, p = 1.959963984540054, count / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = wilson(count, n)
    assert low == pytest.approx(max(centre - half, 0), abs=1e-9)
    assert high == pytest.approx(min(centre + half, 1), abs=1e-9)


@pytest.mark.parametrize(("count", "n"), [(0, 0), (3, 2)])
def test_a_share_of_nothing_or_above_one_is_refused(count: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"\bn\b|\bk\b"):
        wilson(count, n)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (8, 0, 2 / 2**8),
        (0, 8, 2 / 2**8),
        (8, 2, 2 * (1 + 10 + 45) / 2**10),  # two or fewer of ten, both tails
    ],
)
def test_mcnemar_of_counts_is_the_doubled_binomial_tail(
    wins: int, losses: int, p_value: float
) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p_value, abs=1e-12)


def test_one_item_alone_has_no_bootstrap_interval() -> None:
    assert bootstrap(np.mean, [np.array([0.5])], resamples=100, seed=0) is None
