"""The whole price of a run before it is begun, from a run on a few problems."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from leaf.doctor.finding import Finding
from leaf.doctor.trials import estimate
from leaf.errors import LeafError, UsageError
from leaf.recipe import Recipe
from leaf.report.cost import STAGES
from leaf.report.formats import duration
from leaf.store.arms import arm_of, in_order
from leaf.store.memory import size_of


def check_total(recipe: Recipe, price: float | None = None) -> Iterator[Finding]:
    """Say what the baseline, LeaF and the whole command will take.

    Args:
        recipe: The resolved recipe.
        price: Of an hour of this machine, in whatever money.
    """
    try:
        total = estimate(recipe)
    except LeafError as error:
        yield Finding("warn", f"total: cannot be estimated: {error}")
        return
    base, first = recipe.baseline, next(iter(STAGES))
    ways = {
        base: {first: total.needed, "distill": total.training.get(base, 0.0)},
        "leaf": {**total.stage_1, "distill": total.training.get("leaf", 0.0)},
    }
    by = f"; from a run on {total.tried} problems here"
    for arm, stages in ways.items():
        spent = _about(sum(stages.values()), price)
        yield Finding("good", f"total, {arm_of(arm).title}: {spent}: {_each(stages, price)}{by}")
        by = ""
    arms = ", ".join(arm_of(arm).title for arm in in_order(total.training))
    before, training = sum(total.stage_1.values()) + total.arms, sum(total.training.values())
    yield Finding(
        "good",
        f"total, the whole command: {_about(total.whole, price)}: stage 1 {duration(before)}, "
        f"training {duration(training)} ({arms}), evaluation {duration(total.evaluation)}",
    )
    said = [
        f"{role} {sum(counts.values()):,} ("
        + ", ".join(f"{STAGES[stage]} {count:,}" for stage, count in counts.items())
        + ")"
        for role, counts in _by_role(total.tokens).items()
    ]
    yield Finding("good", f"total, tokens read and written before training: {'; '.join(said)}")
    yield Finding(
        "good",
        f"total, memory: at least about {size_of(total.peak)}, as with {total.tried} problems; "
        f"disk: {size_of(total.disk)}",
    )


def check_price(price: float | None) -> None:
    """Refuse what is no amount; raises `UsageError`."""
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise UsageError(f"--price {price}: must be an amount, at least 0")


def _about(seconds: float, price: float | None) -> str:
    at = "" if price is None else f", {_money(seconds, price)} at {price:g} an hour"
    return f"about {duration(seconds)}{at}"


def _each(stages: Mapping[str, float], price: float | None) -> str:
    """Say what each stage takes, those that take nothing left out."""
    spent = {stage: seconds for stage, seconds in stages.items() if seconds}
    return ", ".join(
        f"{STAGES[stage]} {duration(spent[stage])}"
        + ("" if price is None else f" ({_money(spent[stage], price)})")
        for stage in STAGES
        if stage in spent
    )


def _money(seconds: float, price: float) -> str:
    return f"{price * seconds / 3600:.2f}"


def _by_role(tokens: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for (role, stage), count in tokens.items():
        found[role][stage] = count
    return found
