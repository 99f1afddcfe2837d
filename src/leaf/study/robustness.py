"""What distracted or paraphrased questions cost each student (Table 5)."""

from collections.abc import Callable, Sequence

from leaf.errors import StudyError
from leaf.evaluate import Robustness
from leaf.store.arms import arm_of
from leaf.study import paper
from leaf.study.arms import Trained, train
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.output import written
from leaf.study.plot import draw_pair, size_of_pair
from leaf.study.scores import apart
from leaf.study.seeds import over_seeds, within

_ARMS = ("teacher", "before", "kd", "rft", "leaf")


def _columns(trained: Trained) -> dict[str, str]:
    return {
        "unchanged": "share",
        "variants": "share",
        "drop": "points",
        f"variants minus {trained.plain}": "points",
        "n": "count",
    }


def robustness(lab: Lab) -> Finding:
    """Ask the recipe's students variants of questions, and the questions they are made of.

    Raises:
        StudyError: no benchmark has variants of another one's questions.
    """
    benchmarks = lab.recipe.evaluate.benchmarks
    paired = [name for name, section in benchmarks.items() if section.against is not None]
    shifted = _shifted(lab) if not paired else None
    if not paired and shifted is None:
        raise StudyError(
            f"recipe {lab.recipe.name} has no benchmark of variants; add one that names what it "
            "varies, such as evaluate: {benchmarks: {gsm8k: {task: gsm8k, split: test}, gsm8k_para:"
            " {task: gsm8k, split: test, paraphrase: spa, against: gsm8k}}}"
        )
    trained = train(lab, "LeaF", {})
    if shifted is not None:
        base, others = shifted
        table = unpaired_table(lab, trained, base, others)
        how = f"Drops are against `{base}`, whose questions are others: they are not paired."
    else:
        table = paired_table(lab, trained, paired)
        how = "Drops are paired: each variant against the question it is made of."
    return Finding(
        study="robustness",
        says=(*_says(table, trained.plain), how),
        tables=(table,),
        paper=paper.shown(lab.recipe, "5"),
        differs=paper.differs(lab.recipe, "5", swept=("prune.levels",)),
        draw=lambda figure: draw_pair(
            figure,
            table,
            ("variants", "right on variants"),
            ("drop", "drop against unchanged questions"),
        ),
        size=size_of_pair(table),
    )


def _shifted(lab: Lab) -> tuple[str, list[str]] | None:
    """Return the playground's benchmark without distractors, and those with; else None."""
    splits = {
        name: section.split
        for name, section in lab.recipe.evaluate.benchmarks.items()
        if section.task == "playground"
    }
    clean = [name for name, split in splits.items() if split == "clean"]
    others = [name for name, split in splits.items() if split not in {"clean", "train", None}]
    return (clean[0], others) if clean and others else None


def paired_table(lab: Lab, trained: Trained, benchmarks: Sequence[str]) -> Table:
    """Compare variants with the questions that they are made of, for each of some benchmarks."""

    def cost(name: str, arm: str) -> dict[str, Cell]:
        return _over_seeds([seed[name][arm] for seed in trained.robustness])

    return Table(
        title="Share right on the questions that have variants, and on the variants",
        columns={**_columns(trained), "lost": "count", "gained": "count"},
        rows=_rows(lab, trained, benchmarks, cost),
    )


def unpaired_table(lab: Lab, trained: Trained, base: str, others: Sequence[str]) -> Table:
    """Compare benchmarks that distract with one of other questions that does not."""

    def cost(name: str, arm: str) -> dict[str, Cell]:
        base_of = {**trained.bases.get(base, {}), **trained.bases.get(name, {})}
        drops = [
            apart(scores[base], scores[name], trained.section, base_of)
            for scores in trained.students[arm]
        ]
        variants = trained.right(arm, [name])
        return {
            "unchanged": trained.right(arm, [base]),
            "variants": variants,
            "drop": within(-1, over_seeds(drops)),
            "n": variants.n,
        }

    return Table(
        title=f"Share right on `{base}` (unchanged) and where something distracts",
        columns=_columns(trained),
        rows=_rows(lab, trained, others, cost),
    )


def _rows(
    lab: Lab, trained: Trained, names: Sequence[str], cost: Callable[[str, str], dict[str, Cell]]
) -> tuple[Row, ...]:
    """Return each student's cost on each benchmark, and what it gets right of several together."""

    def average(_: str, arm: str) -> dict[str, Cell]:
        variants = trained.right(arm, names)
        return {"variants": variants, "n": variants.n}

    levels = "both" if len(set(lab.recipe.prune.levels)) > 1 else "instruction"
    wanted = [(name, [name], cost) for name in names]
    wanted += [(paper.AVERAGE, list(names), average)] if len(names) > 1 else []
    rows = []
    for name, labels, cells_of in wanted:
        for arm in _ARMS:
            if arm not in trained.students:
                continue
            cells = cells_of(name, arm)
            if arm == "leaf":
                cells[f"variants minus {trained.plain}"] = trained.gain(labels)
            value = paper.beside(lab.recipe, "5", levels if arm == "leaf" else arm, name)
            rows.append(
                Row(
                    labels={"variants": name, "student": arm_of(arm).title},
                    cells=cells,
                    paper={} if value is None else {"variants": value},
                )
            )
    return tuple(rows)


def _over_seeds(costs: Sequence[Robustness]) -> dict[str, Cell]:
    """Return the cells of what variants cost one student, over its seeds."""
    return {
        "unchanged": within(0, over_seeds([cost.base for cost in costs])),
        "variants": within(0, over_seeds([cost.micro for cost in costs])),
        "drop": within(-1, over_seeds([cost.drop for cost in costs])),
        "n": costs[0].micro.n,
        "lost": sum(cost.lost for cost in costs),
        "gained": sum(cost.gained for cost in costs),
    }


def _says(table: Table, plain: str) -> tuple[str, ...]:
    """Say of each benchmark what variants cost the baseline and LeaF."""
    drops = {
        (row.labels["variants"], row.labels["student"]): written(row.cells["drop"], "points")
        for row in table.rows
        if "drop" in row.cells
    }
    names = dict.fromkeys(name for name, _ in drops)
    return tuple(
        f"{name}: it costs {plain} {drops[name, plain]} points and LeaF {drops[name, 'LeaF']}."
        for name in names
    )
