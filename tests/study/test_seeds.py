"""Tables of several seeds as one."""

import pytest
from scipy import stats

from leaf.statistics import Interval
from leaf.study.finding import Cell, Measured, Row, Table
from leaf.study.seeds import merged, share


def table(cells: dict[str, Cell], *more: Row) -> Table:
    row = Row(labels={"of": "it"}, cells=cells)
    return Table(title="t", columns=dict.fromkeys(cells, "number"), rows=(row, *more))


def test_one_seed_stays_as_it_is() -> None:
    one = table({"a": Measured(value=0.5, low=0.4, high=0.6, n=9), "p": 0.02})
    assert merged([one], of_one=["p"]) == one


def test_what_was_measured_becomes_a_mean_over_seeds() -> None:
    values = [0.2, 0.3, 0.7]
    found = merged(
        [table({"a": Measured(value=value, low=0.0, high=1.0, n=9)}) for value in values]
    )
    cell = found.rows[0].cells["a"]
    assert isinstance(cell, Interval)
    # The mean is 0.4, the deviations -0.2, -0.1, 0.3: s^2 = 0.14 / 2, so the error is sqrt(0.07/3).
    reach = stats.t.ppf(0.975, 2) * (0.07 / 3) ** 0.5
    assert cell.value == pytest.approx(0.4)
    assert (cell.low, cell.high) == pytest.approx((0.4 - reach, 0.4 + reach))
    assert (cell.n, cell.seeds) == (9, 3)


@pytest.mark.parametrize(
    ("unit", "ends"),
    # Of 0 and 1 the mean is 0.5 and the error 0.5; t of one degree of freedom is 12.7062.
    [("share", (0.0, 1.0)), ("points", (-1.0, 1.0)), ("number", (-5.8531, 6.8531))],
)
def test_an_interval_ends_where_its_unit_does(unit: str, ends: tuple[float, float]) -> None:
    cells = [Measured(value=value, low=None, high=None, n=9) for value in (0.0, 1.0)]
    rows = [Row(labels={"of": "it"}, cells={"a": cell}) for cell in cells]
    found = merged([Table(title="t", columns={"a": unit}, rows=(row,)) for row in rows])
    cell = found.rows[0].cells["a"]
    assert isinstance(cell, Interval)
    assert (cell.low, cell.high) == pytest.approx(ends, abs=1e-4)


def test_counts_are_averaged_and_texts_stay_where_they_agree() -> None:
    first: dict[str, Cell] = {"count": 3, "same": "x", "other": "x", "p": 0.5, "gone": None}
    second: dict[str, Cell] = {"count": 6, "same": "x", "other": "y", "p": 0.7, "gone": None}
    found = merged([table(first), table(second)], of_one=["p"])
    assert found.rows[0].cells == {
        "count": 4.5, "same": "x", "other": None, "p": None, "gone": None,
    }  # fmt: skip


def test_a_row_that_a_seed_lacks_rests_on_the_others() -> None:
    rare = Row(labels={"of": "rare"}, cells={"a": 4})
    found = merged([table({"a": 1}), table({"a": 2}, rare)])
    assert [(row.labels["of"], row.cells["a"]) for row in found.rows] == [("it", 1.5), ("rare", 4)]


def test_a_share_has_its_wilson_interval() -> None:
    found = share(1, 4)
    assert found is not None
    # Wilson: centre (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p q/n + z^2/4n^2) / (1 + z^2/n).
    z, n, p = 1.959964, 4, 0.25
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert share(0, 0) is None


def test_a_row_that_the_first_seed_lacks_stands_where_others_have_it() -> None:
    rows = [Row(labels={"of": name}, cells={"a": 1}) for name in ("first", "rare", "last")]
    every = Table(title="t", columns={"a": "number"}, rows=tuple(rows))
    two = Table(title="t", columns={"a": "number"}, rows=(rows[0], rows[2]))
    assert [row.labels["of"] for row in merged([two, every]).rows] == ["first", "rare", "last"]
