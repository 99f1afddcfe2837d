"""What a study finds: tables of measured values, and how they are drawn.

A study returns a `Finding`; `leaf.study.output` writes it as JSON, as a table and as a picture.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from matplotlib.figure import Figure
from rich.text import Text

from leaf.statistics import Interval

Unit = str
"""How a column is written: `share` (as percent), `points` (a difference of shares, in percentage
points), `count`, `number`, `seconds`, `bytes`, `tokens` or `text`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured(Interval):
    """A value with its 95% interval; `n` counts questions (or problems, variants) of one seed."""

    seeds: int = 1
    """With more than one the value is their mean, and the interval is over seeds (Student's t)."""


Cell = Interval | float | int | str | None
"""None: there is nothing here, or not yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a table."""

    labels: Mapping[str, str]
    """What it is of, by heading, such as `benchmark` and `student`."""
    cells: Mapping[str, Cell]
    """By column name."""
    paper: Mapping[str, float] = field(default_factory=dict)
    """The paper's values of the same cells, in that unit; only where the setting matches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows with the same columns."""

    title: str
    columns: Mapping[str, Unit]
    """Column name to unit, in the order shown."""
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """All that one study found."""

    study: str
    """Its name on the command line."""
    says: tuple[str, ...]
    """What the tables show, one plain sentence each; the first one answers the study's question."""
    tables: tuple[Table, ...]
    paper: tuple[Table, ...] = ()
    """The paper's own numbers, for the models and data of the paper."""
    differs: tuple[str, ...] = ()
    """In what this setting differs from the paper's, one sentence each; empty: in nothing."""
    draw: Callable[[Figure], object] | None = None
    """Draws the finding's picture into an empty figure; None where there is nothing to draw."""
    text: Text | None = None
    """A picture of coloured text in place of a drawn one: SVG alone."""
    size: tuple[float, float] = (7.0, 4.0)
    """Of the picture, in inches."""
