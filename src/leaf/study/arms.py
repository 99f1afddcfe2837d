"""Students that several settings of a recipe make, beside the baseline of each.

The baseline is plain distillation (KD), or without a teacher RFT: the student trained on its own
right answers. It takes as many steps as LeaF, and LeaF's steps follow from how many changed
questions a setting gives; so each setting has its own, unless `distill.max_steps` fixes the steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaf.errors import StudyError
from leaf.evaluate import Robustness
from leaf.recipe import EvaluateSection
from leaf.statistics import Interval
from leaf.store.arms import arm_of
from leaf.study.finding import Cell, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.output import written
from leaf.study.paper import AVERAGE
from leaf.study.scores import Bases, Scores, difference_of, mean_of, wins_and_losses

WHO = {
    "kd": "plain distillation (KD)",
    "rft": "training on its own right answers (RFT)",
}
"""A baseline in words."""

UNCLEAR = "no clear difference"
"""Of a gain whose interval has 0 in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What one setting gave; every tuple has an entry for each seed."""

    name: str
    """For people."""
    section: EvaluateSection
    """Resamples and seed of the bootstrap."""
    students: Mapping[str, tuple[Scores, ...]]
    """Arm (`before`, the baseline, `leaf`, perhaps `teacher`) to what it got right."""
    changed: tuple[int, ...]
    """Changed questions that LeaF learned from besides the originals."""
    made: Mapping[str, tuple[str, ...]]
    """Arm (the baseline, `leaf`) to its students' names in the store; one name, one student."""
    robustness: tuple[Mapping[str, Mapping[str, Robustness]], ...]
    """As in `Results`."""
    bases: Bases = field(default_factory=dict)
    """Of the first seed's questions."""
    baseline: str = "kd"
    """The arm that LeaF is held against: `kd`, or `rft` without a teacher."""

    @property
    def plain(self) -> str:
        """The baseline's title: KD or RFT."""
        return arm_of(self.baseline).title

    @property
    def labels(self) -> list[str]:
        """Benchmarks with their measures, as `Results.values` names them."""
        return list(self.students["leaf"][0])

    def right(self, arm: str, labels: Sequence[str]) -> Interval:
        """Return what an arm gets right of some benchmarks, each with the same weight."""
        return mean_of(self.students[arm], labels, self.section, self.bases)

    def gain(self, labels: Sequence[str], over: "Trained | None" = None) -> Interval:
        """Return how much better LeaF is than its own baseline, or than LeaF of another setting."""
        baseline = over.students["leaf"] if over else self.students[self.baseline]
        return difference_of(self.students["leaf"], baseline, labels, self.section, self.bases)

    def against_baseline(self, labels: Sequence[str], heading: str) -> dict[str, Cell]:
        """Return the cells of LeaF against its own baseline; the difference under `heading`."""
        baseline = self.students[self.baseline]
        wins, losses = wins_and_losses(self.students["leaf"], baseline, labels)
        return {heading: self.gain(labels), "wins": wins, "losses": losses}


def train(lab: Lab, name: str, changes: Mapping[str, Any]) -> Trained:
    """Train and ask the students of one setting, for each seed.

    The recipe's controls are left out: nothing is trained on what they cut. So are its arms.

    Args:
        lab: Recipe, store and seeds.
        name: Of the setting, for people.
        changes: Dotted keys of the recipe and their values.

    Raises:
        StudyError: the recipe has no benchmark.
    """
    if not lab.recipe.evaluate.benchmarks:
        raise StudyError(
            f"recipe {lab.recipe.name} has no benchmark to ask its students; name one in the "
            "recipe, such as evaluate: {benchmarks: {gsm8k: {task: gsm8k, split: test}}}"
        )
    runs = lab.runs(changes, until="evaluate", label=name)
    results = [run.results for run in runs]
    baseline = lab.recipe.baseline
    return Trained(
        name=name,
        section=lab.recipe.evaluate,
        students={
            arm: tuple({label: arms[arm] for label, arms in one.values.items()} for one in results)
            for arm in next(iter(results[0].values.values()))
        },
        changed=tuple(_changed(run) for run in runs),
        made={arm: tuple(one.students[arm].name for one in results) for arm in (baseline, "leaf")},
        robustness=tuple(one.robustness for one in results),
        bases=results[0].bases,
        baseline=baseline,
    )


def with_average(labels: Sequence[str]) -> dict[str, list[str]]:
    """Return each label, and after several their average, and which labels it rests on."""
    rows = {label: [label] for label in labels}
    return rows if len(labels) < 2 else {**rows, AVERAGE: list(labels)}


Beside = Callable[[str, str], Mapping[str, float]]
"""From a setting's name and a benchmark to the paper's values of the row's cells."""


