"""What each threshold teaches: LeaF against its baseline (Fig. 9, 10, Table 7).

What thresholds cut, without training, is the study `thresholds`.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from matplotlib.figure import Figure

from leaf.study import paper
from leaf.study.arms import Trained, data_table, says_gains, settings_table, train, with_average
from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.plot import Series, add_legend, draw_lines
from leaf.study.thresholds import threshold_text

TAUS = (0.05, 0.10, 0.15)
"""Those of Table 7."""

_KEYS = {"instruction": "prune.threshold", "response": "prune.response_threshold"}
"""Level to the key of its threshold."""

_BENCHES = {"1 math": "MathBench", "1 code": "CodeBench"}
"""Table 7 has the average of the benchmarks of each of these tables."""


def threshold_accuracy(lab: Lab) -> Finding:
    """Train LeaF with each threshold of the recipe's own rule, one level at a time."""
    taus = sorted(set(lab.choices.taus or TAUS))
    levels = ["instruction", *(["response"] if "response" in lab.recipe.prune.levels else [])]
    by_level = {
        level: [
            train(
                lab, f"{level} {threshold_text(tau)}", {"prune.levels": [level], _KEYS[level]: tau}
            )
            for tau in taus
        ]
        for level in levels
    }
    settings = list(chain.from_iterable(by_level.values()))

    def beside(name: str, label: str) -> Mapping[str, float]:
        level, _, tau = name.partition(" ")
        value = _printed(lab, tau, label) if level == "instruction" else None
        return {} if value is None else {"LeaF": value}

    heading = "level and threshold"
    bench = paper.nearest_table(lab.recipe, *_BENCHES)
    return Finding(
        study="threshold-accuracy",
        says=(
            *says_gains(lab, settings),
            f"Thresholds are of the recipe's own rule, `{lab.recipe.prune.rule}`. Fig. 9 and 10 of "
            "the paper print no values; Table 7 has the average over its benchmarks.",
        ),
        tables=(settings_table(heading, settings, beside), data_table(heading, settings)),
        paper=(paper.printed_table("7"),) if paper.shown(lab.recipe, bench) else (),
        differs=paper.differs(lab.recipe, bench, swept=("prune.levels",)),
        draw=lambda figure: _draw(lab, figure, taus, by_level),
        size=(4.0 + 3.5 * len(levels), 4.4),
    )


def _printed(lab: Lab, tau: str, label: str) -> float | None:
    """Return Table 7's value; it has averages alone, and only where all their benchmarks are."""
    for table, bench in _BENCHES.items():
        # Table 1 has an average of the same benchmarks, for LeaF with the best threshold.
        if paper.beside(lab.recipe, table, "instruction", label) is not None:
            if label != paper.AVERAGE:
                return None
            return paper.of_student(lab.recipe, "7").get(bench, {}).get(tau)
    return None


def _draw(
    lab: Lab, figure: Figure, taus: Sequence[float], by_level: Mapping[str, Sequence[Trained]]
) -> None:
    every = figure.subplots(1, len(by_level), sharey=True, squeeze=False)[0]
    for axes, (level, settings) in zip(every, by_level.items(), strict=True):
        series: Series = {
            label: [setting.gain(labels) for setting in settings]
            for label, labels in with_average(settings[0].labels).items()
        }
        draw_lines(
            axes, taus, series, unit="points", title=f"{level}: LeaF minus its {settings[0].plain}"
        )
        axes.set_xlabel(f"threshold ({lab.recipe.prune.rule} rule)")
    add_legend(figure, every[0])
