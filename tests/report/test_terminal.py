import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from leaf.report import print_lengths, print_results
from leaf.report.terminal import ROOM
from leaf.statistics import Comparison, Estimate, Lengths

NAMES = ("clean", "agree", "conflict", "numeric", "both")


def estimate(mean: float, low: float, high: float, ungradable: int = 0) -> Estimate:
    n = 4000
    return Estimate(
        right=round(mean * n), ungradable=ungradable, n=n, value=mean, low=low, high=high
    )


USUAL = estimate(0.51, 0.461, 0.559)
WIDEST = Comparison(n=4000, wins=9, losses=9, value=-0.2, low=-0.255, high=-0.145, p_value=0.001)
BETTER = replace(WIDEST, value=0.2, low=0.145, high=0.255)
OPEN = replace(WIDEST, value=0.001, low=-0.02, high=0.021, p_value=0.9)


def arms(*, teacher: bool = False, found: Estimate = USUAL) -> dict[str, Estimate]:
    return dict.fromkeys(("before", "kd", "leaf", *(["teacher"] if teacher else [])), found)


def printed(
    estimates: dict[str, dict[str, Estimate]],
    comparisons: dict[str, Comparison],
    **console: Any,
) -> list[str]:
    """The lines printed, without spaces at their ends."""
    file = io.StringIO()
    print_results(estimates, comparisons, Console(file=file, highlight=False, **console))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def on_terminal(width: int) -> dict[str, Any]:
    return {"force_terminal": True, "color_system": None, "width": width}


def test_each_benchmark_is_one_row_of_shares_with_their_intervals() -> None:
    head, row, *_ = printed({"gsm8k": arms()}, {"gsm8k": BETTER})
    assert head.split() == ["n", "before", "KD", "LeaF", "LeaF", "-", "KD,", "points"]
    share = ["51.0%", "(46.1", "to", "55.9)"]
    assert row.split() == ["gsm8k", "4000", *share * 3, "+20.0", "(+14.5", "to", "+25.5)"]


@pytest.mark.parametrize(
    "found",
    [USUAL, estimate(1.0, 0.9995, 1.0), estimate(0.9985, 0.9949, 0.9996), estimate(0.0, 0.0, 0.1)],
    ids=lambda found: str(found.mean),
)
@pytest.mark.parametrize("console", [{}, on_terminal(100)], ids=["file", "terminal"])
def test_five_benchmarks_fit_100_columns_one_row_each(
    found: Estimate, console: dict[str, Any]
) -> None:
    estimates = {name: arms(teacher=True, found=found) for name in NAMES}
    lines = printed(estimates, dict.fromkeys(NAMES, WIDEST), **console)
    assert [line.split()[0] for line in lines[1:6]] == list(NAMES)
    assert all("(" in line and line.endswith("(-25.5 to -14.5)") for line in lines[1:6])
    assert max(map(len, lines[:6])) <= ROOM == 100
    assert "The teacher's scores are in the report." in lines


def test_the_teacher_has_a_column_where_there_is_room() -> None:
    estimates = {name: arms(teacher=True) for name in NAMES}
    lines = printed(estimates, dict.fromkeys(NAMES, WIDEST), **on_terminal(140))
    assert "teacher" in lines[0]
    assert lines[1].count("51.0% (46.1 to 55.9)") == 4
    assert "The teacher's scores are in the report." not in lines


def test_in_80_columns_an_interval_stands_below_its_number() -> None:
    estimates = {name: arms() for name in NAMES}
    lines = printed(estimates, dict.fromkeys(NAMES, WIDEST), **on_terminal(80))
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["clean", "4000", "51.0%", "51.0%", "51.0%", "-20.0"]
    assert lines[2].split() == [*["(46.1", "to", "55.9)"] * 3, "(-25.5", "to", "-14.5)"]


def test_in_a_file_a_benchmark_is_one_line_however_long_its_name() -> None:
    name = "x" * 200
    _, row, said, *_ = printed({name: arms()}, {name: BETTER})
    assert row.startswith(f"{name} ")
    assert row.endswith("51.0% (46.1 to 55.9) +20.0 (+14.5 to +25.5)")
    assert said == f"LeaF was better than KD on {name}."


