"""Progress without a terminal: few plain lines, on standard error."""

import io
import re
import time

import pytest
from rich.text import Text

from leaf.progress import (
    Terminal,
    _time,
    _too_early,
    print_table,
    progress,
    say,
    show_any_letter,
    table,
)


def test_work_that_is_over_at_once_prints_nothing(capfd):
    with progress("quick", 3, unit="items") as tick:
        tick(3)
    assert capfd.readouterr().err == ""


def test_longer_work_ends_with_one_line_of_count_and_rate(capfd):
    with progress("slow", 30, unit="items", done=10) as tick:
        for _ in range(20):
            time.sleep(0.06)
            tick()
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("slow: 30/30 items, ")
    assert re.search(r" items/s, done in [1-9]\d* s$", line)


def test_fast_work_says_its_rate_without_a_power_of_ten(capfd):
    with progress("fast", 10_000_000, unit="items") as tick:
        time.sleep(1.05)
        tick(10_000_000)
    rate = capfd.readouterr().err.split(", ")[1].removesuffix(" items/s")
    assert rate.isdigit() and len(rate) == 7


HOSTILE = "evil\x1b]0;owned\x07\x1b[2Jname\u202e\r"
"""Sets a terminal's title, clears it, turns text round and goes back to the line's beginning."""


def test_names_cannot_steer_the_terminal(capfd):
    say(f"loaded {HOSTILE}")
    with progress(HOSTILE, 1, unit="items") as tick:
        time.sleep(1.05)
        tick()
    shown = capfd.readouterr().err
    assert "evil" in shown
    assert not set(shown) & set("\x1b\x07\r\u202e")


def test_neither_can_names_in_tables_texts_and_bars():
    file = io.StringIO()
    console = Terminal(file=file, force_terminal=True, color_system=None, width=200)
    rows = table(HOSTILE, "n")
    rows.add_row(Text(HOSTILE), HOSTILE)
    print_table(console, rows)
    console.print(HOSTILE, Text(HOSTILE))
    console.print(f"[bold]{HOSTILE}[/bold]")
    assert file.getvalue().count("evil") == 6
    assert not set(file.getvalue()) & set("\x1b\x07\r\u202e")


def test_no_time_left_is_told_before_there_is_something_to_go_by():
    assert _too_early(15.0, 1, 1000, 1)  # one answer says nothing of the other 999
    assert _too_early(45.0, 2, 1000, 2)
    assert not _too_early(45.0, 8, 1000, 8)
    assert not _too_early(2.0, 100, 1000, 1)


def last_of_bar(monkeypatch: pytest.MonkeyPatch, columns: int, *, seconds: float) -> str:
    """Return the last line that a bar with a long label shows, of work that is not all done."""
    file = io.StringIO()
    terminal = Terminal(file=file, force_terminal=True, color_system=None, width=columns)
    monkeypatch.setattr("leaf.progress.console", terminal)
    label = "grading student on questions with a transplant (ablation), level response"
    with progress(label, 3072, unit="problems", done=35) as tick:
        for _ in range(3002):
            tick()
        time.sleep(seconds)
    lines = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", file.getvalue())
    return [line.strip() for line in lines if "problems/s" in line][-1]


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_a_bar_shortens_its_label_and_never_a_number(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    line = last_of_bar(monkeypatch, columns, seconds=0)
    assert line.startswith("grading")
    assert re.search(r" 3037/3072 - problems/s 0:00:0\d -:--:--$", line)
    assert len(line) <= columns


def test_reports_that_come_all_at_once_are_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    # 3,002 in 1.1 seconds are 2,700 a second, though all of them were told within milliseconds.
    (rate,) = re.findall(r" (\S+) problems/s", last_of_bar(monkeypatch, 100, seconds=1.1))
    assert 0 < int(rate) <= 2730


def test_times_are_written_as_people_say_them():
    assert [_time(one) for one in (4.6, 119.4, 720, 12384)] == [
        "5 s",
        "119 s",
        "12 min",
        "3 h 26 min",
    ]


def test_a_terminal_without_utf_8_has_plain_letters_and_no_traceback():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show_any_letter(stream)
    stream.write("✓ right ▁▆ \u4e00 …")
    stream.flush()
    assert raw.getvalue() == b"v right 16 ? ~"
