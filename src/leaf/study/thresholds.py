"""Yield: what each rule and threshold would give, from one attribution pass (Fig. 9, 10).

Questions that several settings have in common are verified once. What thresholds teach is the study
`threshold-accuracy`.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from leaf.pipeline.stages import Pipeline
from leaf.progress import say
from leaf.prune import RULES
from leaf.recipe import PruneSection, Recipe
from leaf.records import Counterfactual, Verdict
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.finding import Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.plot import LOOKS
from leaf.study.seeds import share

TAUS = (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
"""Thresholds of both rules, as the paper's figures span them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What one rule and threshold give."""

    rule: str
    """`value` (Eq. 5) or `quantile`."""
    threshold: float
    """Tau of Eq. 5, or the share of the quantile rule."""
    problems: int
    """Problems with a span to cut."""
    spans: int
    """Different spans, refused ones left out."""
    refused: int
    """Spans that a guard refused, or that left nothing, or that no filler fits."""
    tried: int
    """Different changed questions."""
    verified: int
    """Those that both models answer right."""
    freed: int
    """Problems with at least one of those."""
    share: Interval | None
    """`verified / tried`; None where there is no variant."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Yield:
    """The whole grid."""

    entered: int
    """Problems that entered detection: student wrong, teacher right."""
    verified_once: int
    """Different changed questions of all settings together: what was verified."""
    points: tuple[Point, ...]
    """By rule, then by threshold."""


_COLUMNS = {
    "problems": "count",
    "spans": "count",
    "tried": "count",
    "verified": "count",
    "share": "share",
    "freed": "count",
}


def thresholds(lab: Lab) -> Finding:
    """Count what each rule and threshold cuts, and how much of it is verified."""
    taus, rules = lab.choices.taus or TAUS, lab.choices.rules or tuple(RULES)
    counted = count_yield(lab.recipe, lab.store, taus, rules)
    rows = tuple(
        Row(
            labels={"rule": point.rule, "threshold": threshold_text(point.threshold)},
            cells={name: getattr(point, name) for name in _COLUMNS},
        )
        for point in counted.points
    )
    return Finding(
        study="thresholds",
        says=(
            f"{counted.entered} problems entered detection; {counted.verified_once} different "
            "changed questions were verified, each once. freed: problems with a verified question.",
        ),
        tables=(Table(title="What each threshold gives", columns=_COLUMNS, rows=rows),),
        draw=lambda figure: draw_yield(figure, counted.points),
        size=(9.0, 3.6),
    )


def threshold_text(tau: float) -> str:
    """Write a threshold with two digits, or as many as tell it from others."""
    return f"{tau:.2f}" if round(tau, 2) == tau else f"{tau:g}"


def count_yield(
    recipe: Recipe, store: Store, taus: Sequence[float], rules: Sequence[str] = tuple(RULES)
) -> Yield:
    """Cut with every rule and threshold, verify each different question once, and count.

    Transplants are left out: they are made of what was verified.

    Args:
        recipe: Models, data, detector, units, guards; its rule and threshold are not looked at.
        store: Where answers, scores and verdicts are kept and found again.
        taus: Thresholds for the rules, each in [0, 1].
        rules: Of `leaf.prune.RULES`.
    """
    pipeline = Pipeline(recipe, store)
    results = pipeline.run(until="attribute", after_stage=lambda: None)
    attributions = results.attributions or []
    grid = {
        (rule, tau): pipeline.detection.cuts_with(_section(recipe.prune, rule, tau), attributions)
        for rule in rules
        for tau in sorted(set(taus))
    }
    different = _different([item for cuts in grid.values() for item in cuts])
    asked = sum(not item.skipped for cuts in grid.values() for item in cuts)
    say(f"{len(different)} different changed questions stand for {asked} of {len(grid)} settings")
    verdicts = {
        (item.problem_id, item.question): verdict
        for item, verdict in zip(different, pipeline.detection.judged(different), strict=True)
    }
    return Yield(
        entered=len(pipeline.detection.chosen),
        verified_once=len(different),
        points=tuple(
            _point(rule, tau, cuts, verdicts, pipeline.detection.origins)
            for (rule, tau), cuts in grid.items()
        ),
    )


def _section(section: PruneSection, rule: str, threshold: float) -> PruneSection:
    """Return the settings of one point; what is made of verified cuts is left to `leaf run`."""
    changes = {
        "rule": rule,
        "threshold": threshold,
        "response_threshold": None,
        "strategy": section.without("transplant", "inject"),
    }
    return PruneSection.model_validate({**section.model_dump(), **changes})


def _different(cuts: Sequence[Counterfactual]) -> list[Counterfactual]:
    """Return each different changed question of a problem once, under an id of its own."""
    first: dict[tuple[str, str], Counterfactual] = {}
    for item in cuts:
        if not item.skipped:
            first.setdefault((item.problem_id, item.question), item)
    numbers: dict[str, int] = {}
    named = []
    # By problem and text, so that the grid's order and number of settings name nothing.
    for (problem, _), item in sorted(first.items()):
        number = numbers[problem] = numbers.get(problem, -1) + 1
        named.append(dataclasses.replace(item, id=f"{problem}/v{number}"))
    return named


def _point(
    rule: str,
    threshold: float,
    cuts: Sequence[Counterfactual],
    verdicts: dict[tuple[str, str], Verdict],
    origins: Mapping[str, str],
) -> Point:
    """Count what one setting gives; `origins` maps a response-level problem to its problem."""
    tried = [item for item in cuts if not item.skipped]
    kept = [item for item in tried if verdicts[item.problem_id, item.question].kept]
    return Point(
        rule=rule,
        threshold=threshold,
        problems=len({origins.get(item.problem_id, item.problem_id) for item in tried}),
        spans=len({(i.problem_id, span.start, span.end) for i in tried for span in i.spans}),
        refused=sum(item.skipped is not None and bool(item.spans) for item in cuts),
        tried=len(tried),
        verified=len(kept),
        freed=len({origins.get(item.problem_id, item.problem_id) for item in kept}),
        share=share(len(kept), len(tried)),
    )


_NAMES = {"value": "value (Eq. 5)", "quantile": "quantile"}


def draw_yield(figure: Figure, points: Sequence[Point]) -> None:
    """Draw how many changed questions each threshold gives, and the share that is verified."""
    counts, shares = figure.subplots(1, 2)
    for rule, look in zip(dict.fromkeys(point.rule for point in points), LOOKS, strict=False):
        of_rule = [point for point in points if point.rule == rule]
        taus = [point.threshold for point in of_rule]
        for column, line in (("tried", ":"), ("verified", "-")):
            values = [getattr(point, column) for point in of_rule]
            counts.plot(taus, values, line, label=f"{_NAMES[rule]}: {column}", **look)
        known = [(point.threshold, point.share) for point in of_rule if point.share]
        taus = [tau for tau, _ in known]
        low, high = (
            [getattr(share_verified, end) or 0.0 for _, share_verified in known]
            for end in ("low", "high")
        )
        shares.fill_between(taus, low, high, color=look["color"], alpha=0.15, linewidth=0)
        shares.plot(taus, [share_verified.value for _, share_verified in known], **look)
    for axes, what in ((counts, "changed questions"), (shares, "verified share, 95% interval")):
        axes.set_xlabel("threshold (tau, or share of the quantile rule)")
        axes.set_ylabel(what)
        axes.set_ylim(bottom=0)
    counts.legend(frameon=False, fontsize=9)
    shares.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
