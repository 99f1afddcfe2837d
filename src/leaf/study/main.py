"""Does LeaF help? Before, the baseline and LeaF at one or both levels (Tables 1 and 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaf.store.arms import arm_of
from leaf.study import paper
from leaf.study.arms import WHO, Trained, data_table, says_gains, train, with_average
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
    name, plain = (
        paper.nearest_table(lab.recipe, "1 math", "1 code", "2"),
        arm_of(lab.recipe.baseline).title,
    )
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
            figure,
            table,
            ("right", "share right"),
            (f"minus {plain}", f"LeaF minus {plain}"),
            widths=(3, 2),
        ),
        size=size_of_pair(table),
    )


def _compared_students(settings: Mapping[str, Trained]) -> list[_ComparedStudent]:
    """Return who is compared; a baseline that is the same for both levels is there once."""
    first = settings["instruction"]
    arm, plain = first.baseline, first.plain
    students = [
        _ComparedStudent(name=who, row=who, setting=first, arm=who)
        for who in ("teacher", "before")
        if who in first.students
    ]
    if len({setting.made[arm] for setting in settings.values()}) == 1:
        students.append(_ComparedStudent(name=plain, row=arm, setting=first, arm=arm))
    else:
        students += [
            _ComparedStudent(
                name=f"{plain}, steps of {setting.name}", row=arm, setting=setting, arm=arm
            )
            for setting in settings.values()
        ]
    students += [
        _ComparedStudent(name=setting.name, row=level, setting=setting, arm="leaf")
        for level, setting in settings.items()
    ]
    return students


def _table(lab: Lab, students: Sequence[_ComparedStudent], name: str) -> Table:
    rows, plain = [], students[0].setting.plain
    for label, averaged in with_average(students[0].setting.labels).items():
        for student in students:
            right = student.setting.right(student.arm, averaged)
            cells: dict[str, Cell] = {"right": right, "n": right.n}
            if student.arm == "leaf":
                cells |= student.setting.against_baseline(averaged, f"minus {plain}")
            value = paper.beside(lab.recipe, name, student.row, label)
            rows.append(
                Row(
                    labels={"benchmark": label, "student": student.name},
                    cells=cells,
                    paper={} if value is None else {"right": value},
                )
            )
    columns = {"right": "share", f"minus {plain}": "points", "wins": "count", "losses": "count"}
    return Table(
        title=f"Share right before, after {WHO[students[0].setting.baseline]} and after LeaF",
        columns={**columns, "n": "count"},
        rows=tuple(rows),
    )
