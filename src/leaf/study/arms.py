"""Students that several settings of a recipe make, beside plain distillation (KD) of each.

KD takes as many steps as LeaF, and LeaF's steps follow from how many changed questions a setting
gives; so each setting has a KD of its own, unless `distill.max_steps` fixes the steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaf.errors import StudyError
from leaf.evaluate import Robustness
from leaf.study.finding import Cell, Measured, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.output import written
from leaf.study.paper import AVERAGE
from leaf.study.scores import Bases, Scores, difference_of, mean_of, wins_and_losses


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What one setting gave; every tuple has an entry for each seed."""

    name: str
    """For people."""
    students: Mapping[str, tuple[Scores, ...]]
    """Arm (`before`, `kd`, `leaf`, perhaps `teacher`) to what it got right."""
    changed: tuple[int, ...]
    """Changed questions that LeaF learned from besides the originals."""
    made: Mapping[str, tuple[str, ...]]
    """Arm (`kd`, `leaf`) to its students' names in the store: two of the same name are one."""
    robustness: tuple[Mapping[str, Mapping[str, Robustness]], ...]
    """As in `Results`."""
    bases: Bases = field(default_factory=dict)
    """Of the first seed's questions."""

    @property
    def labels(self) -> list[str]:
        """Benchmarks with their measures, as `Results.values` names them."""
        return list(self.students["leaf"][0])


def train(lab: Lab, name: str, changes: Mapping[str, Any]) -> Trained:
    """Train and ask the students of one setting, for each seed.

    The recipe's controls are left out: nothing is trained on what they cut.

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
    changes = {"attribute.controls": [], **changes}
    runs = [lab.run(changes, until="evaluate", seed=seed, label=name) for seed in lab.seeds]
    arms = next(iter(runs[0].results.values.values()))
    return Trained(
        name=name,
        students={
            arm: tuple(
                {label: found[arm] for label, found in run.results.values.items()} for run in runs
            )
            for arm in arms
        },
        changed=tuple(_changed(run) for run in runs),
        made={arm: tuple(run.results.students[arm].name for run in runs) for arm in ("kd", "leaf")},
        robustness=tuple(run.results.robustness for run in runs),
        bases=runs[0].results.bases,
    )


def with_average(labels: Sequence[str]) -> dict[str, list[str]]:
    """Return each label, and after several their average, and which labels it rests on."""
    rows = {label: [label] for label in labels}
    return rows if len(labels) < 2 else {**rows, AVERAGE: list(labels)}


def gain(lab: Lab, one: Trained, labels: Sequence[str]) -> Measured:
    """Return how much better a setting's LeaF is than its KD."""
    section = lab.recipe.evaluate
    return difference_of(one.students["leaf"], one.students["kd"], labels, section, one.bases)


Beside = Callable[[str, str], Mapping[str, float]]
"""From a setting's name and a benchmark to the paper's values of the row's cells."""


def settings_table(
    lab: Lab, heading: str, found: Sequence[Trained], paper: Beside = lambda name, label: {}
) -> Table:
    """Compare settings on every benchmark and on average: LeaF, its KD, and LeaF of the first.

    Args:
        lab: Recipe and seeds.
        heading: What the settings are.
        found: The settings; later ones are compared with the first one.
        paper: Where to find the paper's values.
    """
    first = found[0]
    versus = f"LeaF minus {first.name}"
    columns = {
        "KD": "share",
        "LeaF": "share",
        "LeaF minus KD": "points",
        "wins": "count",
        "losses": "count",
        versus: "points",
        "n": "count",
    }
    section = lab.recipe.evaluate
    rows = []
    for label, labels in with_average(first.labels).items():
        for one in found:
            leaf, kd = one.students["leaf"], one.students["kd"]
            won, lost = wins_and_losses(leaf, kd, labels)
            accuracy = mean_of(leaf, labels, section, one.bases)
            cells: dict[str, Cell] = {
                "KD": mean_of(kd, labels, section, one.bases),
                "LeaF": accuracy,
                "LeaF minus KD": difference_of(leaf, kd, labels, section, one.bases),
                "wins": won,
                "losses": lost,
                "n": accuracy.n,
            }
            if one is not first:
                other = first.students["leaf"]
                cells[versus] = difference_of(leaf, other, labels, section, one.bases)
            labelled = {"benchmark": label, heading: one.name}
            rows.append(Row(labels=labelled, cells=cells, paper=paper(one.name, label)))
    return Table(title="Share right after KD and after LeaF", columns=columns, rows=tuple(rows))