def test_numbers_stand_below_each_other_at_the_point() -> None:
    estimates = {"a": arms(), "b": arms(found=estimate(0.085, 0.061, 0.116))}
    _, first, second, *_ = printed(estimates, {"a": BETTER, "b": OPEN})
    assert first.index("1.0% (") == second.index("8.5% (")
    assert first.index("0.0 (+14.5") == second.index("0.1 (-2.0")


def test_only_benchmarks_with_answers_that_could_not_be_graded_have_a_line() -> None:
    some = arms() | {"kd": replace(USUAL, ungradable=3)}
    lines = printed({"a": arms(), "b": some}, {"a": OPEN, "b": OPEN})
    assert [line for line in lines if "gradable" in line] == [
        "not gradable on b: before 0, KD 3, LeaF 0 (counted as not right)"
    ]


def test_variants_of_fewer_problems_have_a_line() -> None:
    variants = replace(BETTER, problems=100)
    lines = printed({"a": arms(), "b": arms()}, {"a": OPEN, "b": variants})
    assert [line for line in lines if "variants" in line] == [
        "b: 4000 variants of 100 problems; the difference's interval draws whole problems, "
        "the exact test counts them"
    ]


def test_the_words_name_a_direction_only_where_interval_and_test_agree() -> None:
    lucky = replace(BETTER, p_value=0.0625)  # the interval alone is not enough
    estimates = {name: arms() for name in ("a", "b", "c", "d")}
    comparisons = {"a": BETTER, "b": WIDEST, "c": OPEN, "d": lucky}
    assert (
        "LeaF was better than KD on a, worse on b; no difference is shown on c and d."
        in printed(estimates, comparisons)
    )


def test_a_difference_without_interval_and_a_missing_arm_are_said() -> None:
    comparison = replace(OPEN, value=0.0, low=None, high=None, wins=0, losses=0)
    _, row, *_ = printed({"a": {"leaf": USUAL}}, {"a": comparison})
    assert row.split() == [
        "a",
        "4000",
        "-",
        "-",
        *["51.0%", "(46.1", "to", "55.9)", "+0.0", "(no", "interval)"],
    ]


def test_a_name_is_shown_as_it_is() -> None:
    lines = printed({"[red]x[/red]": arms()}, {"[red]x[/red]": OPEN})
    assert lines[1].startswith("[red]x[/red] ")
    assert lines[1].endswith("(-2.0 to +2.1)")
    assert lines[2] == "No difference between LeaF and KD is shown on [red]x[/red]."


MANY = ("before", "kd", "rft", "leaf", "self", "self_ce", "lens", "teacher")


def test_many_arms_have_a_row_each_where_their_columns_do_not_fit() -> None:
    file = io.StringIO()
    console = Console(file=file, highlight=False, **on_terminal(80))
    others = {name: {("self", "rft"): BETTER, ("self", "kd"): WIDEST} for name in NAMES}
    found = {name: dict.fromkeys(MANY, USUAL) for name in NAMES}
    print_results(found, dict.fromkeys(NAMES, BETTER), console, others=others)
    lines = file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["right", "-", "KD,", "points", "-", "RFT,", "points"]
    (leaf, *_) = [line for line in lines if line.lstrip().startswith("LeaF ")]
    assert leaf.split() == ["LeaF", "51.0%", "+20.0"]
    (own, *_) = [line for line in lines if line.lstrip().startswith("LeaF-self")]
    assert own.split() == ["LeaF-self", "51.0%", "-20.0", "+20.0"]
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize(("width", "rows"), [(80, 9), (200, 6)])
def test_lengths_turn_round_where_arms_do_not_fit_as_columns(width: int, rows: int) -> None:
    file = io.StringIO()
    length = Lengths(mean=192.25, median=180.0, truncated=20, n=500)
    found = {name: dict.fromkeys(MANY, length) for name in NAMES}
    print_lengths(found, Console(file=file, highlight=False, **on_terminal(width)))
    lines = file.getvalue().splitlines()
    assert len(lines) == rows
    assert file.getvalue().count("192.2 (4.0%)") == len(MANY) * len(NAMES)
