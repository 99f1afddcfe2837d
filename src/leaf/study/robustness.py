"""What distracted or paraphrased questions cost each student (Table 5)."""

from collections.abc import Mapping, Sequence
from itertools import product

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.evaluate import Robustness
from leaf.statistics import Interval
from leaf.study import paper
from leaf.study.arms import Trained, train
from leaf.study.finding import Cell, Finding, Measured, Row, Table
from leaf.study.lab import Lab
from leaf.study.output import written
from leaf.study.plot import add_legend, draw_dots, height_of, series_of
from leaf.study.scores import apart, difference_of, mean_of, within
from leaf.study.seeds import over_seeds

_ARMS = {"teacher": "teacher", "before": "before", "kd": "KD", "leaf": "LeaF"}

_COLUMNS = {
    "unchanged": "share",
    "variants": "share",
    "drop": "points",
    "variants minus KD": "points",
    "n": "count",
}


def robustness(lab: Lab) -> Finding:
    """Ask the recipe's students variants of questions, and the questions they are made of.

    Raises:
        StudyError: no benchmark has variants of another one's questions.
    """
    paired = [
        name for name, one in lab.recipe.evaluate.benchmarks.items() if one.against is not None
    ]
    shifted = _shifted(lab) if not paired else None
    if not paired and shifted is None:
        raise StudyError(
            f"recipe {lab.recipe.name} has no benchmark of variants; add one that names what it "
            "varies, such as evaluate: {benchmarks: {gsm8k: {task: gsm8k, split: test}, gsm8k_para:"
            " {task: gsm8k, split: test, paraphrase: spa, against: gsm8k}}}"
        )
    found = train(lab, "LeaF", {})
    if shifted is not None:
        base, others = shifted
        tables = (unpaired_table(lab, found, base, others),)
        how = f"Drops are against `{base}`, whose questions are others: they are not paired."
    else:
        tables = (paired_table(lab, found, paired),)
        how = "Drops are paired: each variant against the question it is made of."
    return Finding(
        study="robustness",
        says=(*_says(tables[0]), how),
        tables=tables,
        paper=paper.shown(lab.recipe, "5"),
        differs=paper.differs(lab.recipe, "5", swept=("prune.levels",)),
        draw=lambda figure: _draw(figure, tables[0]),
        size=(9.5, height_of(len({row.labels["variants"] for row in tables[0].rows}), 4)),
    )


def _shifted(lab: Lab) -> tuple[str, list[str]] | None:
    """Return the playground's benchmark without distractors, and those with; else None."""
    splits = {
        name: one.split
        for name, one in lab.recipe.evaluate.benchmarks.items()
        if one.task == "playground"
    }
    clean = [name for name, split in splits.items() if split == "clean"]
    others = [name for name, split in splits.items() if split not in {"clean", "train", None}]
    return (clean[0], others) if clean and others else None


def paired_table(lab: Lab, found: Trained, benchmarks: Sequence[str]) -> Table:
    """Compare variants with the questions that they are made of, for each of some benchmarks."""
    rows = []
    for name, (arm, heading) in product(benchmarks, _ARMS.items()):
        if arm not in found.students:
            continue
        costs = [one[name][arm] for one in found.robustness]
        cells = _costs(costs)
        if arm == "leaf":
            cells["variants minus KD"] = _minus_kd(lab, found, [name])
        rows.append(_row(lab, name, arm, heading, cells))
    title = "Share right on the questions that have variants, and on the variants"
    extra = {"lost": "count", "gained": "count"}
    every = (*rows, *_average(lab, found, benchmarks))
    return Table(title=title, columns={**_COLUMNS, **extra}, rows=every)


def _costs(costs: Sequence[Robustness]) -> dict[str, Cell]:
    """Return the cells of what variants cost one student, over its seeds."""
    return {
        "unchanged": within(0, over_seeds([_measured(one.base) for one in costs])),
        "variants": within(0, over_seeds([_measured(one.micro) for one in costs])),
        "drop": within(-1, over_seeds([_measured(one.drop) for one in costs])),
        "n": costs[0].micro.n,
        "lost": sum(one.lost for one in costs),
        "gained": sum(one.gained for one in costs),
    }


def _measured(share: Interval) -> Measured:
    return Measured(value=share.value, low=share.low, high=share.high, n=share.n)


def unpaired_table(lab: Lab, found: Trained, base: str, others: Sequence[str]) -> Table:
    """Compare benchmarks that distract with one of other questions that does not."""
    section = lab.recipe.evaluate
    rows = []
    for name, (arm, heading) in product(others, _ARMS.items()):
        if arm not in found.students:
            continue
        scores = found.students[arm]
        base_of = {**found.bases.get(base, {}), **found.bases.get(name, {})}
        there = mean_of(scores, [name], section, found.bases)
        cells: dict[str, Cell] = {
            "unchanged": mean_of(scores, [base], section, found.bases),
            "variants": there,
            "drop": within(
                -1, over_seeds([apart(one[base], one[name], section, base_of) for one in scores])
            ),
            "n": there.n,
        }
        if arm == "leaf":
            cells["variants minus KD"] = _minus_kd(lab, found, [name])
        rows.append(_row(lab, name, arm, heading, cells))
    return Table(
        title=f"Share right on `{base}` (unchanged) and where something distracts",
        columns=_COLUMNS,
        rows=(*rows, *_average(lab, found, others)),
    )


def _average(lab: Lab, found: Trained, names: Sequence[str]) -> list[Row]:
    """Return what each student gets right of variants on average over several benchmarks."""
    rows = []
    for arm, heading in _ARMS.items() if len(names) > 1 else ():
        if arm not in found.students:
            continue
        there = mean_of(found.students[arm], names, lab.recipe.evaluate, found.bases)
        cells: dict[str, Cell] = {"variants": there, "n": there.n}
        if arm == "leaf":
            cells["variants minus KD"] = _minus_kd(lab, found, names)
        rows.append(_row(lab, paper.AVERAGE, arm, heading, cells))
    return rows


def _minus_kd(lab: Lab, found: Trained, names: Sequence[str]) -> Measured:
    students = found.students
    section = lab.recipe.evaluate
    return difference_of(students["leaf"], students["kd"], names, section, found.bases)


def _row(lab: Lab, name: str, arm: str, heading: str, cells: Mapping[str, Cell]) -> Row:
    levels = "both" if len(set(lab.recipe.prune.levels)) > 1 else "instruction"
    value = paper.beside(lab.recipe, "5", levels if arm == "leaf" else arm, name)
    return Row(
        labels={"variants": name, "student": heading},
        cells=cells,
        paper={} if value is None else {"variants": value},
    )


def _says(table: Table) -> tuple[str, ...]:
    """Say of each benchmark what variants cost plain distillation and LeaF."""
    drops = {
        (row.labels["variants"], row.labels["student"]): written(row.cells["drop"], "points")
        for row in table.rows
        if "drop" in row.cells
    }
    names = dict.fromkeys(name for name, _ in drops)
    return tuple(
        f"{name}: it costs KD {drops[name, 'KD']} points and LeaF {drops[name, 'LeaF']}."
        for name in names
    )


def _draw(figure: Figure, table: Table) -> None:
    names = list(dict.fromkeys(row.labels["variants"] for row in table.rows))
    shares, drops = figure.subplots(1, 2, sharey=True)
    right, drop = (series_of(table, "student", column) for column in ("variants", "drop"))
    draw_dots(shares, names, right, unit="share", title="right on variants")
    draw_dots(drops, names, drop, unit="points", title="drop against unchanged questions")
    add_legend(figure, shares)
