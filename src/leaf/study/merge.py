"""Tables of several seeds as one: what was measured becomes a mean over seeds."""

from collections.abc import Collection, Sequence

from leaf.statistics import wilson
from leaf.study.finding import Cell, Measured, Row, Table, Unit
from leaf.study.scores import within
from leaf.study.seeds import over_seeds

_Labels = tuple[tuple[str, str], ...]


def merged(found: Sequence[Table], *, of_one: Collection[str] = ()) -> Table:
    """Return tables of the same shape as one, rows matched by their labels.

    A row that some seeds lack rests on those that have it, and stands where they have it. Numbers
    without an interval become their mean, texts stay where all are the same.

    Args:
        found: One table a seed, at least one.
        of_one: Columns that mean nothing over seeds, such as p-values: empty with more than one.
    """
    first = found[0]
    if len(found) == 1:
        return first
    by_labels: dict[_Labels, list[Row]] = {}
    order: list[_Labels] = []
    for table in found:
        place = 0
        for row in table.rows:
            labels = tuple(row.labels.items())
            if labels not in by_labels:
                order.insert(place, labels)
            by_labels.setdefault(labels, []).append(row)
            place = order.index(labels) + 1
    return Table(
        title=first.title,
        columns=first.columns,
        rows=tuple(
            Row(
                labels=dict(labels),
                cells={
                    name: None
                    if name in of_one
                    else _cell([row.cells.get(name) for row in rows], unit)
                    for name, unit in first.columns.items()
                },
                paper=rows[0].paper,
            )
            for labels in order
            for rows in [by_labels[labels]]
        ),
    )


def share(count: int, n: int) -> Measured | None:
    """Return `count / n` with its Wilson interval; None where `n` is 0."""
    if n == 0:
        return None
    low, high = wilson(count, n)
    return Measured(value=count / n, low=low, high=high, n=n)


_LOWEST = {"share": 0.0, "points": -1.0}
"""The lowest value there is, by unit; the highest of both is 1."""


def _cell(cells: Sequence[Cell], unit: Unit) -> Cell:
    measured = [cell for cell in cells if isinstance(cell, Measured)]
    if measured:
        found = over_seeds(measured)
        return within(_LOWEST[unit], found) if unit in _LOWEST else found
    numbers = [cell for cell in cells if isinstance(cell, int | float)]
    if numbers:
        return sum(numbers) / len(numbers)
    texts = {cell for cell in cells if isinstance(cell, str)}
    return texts.pop() if len(texts) == 1 else None
