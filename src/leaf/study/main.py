"""Does LeaF help? Before, plain distillation and LeaF at one or both levels (Tables 1 and 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaf.study import paper
from leaf.study.arms import Trained, data_table, says_gains, train, with_average
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.plot import draw_pair, size_of_pair

_LEVELS = {"instruction": ["instruction"], "both": ["instruction", "response"]}
"""What is pruned, by the row of the paper's tables."""

_NAMES = {"instruction": "LeaF (instruction)", "both": "LeaF (instruction and response)"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _ComparedStudent:
    """One student in each benchmark."""

    name: str
    row: str
    """Of the paper's tables."""
    setting: Trained
    arm: str


def main(lab: Lab) -> Finding:
    """Compare students before and after, on every benchmark and on average."""
    levels = ["instruction", *(["both"] if "response" in lab.recipe.prune.levels else [])]
    settings = {
        level: train(lab, _NAMES[level], {"prune.levels": _LEVELS[level]}) for level in levels
    }
    name = paper.nearest_table(lab.recipe, "1 math", "1 code", "2")
    table = _table(lab, _compared_students(settings), name)
    says = list(says_gains(lab, list(settings.values())))
    if "both" not in settings:
        says.append(
            "Only instructions were pruned; --set prune.levels='[instruction, response]' adds LeaF "
            "at both levels, where references have steps to split."
        )
    return Finding(
        study="main",
        says=tuple(says),
        tables=(table, data_table("student", list(settings.values()))),
        paper=paper.shown(lab.recipe, name),
        differs=paper.differs(lab.recipe, name, swept=("prune.levels",)),
        draw=lambda figure: draw_pair(
            figure, table, ("right", "share right"), ("minus KD", "LeaF minus KD"), widths=(3, 2)
        ),
        size=size_of_pair(table),
    )


def _compared_students(settings: Mapping[str, Trained]) -> list[_ComparedStudent]:
    """Return who is compared; a KD that is the same for both levels is there once."""
    first = settings["instruction"]
    students = [
        _ComparedStudent(name=arm, row=arm, setting=first, arm=arm)
        for arm in ("teacher", "before")
        if arm in first.students
    ]
    if len({setting.made["kd"] for setting in settings.values()}) == 1:
        students.append(_ComparedStudent(name="KD", row="kd", setting=first, arm="kd"))
    else:
        students += [
            _ComparedStudent(
                name=f"KD, steps of {setting.name}", row="kd", setting=setting, arm="kd"
            )
            for setting in settings.values()
        ]
    students += [
        _ComparedStudent(name=setting.name, row=level, setting=setting, arm="leaf")
        for level, setting in settings.items()
    ]
    return students


def _table(lab: Lab, students: Sequence[_ComparedStudent], name: str) -> Table:
    rows = []
    for label, averaged in with_average(students[0].setting.labels).items():
        for student in students:
            right = student.setting.right(student.arm, averaged)
            cells: dict[str, Cell] = {"right": right, "n": right.n}
            if student.arm == "leaf":
                cells |= student.setting.against_kd(averaged, "minus KD")
            value = paper.beside(lab.recipe, name, student.row, label)
            rows.append(
                Row(
                    labels={"benchmark": label, "student": student.name},
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