def data_table(heading: str, found: Sequence[Trained]) -> Table:
    """Say how many changed questions each setting gave LeaF, as a mean over seeds."""
    rows = [
        Row(
            labels={heading: one.name},
            cells={"changed questions": sum(one.changed) / len(one.changed)},
        )
        for one in found
    ]
    return Table(
        title="What LeaF learned from besides the originals",
        columns={"changed questions": "count"},
        rows=tuple(rows),
    )


def says_gains(lab: Lab, found: Sequence[Trained]) -> tuple[str, ...]:
    """Say of each setting how LeaF did against its KD, and how to read that."""
    labels = found[0].labels
    where = f"the average of {len(labels)} benchmarks" if len(labels) > 1 else labels[0]
    lines = [_gain_line(lab, one, where) for one in found]
    lines += [_versus_line(lab, one, found[0], where) for one in found[1:]]
    idle = [one.name for one in found if not any(one.changed)]
    if idle:
        lines.append(
            f"No changed question was verified with {', '.join(idle)}: LeaF trained as KD did."
        )
    same: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        same.setdefault(one.made["leaf"], []).append(one.name)
    lines += [
        f"{', '.join(names)} gave the same training data, so the same student."
        for names in same.values()
        if len(names) > 1
    ]
    by_epochs = lab.recipe.distill.max_steps is None and lab.recipe.distill.max_tokens is None
    if by_epochs and len({one.made["kd"] for one in found}) > 1:
        lines.append(
            "Each setting has a KD of its own, of as many steps as its LeaF; distill.max_steps "
            "gives all the same."
        )
    seeds = len(lab.seeds)
    over = f"over {seeds} seeds (Student's t)" if seeds > 1 else "over the questions of one seed"
    lines.append(f"Intervals are 95%, {over}; wins and losses: questions of all seeds.")
    return tuple(lines)


def _gain_line(lab: Lab, one: Trained, where: str) -> str:
    """Say the gain on all, then where it differs clearly from 0 if there are several."""
    whole = gain(lab, one, one.labels)
    line = f"{one.name}: LeaF minus KD is {written(whole, 'points')} points on {where}"
    line += f", {_verdict(whole) or 'no clear difference'}"
    clear: dict[str, list[str]] = {}
    for label in one.labels if len(one.labels) > 1 else []:
        if verdict := _verdict(gain(lab, one, [label])):
            clear.setdefault(verdict, []).append(label)
    for verdict, labels in clear.items():
        line += f"; {verdict} on {', '.join(labels)}"
    return f"{line}."


def _versus_line(lab: Lab, one: Trained, first: Trained, where: str) -> str:
    leaf, other = one.students["leaf"], first.students["leaf"]
    found = difference_of(leaf, other, one.labels, lab.recipe.evaluate, one.bases)
    verdict = _verdict(found) or "no clear difference"
    value = written(found, "points")
    return f"{one.name} against {first.name}: LeaF differs by {value} points on {where}, {verdict}."


def _verdict(measured: Measured) -> str | None:
    """Return which side of 0 an interval lies on; None where it holds 0 or there is none."""
    if measured.low is None or measured.high is None:
        return None
    return "better" if measured.low > 0 else "worse" if measured.high < 0 else None


def _changed(run: Run) -> int:
    """Return how many more rows LeaF had than KD, which has all but the changed questions."""
    rows = {log.name: log.items for log in run.pipeline.logs}
    return rows["training leaf"] - rows["training kd"]
