"""One study of several settings that train: its table, its picture and what it says."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from leaf.study import paper
from leaf.study.arms import (
    data_table,
    says_gains,
    settings_table,
    train,
    with_average,
)
from leaf.study.finding import Finding, Table
from leaf.study.lab import Lab
from leaf.study.plot import add_legend, draw_dots, height_of, series_of


def sweep(
    lab: Lab,
    *,
    study: str,
    heading: str,
    settings: Mapping[str, Mapping[str, Any]],
    table: str,
    rows: Mapping[str, str] | None = None,
    says: Sequence[str] = (),
) -> Finding:
    """Train every setting and compare LeaF with its KD, and with LeaF of the first setting.

    Args:
        lab: Recipe, store and seeds.
        study: Its name.
        heading: What the settings are, as a heading.
        settings: Name to dotted keys of the recipe and their values; the first one is what the
            others are compared with.
        table: The paper's table, by its name in `paper.yaml`.
        rows: Setting to the table's row; None: the table has no values of the settings.
        says: Sentences besides those of every sweep.
    """
    found = [train(lab, name, changes) for name, changes in settings.items()]

    def beside(name: str, label: str) -> dict[str, float]:
        if rows is None:
            return {}
        wanted = {"LeaF": rows[name], "KD": "kd"}
        values = {
            column: paper.beside(lab.recipe, table, row, label) for column, row in wanted.items()
        }
        return {column: value for column, value in values.items() if value is not None}

    labels = with_average(found[0].labels)
    compared = settings_table(lab, heading, found, beside)
    swept = [key for changes in settings.values() for key in changes]
    return Finding(
        study=study,
        says=(*says_gains(lab, found), *says),
        tables=(compared, data_table(heading, found)),
        paper=() if rows is None else paper.shown(lab.recipe, table),
        differs=paper.differs(lab.recipe, table, swept=swept),
        draw=lambda figure: _draw(figure, list(labels), heading, compared),
        size=(9.5, height_of(len(labels), len(found))),
    )


def _draw(figure: Figure, rows: Sequence[str], heading: str, table: Table) -> None:
    shares, gains = figure.subplots(1, 2, sharey=True)
    right, gained = (series_of(table, heading, column) for column in ("LeaF", "LeaF minus KD"))
    draw_dots(shares, rows, right, unit="share", title="LeaF: share right")
    draw_dots(gains, rows, gained, unit="points", title="LeaF minus its KD")
    add_legend(figure, shares)
