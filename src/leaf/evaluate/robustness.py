"""How much variants of problems (distracted, paraphrased) cost: the measures of GSM-IC.

Shi et al. 2023 (arXiv 2302.00093), section 4, with `v` a variant of the base problem `b(v)`:
    micro accuracy       the share of right answers among all variants;
    macro accuracy       the share of base problems all of whose variants are answered right;
    normalised accuracy  micro / base or macro / base, base the accuracy on the base problems.
The drop is base - micro, paired: each variant against its own base problem.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaf.errors import LeafError
from leaf.records import Score
from leaf.statistics import Floats, Interval, bootstrap, by_base, mean, share_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Robustness:
    """One model on variants and on the base problems they are variants of.

    An answer that could not be graded counts as not right, as in `leaf.statistics.accuracy`.
    """

    base: Interval
    """Accuracy on the base problems that have variants; Wilson interval."""
    micro: Interval
    """Accuracy on all variants; interval by a bootstrap of base problems with their variants."""
    macro: Interval
    """Share of base problems all of whose variants are right; Wilson interval."""
    normalised_micro: Interval | None
    """`micro / base`, above 1 where variants are easier; None where no base problem is right."""
    normalised_macro: Interval | None
    """`macro / base`; None where no base problem is right."""
    drop: Interval
    """Mean of base - variant over all variants, in [-1, 1]."""
    lost: int
    """Variants answered wrong whose base problem is answered right."""
    gained: int
    """Variants answered right whose base problem is not."""
    agreement: Interval | None = None
    """How often a variant gets the answer that its base problem gets, right or wrong: the mean over
    base problems of the share of their variants; Wilson interval, or a bootstrap of base problems
    where one has several variants. None where answers cannot be compared, as of programs."""


def robustness(
    variants: Sequence[Score],
    bases: Sequence[Score],
    base_of: Mapping[str, str],
    *,
    same: Mapping[str, bool] | None = None,
    resamples: int,
    seed: int,
) -> Robustness:
    """Measure what variants cost against their base problems, paired; any order.

    Variants of one base problem are not independent: intervals resample base problems, each with
    all its variants.

    Args:
        variants: One score a variant.
        bases: One score a base problem; those without a variant are left out.
        base_of: The base problem's id by the variant's (`Problem.base`).
        same: Whether a variant's answer is that of its base problem, by the variant's id.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        LeafError: no variants, an id scored twice, a variant without a base or whose base is not
            scored.
    """
    columns = _clusters(variants, bases, base_of)
    right_B, count_B, base_B, all_B = columns
    n_variants, n_bases = int(count_B.sum()), len(count_B)

    def ratio(name: str, n: int) -> Interval:
        def statistic(*drawn: Floats, axis: int = -1) -> Floats:
            right, count, base, every = drawn
            totals = [part.sum(axis=axis) for part in (right, count, base, every, base * count)]
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(_RATIOS[name](*totals, right.shape[axis]))

        low, high = bootstrap(statistic, columns, resamples=resamples, seed=seed) or (None, None)
        return Interval(value=float(statistic(*columns)), n=n, low=low, high=high)

    any_base = bool(base_B.any())
    return Robustness(
        base=share_of(int(base_B.sum()), n_bases),
        micro=ratio("micro", n_variants),
        macro=share_of(int(all_B.sum()), n_bases),
        normalised_micro=ratio("normalised_micro", n_bases) if any_base else None,
        normalised_macro=ratio("normalised_macro", n_bases) if any_base else None,
        drop=ratio("drop", n_variants),
        lost=int((base_B * (count_B - right_B)).sum()),
        gained=int(((1 - base_B) * right_B).sum()),
        agreement=None if same is None else _agreement(same, base_of, resamples, seed),
    )


def _agreement(
    same: Mapping[str, bool], base_of: Mapping[str, str], resamples: int, seed: int
) -> Interval:
    alike_B, count_B = by_base({one: float(is_same) for one, is_same in same.items()}, base_of)
    share_B = alike_B / count_B
    if np.isin(share_B, (0.0, 1.0)).all():
        return share_of(int(share_B.sum()), len(share_B))
    interval = bootstrap(mean, (share_B,), resamples=resamples, seed=seed)
    low, high = interval or (None, None)
    return Interval(value=float(share_B.mean()), low=low, high=high, n=len(share_B))


_RATIOS: dict[str, Callable[..., Floats]] = {
    "micro": lambda right, count, base, every, expected, n: right / count,
    "normalised_micro": lambda right, count, base, every, expected, n: right / count / (base / n),
    "normalised_macro": lambda right, count, base, every, expected, n: every / base,
    "drop": lambda right, count, base, every, expected, n: (expected - right) / count,
}
"""Of sums over base problems: right variants, variants, right ones, those with all variants right,
variants that would be right if they were as easy; and their number."""


def _clusters(
    variants: Sequence[Score], bases: Sequence[Score], base_of: Mapping[str, str]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Count per base problem B: right variants, variants, base right, all variants right."""
    if not variants:
        raise LeafError("robustness needs at least one score of a variant, but there are none")
    base_right = _by_id(bases, "base problem")
    marks: dict[str, list[bool]] = defaultdict(list)
    for variant, right in _by_id(variants, "variant").items():
        base = base_of.get(variant, "")
        if base not in base_right:
            raise LeafError(
                f"variant {variant!r} needs the score of its base problem, but {base!r} has none; "
                "evaluate both with the same `limit`"
                if base
                else f"variant {variant!r} names no base problem"
            )
        marks[base].append(right)
    return (
        np.array([sum(group) for group in marks.values()], dtype=np.float64),
        np.array([len(group) for group in marks.values()], dtype=np.float64),
        np.array([base_right[base] for base in marks], dtype=np.float64),
        np.array([all(group) for group in marks.values()], dtype=np.float64),
    )


def _by_id(scores: Sequence[Score], what: str) -> dict[str, bool]:
    right = {score.problem_id: score.right for score in scores}
    if len(right) != len(scores):
        raise LeafError(f"a {what} has more than one score")
    return right
