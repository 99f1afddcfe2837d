"""A finding in a terminal: intervals of shares give way before cells are broken to pieces."""

import io

from rich.console import Console

from leaf.study.finding import Finding, Measured, Row, Table
from leaf.study.output import print_finding

RIGHT = Measured(value=0.5, low=0.25, high=0.75, n=4)
GAIN = Measured(value=0.125, low=-0.25, high=0.5, n=4)


def shown(width: int) -> str:
    columns = {"KD": "share", "LeaF": "share", "minus": "points"}
    row = Row(
        labels={"benchmark": "gsm8k"},
        cells={"KD": RIGHT, "LeaF": RIGHT, "minus": GAIN},
        paper={"KD": 0.5679},
    )
    table = Table(title="Share right", columns=columns, rows=(row,))
    out = io.StringIO()
    print_finding(
        Finding(study="main", says=("Said.",), tables=(table,)), Console(file=out, width=width)
    )
    return out.getvalue()


def test_a_wide_terminal_shows_every_interval() -> None:
    (line,) = [line for line in shown(120).splitlines() if line.startswith("gsm8k")]
    assert line.count("50.0% (25.0% to 75.0%)") == 2
    assert "+12.5 (−25.0 to +50.0)" in line
    assert "56.8%" in line


def test_a_narrow_terminal_leaves_the_intervals_of_shares_to_the_files() -> None:
    (line,) = [line for line in shown(80).splitlines() if line.startswith("gsm8k")]
    assert "25.0%" not in line
    assert line.count("50.0%") == 2
    assert "+12.5 (−25.0 to +50.0)" in line
