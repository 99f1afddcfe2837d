"""What a cut does beyond what any cut as large does: the excess over placebos."""

from collections.abc import Iterator, Sequence
from typing import Any

from leaf.recipe import VerifySection
from leaf.report.control import Controlled
from leaf.study.finding import Cell, Row, Table
from leaf.study.output import written

PLACEBOS = 2
"""Of each cut, where the recipe names none."""


def of_every_cut(section: VerifySection) -> dict[str, Any]:
    """Return the settings that draw placebos of every cut, so that none was chosen for freeing.

    Where the recipe has no placebos these let go of no cut.
    """
    held: dict[str, Any] = {"verify.placebos_of": "tried"}
    if not section.placebos:
        held |= {"verify.placebos": PLACEBOS, "verify.chance": 1.0}
    return held


def against_placebos(found: Sequence[Controlled]) -> Table:
    """Hold each detector's single cuts against other cuts as large in the same questions."""
    rows = []
    for one in found:
        if one.excess is not None:
            cells: dict[str, Cell] = {
                "problems": one.excess.excess.n,
                "placebos": one.placebos,
                "right after a cut": one.excess.by_cuts,
                "right after a placebo": one.excess.by_placebos,
                "excess": one.excess.excess,
                "p": one.excess.excess.p_value,
            }
            rows.append(Row(labels={"detector": one.detector}, cells=cells))
    return Table(
        title="The student's answers after one cut, and after a placebo: another piece as large of "
        "the same question",
        columns={
            "problems": "count",
            "placebos": "count",
            "right after a cut": "share",
            "right after a placebo": "share",
            "excess": "points",
            "p": "number",
        },
        rows=tuple(rows),
    )


def says_of(placebos: Table) -> Iterator[str]:
    """Say what the first row shows, the recipe's own detector's."""
    for row in placebos.rows[:1]:
        cells = {name: written(row.cells[name], unit) for name, unit in placebos.columns.items()}
        yield (
            f"Of what {row.labels['detector']} marks, one cut makes the student right in "
            f"{cells['right after a cut']}, a placebo as large elsewhere in the question in "
            f"{cells['right after a placebo']}: the cut's own effect is {cells['excess']} points."
        )