def settings_table(
    heading: str, settings: Sequence[Trained], paper: Beside = lambda name, label: {}
) -> Table:
    """Compare settings on every benchmark and on average: LeaF, its baseline, the first LeaF.

    Args:
        heading: What the settings are.
        settings: Later ones are compared with the first one.
        paper: Where to find the paper's values.
    """
    first, plain = settings[0], settings[0].plain
    versus = f"LeaF minus {first.name}"
    rows = []
    for label, labels in with_average(first.labels).items():
        for setting in settings:
            right = setting.right("leaf", labels)
            cells: dict[str, Cell] = {
                plain: setting.right(setting.baseline, labels),
                "LeaF": right,
                **setting.against_baseline(labels, f"LeaF minus {plain}"),
                "n": right.n,
            }
            if setting is not first:
                cells[versus] = setting.gain(labels, over=first)
            labelled = {"benchmark": label, heading: setting.name}
            rows.append(Row(labels=labelled, cells=cells, paper=paper(setting.name, label)))
    columns = {plain: "share", "LeaF": "share", f"LeaF minus {plain}": "points"}
    columns |= {"wins": "count", "losses": "count", versus: "points", "n": "count"}
    return Table(
        title=f"Share right after {plain} and after LeaF", columns=columns, rows=tuple(rows)
    )


def data_table(heading: str, settings: Sequence[Trained]) -> Table:
    """Say how many changed questions each setting gave LeaF, as a mean over seeds."""
    counts = {one.name: sum(one.changed) / len(one.changed) for one in settings}
    return Table(
        title="What LeaF learned from besides the originals",
        columns={"changed questions": "count"},
        rows=tuple(
            Row(labels={heading: name}, cells={"changed questions": count})
            for name, count in counts.items()
        ),
    )


def says_gains(lab: Lab, settings: Sequence[Trained]) -> tuple[str, ...]:
    """Say of each setting how LeaF did against its baseline, and how to read that."""
    first = settings[0]
    benchmarks = first.labels
    where = f"the average of {len(benchmarks)} benchmarks" if len(benchmarks) > 1 else benchmarks[0]
    lines = [_gain_line(setting, where) for setting in settings]
    for setting in settings[1:]:
        versus = setting.gain(benchmarks, over=first)
        lines.append(
            f"{setting.name} against {first.name}: LeaF differs by {written(versus, 'points')} "
            f"points on {where}, {verdict_of(versus) or UNCLEAR}."
        )
    return (*lines, "Wins and losses: questions of all seeds.", *says_how(lab, settings))


def says_how(lab: Lab, settings: Sequence[Trained]) -> tuple[str, ...]:
    """Say how to read what settings gave: who learned the same, steps, the baseline, intervals."""
    plain, lines = settings[0].plain, []
    idle = [setting.name for setting in settings if not any(setting.changed)]
    if idle:
        lines.append(
            f"No changed question was verified with {', '.join(idle)}: LeaF trained on the "
            "originals alone."
        )
    same: dict[tuple[str, ...], list[str]] = {}
    for setting in settings:
        same.setdefault(setting.made["leaf"], []).append(setting.name)
    lines += [
        f"{', '.join(names)} gave the same training data, so the same student."
        for names in same.values()
        if len(names) > 1
    ]
    by_epochs = lab.recipe.distill.max_steps is None and lab.recipe.distill.max_tokens is None
    if by_epochs and len({setting.made[setting.baseline] for setting in settings}) > 1:
        lines.append(
            f"Each setting has a {plain} of its own, of as many steps as its LeaF; "
            "distill.max_steps gives all the same."
        )
    if lab.recipe.alone:
        lines.append(
            "There is no teacher: RFT is the same start trained on its own right answers to the "
            "original questions."
        )
    seeds = len(lab.seeds)
    over = f"over {seeds} seeds (Student's t)" if seeds > 1 else "over the questions of one seed"
    return (*lines, f"Intervals are 95%, {over}.")


def _gain_line(setting: Trained, where: str) -> str:
    """Say the gain on all, then where it differs clearly from 0 if there are several."""
    labels = setting.labels
    gain = setting.gain(labels)
    line = (
        f"{setting.name}: LeaF minus {setting.plain} is {written(gain, 'points')} points on {where}"
    )
    line += f", {verdict_of(gain) or UNCLEAR}"
    clear: dict[str, list[str]] = {}
    for label in labels if len(labels) > 1 else []:
        if verdict := verdict_of(setting.gain([label])):
            clear.setdefault(verdict, []).append(label)
    for verdict, benchmarks in clear.items():
        line += f"; {verdict} on {', '.join(benchmarks)}"
    return f"{line}."


def verdict_of(gain: Interval) -> str | None:
    """Say `better` or `worse` where the whole interval does; else None."""
    return {1: "better", -1: "worse"}.get(gain.side_of_zero)


def _changed(run: Run) -> int:
    """Return how many rows of changed questions LeaF had."""
    return sum(n for kind, n in run.results.rows["leaf"].items() if kind != "original")
