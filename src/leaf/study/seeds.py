"""Several seeds as one: values become their mean, with Student's interval over seeds."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from leaf.statistics import Interval, share_of
from leaf.study.finding import Cell, Measured, Row, Table, Unit

_Labels = tuple[tuple[str, str], ...]


def over_seeds(values: Sequence[Interval]) -> Interval:
    """Return the mean over seeds with its 95% t-interval; one seed keeps its own interval.

    Seeds that all found the same leave no interval: nothing tells how far others would be.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a mean over seeds needs at least one")
    if len(values) == 1:
        return values[0]
    means = np.array([value.value for value in values])
    mean, n, seeds = float(means.mean()), values[0].n, len(values)
    if np.allclose(means, means[0], rtol=0, atol=1e-12):
        return Measured(value=mean, low=None, high=None, n=n, seeds=seeds)
    reach = float(stats.t.ppf(0.975, seeds - 1) * stats.sem(means))
    return Measured(value=mean, low=mean - reach, high=mean + reach, n=n, seeds=seeds)


def within(lowest: float, interval: Interval) -> Interval:
    """End an interval at `lowest` and 1: Student's, over few seeds, knows no ends."""
    if interval.low is None or interval.high is None:
        return interval
    return replace(interval, low=max(lowest, interval.low), high=min(1.0, interval.high))


def share(count: int, n: int) -> Interval | None:
    """Return `count / n` with its Wilson interval; None where `n` is 0."""
    return share_of(count, n) if n else None


def merged(tables: Sequence[Table], *, of_one: Collection[str] = ()) -> Table:
    """Return tables of the same shape as one, rows matched by their labels.

    A row that some seeds lack rests on those that have it, and stands where they have it. Numbers
    without an interval become their mean, texts stay where all are the same.

    Args:
        tables: One a seed, at least one.
        of_one: Columns that mean nothing over seeds, such as p-values: empty with more than one.
    """
    if len(tables) == 1:
        return tables[0]
    by_labels: dict[_Labels, list[Row]] = {}
    order: list[_Labels] = []
    for table in tables:
        place = 0
        for row in table.rows:
            labels = tuple(row.labels.items())
            if labels not in by_labels:
                order.insert(place, labels)
            by_labels.setdefault(labels, []).append(row)
            place = order.index(labels) + 1
    columns = {name: unit for name, unit in tables[0].columns.items() if name not in of_one}
    rows = []
    for labels in order:
        same = by_labels[labels]
        cells = {
            name: _mean([row.cells.get(name) for row in same], columns[name]) for name in columns
        }
        cells |= dict.fromkeys(of_one)
        rows.append(Row(labels=dict(labels), cells=cells, paper=same[0].paper))
    return replace(tables[0], rows=tuple(rows))


_LOWEST = {"share": 0.0, "points": -1.0}
"""The lowest value there is, by unit; the highest of both is 1."""


def _mean(cells: Sequence[Cell], unit: Unit) -> Cell:
    intervals = [cell for cell in cells if isinstance(cell, Interval)]
    if intervals:
        mean = over_seeds(intervals)
        return within(_LOWEST[unit], mean) if unit in _LOWEST else mean
    numbers = [cell for cell in cells if isinstance(cell, int | float)]
    if numbers:
        return sum(numbers) / len(numbers)
    texts = {cell for cell in cells if isinstance(cell, str)}
    return texts.pop() if len(texts) == 1 else None
