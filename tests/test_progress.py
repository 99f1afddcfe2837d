"""Progress without a terminal: few plain lines, on standard error."""

import re
import time

from leaf.progress import progress


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
