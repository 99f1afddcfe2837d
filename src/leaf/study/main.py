"""Does LeaF help? Before, plain distillation and LeaF at one or both levels (Tables 1 and 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from leaf.study import paper
from leaf.study.arms import Trained, data_table, says_gains, train, with_average
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.plot import add_legend, draw_dots, height_of, series_of
from leaf.study.scores import Bases, Scores, difference_of, mean_of, wins_and_losses

_LEVELS = {"instruction": ["instruction"], "both": ["instruction", "response"]}
"""What is pruned, by the row of the paper's tables."""

_NAMES = {"instruction": "LeaF (instruction)", "both": "LeaF (instruction and response)"}
_BEFORE = {"teacher": "teacher", "before": "before"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Student:
    """One line of each benchmark."""

    name: str
    row: str
    """Of the paper's tables."""
    scores: Sequence[Scores]
    """Of each seed."""
    bases: Bases
    against: Sequence[Scores] | None = None
    """The KD that it is compared with."""


def main(lab: Lab) -> Finding:
    """Compare students before and after, on every benchmark and on average."""
    levels = ["instruction", *(["both"] if "response" in lab.recipe.prune.levels else [])]
    found = {level: train(lab, _NAMES[level], {"prune.levels": _LEVELS[level]}) for level in levels}
    name = paper.nearest_table(lab.recipe, "1 math", "1 code", "2")
    students = _students(found)
    table = _table(lab, students, found["instruction"].labels, name)
    says = list(says_gains(lab, list(found.values())))
    if "both" not in found:
        says.append(
            "Only instructions were pruned; --set prune.levels='[instruction, response]' adds LeaF "
            "at both levels, where references have steps to split."
        )
    return Finding(
        study="main",
        says=tuple(says),
        tables=(table, data_table("student", list(found.values()))),
        paper=paper.shown(lab.recipe, name),
        differs=paper.differs(lab.recipe, name, swept=("prune.levels",)),
        draw=lambda figure: _draw(figure, table),
        size=(9.5, height_of(len(with_average(found["instruction"].labels)), len(students))),
    )


def _students(found: Mapping[str, Trained]) -> list[_Student]:
    """Return the lines of a benchmark; a KD that is the same for both levels stands there once."""
    first = found["instruction"]
    lines = [
        _Student(name=name, row=arm, scores=first.students[arm], bases=first.bases)
        for arm, name in _BEFORE.items()
        if arm in first.students
    ]
    one_kd = len({one.made["kd"] for one in found.values()}) == 1
    for level, one in found.items():
        kd = one.students["kd"]
        if level == "instruction" or not one_kd:
            which = "" if one_kd else f", steps of {one.name}"
            lines.append(_Student(name=f"KD{which}", row="kd", scores=kd, bases=one.bases))
    lines += [
        _Student(
            name=one.name,
            row=level,
            scores=one.students["leaf"],
            bases=one.bases,
            against=one.students["kd"],
        )
        for level, one in found.items()
    ]
    return lines


def _table(lab: Lab, students: Sequence[_Student], labels: Sequence[str], name: str) -> Table:
    section = lab.recipe.evaluate
    rows = []
    for label, averaged in with_average(labels).items():
        for one in students:
            accuracy = mean_of(one.scores, averaged, section, one.bases)
            cells: dict[str, Cell] = {"right": accuracy, "n": accuracy.n}
            if one.against is not None:
                cells["minus KD"] = difference_of(
                    one.scores, one.against, averaged, section, one.bases
                )
                won, lost = wins_and_losses(one.scores, one.against, averaged)
                cells |= {"wins": won, "losses": lost}
            value = paper.beside(lab.recipe, name, one.row, label)
            rows.append(
                Row(
                    labels={"benchmark": label, "student": one.name},
                    cells=cells,
                    paper={} if value is None else {"right": value},
                )
            )
    columns = {"right": "share", "minus KD": "points", "wins": "count", "losses": "count"}
    return Table(
        title="Share right before, after plain distillation (KD) and after LeaF",
        columns={**columns, "n": "count"},
        rows=tuple(rows),
    )


def _draw(figure: Figure, table: Table) -> None:
    rows = list(dict.fromkeys(row.labels["benchmark"] for row in table.rows))
    shares, gains = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    right, gained = (series_of(table, "student", column) for column in ("right", "minus KD"))
    draw_dots(shares, rows, right, unit="share", title="share right")
    draw_dots(gains, rows, gained, unit="points", title="LeaF minus KD")
    add_legend(figure, shares)
