"""What each section of the page says: results, detectors, transplants."""

import dataclasses
import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from leaf.evaluate import Consistency, Robustness
from leaf.report.page import render
from leaf.statistics import Interval
from tests.report.made import build_report


def text_of(page: str) -> str:
    """What a reader sees: tags removed, entities resolved, white space joined."""
    body = page[page.index("<body>") :].split("<script", maxsplit=1)[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_more_than_two_benchmarks_are_rows_of_a_table_under_one_sentence(
    many: dict[str, Any],
) -> None:
    page = render(build_report(**many))
    text = text_of(page)
    assert (
        "LeaF was better than KD on conflict and both, worse on numeric; "
        "no difference is shown on clean and agree."
    ) in text
    assert "clean +12.5 −25.0 to +50.0 no difference shown 2 1 p = 1 8" in text
    assert "agree 0.0 – same answers right 0 0 p = 1 8" in text
    assert "conflict +20.0 +16.0 to +25.0 ▲ LeaF better 2 1 p < 0.001 400" in text
    assert "numeric −4.0 −8.0 to −1.0 ▼ LeaF worse 2 1 p = 0.03 400" in text
    assert "agree: All same." in text
    assert "Too few questions for any but large differences to show: clean, agree." in text
    assert 'class="verdict' not in page


def test_two_benchmarks_have_a_card_each(many: dict[str, Any]) -> None:
    for name in ("estimates", "comparisons"):
        many[name] = {key: many[name][key] for key in ("clean", "numeric")}
    benchmarks = many["recipe"].evaluate.benchmarks
    evaluate = many["recipe"].evaluate.model_copy(
        update={"benchmarks": {key: benchmarks[key] for key in many["estimates"]}}
    )
    many["recipe"] = many["recipe"].model_copy(update={"evaluate": evaluate})
    page = render(build_report(**many))
    assert len(re.findall(r'<div class="verdict( open)?">', page)) == 2
    assert "LeaF minus KD on numeric −4.0 points 95% interval −8.0 to −1.0" in text_of(page)


def test_a_row_of_variants_says_of_how_many_problems(many: dict[str, Any]) -> None:
    plain = text_of(render(build_report(**many)))
    assert "Exact McNemar test" in plain
    assert "sign test" not in plain
    both = dataclasses.replace(many["comparisons"]["both"], problems=1)
    many["comparisons"] = many["comparisons"] | {"both": both}
    text = text_of(render(build_report(**many)))
    assert "400 of 1 problem " in text
    assert "Exact McNemar test" not in text
    assert "Where questions are variants of fewer problems, the interval draws whole" in text


def test_a_benchmark_that_is_not_compared_yet_says_so_in_its_row(many: dict[str, Any]) -> None:
    many["comparisons"] = many["comparisons"] | {"numeric": None}
    text = text_of(render(build_report(**many)))
    assert "numeric not there yet" in text
    assert "LeaF was better than KD on conflict and both; no difference is shown" in text


def test_detectors_are_shown_side_by_side_only_where_there_is_a_control(
    run: dict[str, Any], controlled: dict[str, Any]
) -> None:
    assert "Does detection beat chance?" not in render(build_report(**run))
    page = render(build_report(**controlled))
    text = text_of(page)
    assert page.count('href="#detectors"') == page.count('id="detectors"') == 1
    # Of one: the closed form of Wilson is 1 / (1 + z^2) and z^2 / (1 + z^2), z^2 = 3.8415.
    assert "gradient 100.0% (20.7% to 100.0%) 1 of 1 problems" in text
    assert "random 0.0% (0.0% to 79.3%) 0 of 1 problems 0.0% (0.0% to 79.3%) 0 of 1 cuts" in text
    for head in ("Verified cuts", "Changed questions tried", "Characters a cut"):
        assert head in text
    # Tried, problems cut in, mean characters: 4 and 11.
    assert "1 of 2 cuts 2 1 7.5" in text
    assert "random : as many tokens as the gradient rule took from that same problem" in text
    assert (
        "gradient freed 1 problem that random did not, random 0 that gradient did not "
        "(exact McNemar test p = 1): no difference is shown."
    ) in text


def test_transplants_are_shown_as_insertions_and_not_counted_as_removals(
    transplanted: dict[str, Any], read_problems: Callable[..., str]
) -> None:
    report = build_report(**transplanted)
    text = read_problems(report)
    assert "p0 1 of 2 cuts verified 1 of 1 transplant kept" in text
    assert "p1 1 of 2 transplants kept" in text
    assert "Kept teacher still right, student not: here it learns Taken from p2/cf9" in text
    assert "Kept teacher still right Taken from p2/cf9" in text
    assert "Not kept teacher wrong Taken from p2/cf9" in text
    assert "With and 5 cats instead of and 4 hats" in text
    around = text_of(render(report))
    assert "Verified cuts put elsewhere 3" in around
    assert "Kept: the teacher still right 1 left out 2" in around
    assert "Into 1 more problem a transplant was put; nothing was cut there." in around


def test_a_run_without_transplants_does_not_mention_them(run: dict[str, Any]) -> None:
    page = render(build_report(**run))
    assert "<ins" not in page
    assert "ransplant" not in text_of(page).split("The resolved recipe")[0]


def test_cuts_are_counted_in_the_unit_of_the_recipe_where_there_is_one(
    controlled: dict[str, Any], read_problems: Callable[..., str]
) -> None:
    for units, counted, rule in (
        (["clause"], "0.04 over 1 clause", "as many clauses as"),
        (["token", "clause"], "0.04 over 1 unit", "as many tokens and clauses as"),
    ):
        recipe = controlled["recipe"]
        prune = recipe.prune.model_copy(update={"units": units})
        changed = controlled | {"recipe": recipe.model_copy(update={"prune": prune})}
        report = build_report(**changed)
        assert f"Gap {counted} " in read_problems(report)
        assert rule in text_of(render(report))


def test_cuts_that_no_gap_ranked_show_none(
    controlled: dict[str, Any], read_problems: Callable[..., str]
) -> None:
    recipe = controlled["recipe"]
    attribute = recipe.attribute.model_copy(update={"detector": "random"})
    controlled["recipe"] = recipe.model_copy(update={"attribute": attribute})
    text = read_problems(build_report(**controlled))
    assert "Cut 1 token" in text
    assert not re.search(r"Gap [0-9]", text)


@pytest.mark.parametrize(
    ("verify", "said"),
    [
        ({}, "still answers right. The student’s verdict is only recorded: where it fails,"),
        (
            {"transplants": "student_wrong"},
            "still answers right and the student fails: there it has something to learn. Into 1",
        ),
        (
            {"effect": 0.25},
            "A text must also have misled the student, and not the teacher, in at least 25.0% of",
        ),
    ],
)
def test_the_page_says_what_keeps_a_transplant(
    transplanted: dict[str, Any], verify: dict[str, Any], said: str
) -> None:
    report = build_report(**transplanted)
    report["recipe"]["verify"] |= verify
    text = text_of(render(report))
    assert said in text
    assert ("Kept: the teacher still right" in text) is (not verify)


def test_what_variants_cost_is_a_table_of_its_own(run: dict[str, Any]) -> None:
    assert "Robustness, table" not in render(build_report(**run))
    half = Interval(value=0.5, n=4, low=0.2, high=0.8)
    one = Robustness(
        base=half,
        micro=Interval(value=0.25, n=12, low=0.1, high=0.4),
        macro=half,
        normalised_micro=half,
        normalised_macro=None,
        drop=Interval(value=0.25, n=12, low=None, high=None),
        lost=5,
        gained=2,
        agreement=Interval(value=0.75, n=4, low=0.3, high=0.9),
    )
    report = build_report(**run, robustness={"distracted": {"leaf": one, "before": one}})
    assert [row["arm"] for row in report["robustness"]] == ["before", "leaf"]
    text = " ".join(text_of(render(report)).split())
    assert "distracted Before 50.0% of 4 20.0% to 80.0% 25.0% of 12 10.0% to 40.0%" in text
    assert "+25.0 – to – 5 / 2 75.0% of 4 30.0% to 90.0%" in text


def test_votes_are_a_table_of_their_own(run: dict[str, Any]) -> None:
    assert "Votes, table" not in render(build_report(**run))
    one = Consistency(asked=50, whole=80, saved=0.375, stopped=6, share=0.9, n=8)
    report = build_report(**run, consistency={"gsm8k": {"leaf": one}})
    assert report["consistency"][0]["saved"] == 0.375
    text = " ".join(text_of(render(report)).split())
    assert "gsm8k LeaF 90.0% 6 of 8 50 of 80 37.5%" in text


def test_every_measure_of_a_benchmark_has_its_line_and_one_without_any_is_not_there_yet(
    run: dict[str, Any],
) -> None:
    values = run["estimates"]["gsm8k"]
    found = build_report(**{**run, "estimates": {"gsm8k EM": values, "gsm8k F1": values}})
    assert [row["benchmark"] for row in found["results"]] == ["gsm8k EM", "gsm8k F1"]
    nothing = build_report(**{**run, "estimates": {}})
    assert [row["benchmark"] for row in nothing["results"]] == ["gsm8k"]
