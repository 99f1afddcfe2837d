"""A run without a teacher: nothing is said of one, and nothing waits for what will never be."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from leaf.recipe.reading import check_recipe
from leaf.records import Drop, Outcome, RankedUnit
from leaf.report.figures import curve_plot
from leaf.report.looks import LOOKS, looks_of, style_of_looks
from leaf.report.page import render
from leaf.statistics import Lengths
from leaf.store.ledger import Ranking
from leaf.store.results import Cuts, Results
from tests.report.conftest import line, trained, unfold
from tests.report.made import build_report
from tests.report.test_sections import text_of


@pytest.fixture
def alone(run: dict[str, Any]) -> dict[str, Any]:
    """The run by the student alone: `rft` in the place of `kd`, and no answer of a teacher."""
    values = run["recipe"].model_dump(by_alias=True)
    values |= {"teacher": "self"}
    values["attribute"] |= {"detector": "ablation", "controls": []}
    cuts, verdicts = run["cuts"]["gradient"]
    kept = [dataclasses.replace(one, teacher=None, teacher_text=None) for one in verdicts]
    training = run["training"]
    return run | {
        "recipe": check_recipe(values, source="alone"),
        "teacher_answers": None,
        "teacher_scores": None,
        "cuts": {"ablation": (cuts, kept)},
        "rankings": {
            "p0": (
                Ranking(
                    detector="ablation",
                    unit="clause",
                    units=(RankedUnit(start=9, end=13, score=0.5),),
                ),
            )
        },
        "training": {"rft": [line(1, 0.0, None)], "leaf": training["leaf"]},
        "logs": [trained("leaf", 20.0, items=5), trained("rft", 10.0, items=2)],
        "estimates": {
            name: {"rft" if arm == "kd" else arm: one for arm, one in arms.items()}
            for name, arms in run["estimates"].items()
        },
    }


def test_the_page_says_nothing_of_a_teacher_or_of_plain_distillation(
    alone: dict[str, Any],
) -> None:
    text = text_of(render(build_report(**alone)))
    text = re.sub(r"The resolved recipe.*?How to repeat", "", text)
    said = text.split("How to repeat it")[-2]
    assert "learned without a teacher on" in text
    found = re.findall(r"[^.]*(?:teacher|Teacher|both models|KD|plain distillation)[^.]*", said)
    assert [one for one in found if "without a teacher" not in one] == []


def test_nothing_is_not_there_yet_that_will_never_be(alone: dict[str, Any]) -> None:
    report = build_report(**alone)
    assert report["missing"] is None
    assert "ot there yet" not in text_of(render(report))


def test_the_student_alone_says_what_enters_and_what_is_passed_over(
    alone: dict[str, Any],
) -> None:
    report = build_report(**alone)
    steps = {step["step"]: step["count"] for step in report["steps"]}
    assert (steps["answered"], steps["student_wrong"]) == (3, 1)
    assert (steps["rows_rft"], steps["rows_leaf"]) == (2, 5)
    assert not {"student_wrong_teacher_right", "rows_kd"} & set(steps)
    assert {drop["reason"]: drop["count"] for drop in report["passed_over"]} == {
        "the student is right": 1,
        "the student’s answer could not be graded": 1,
    }


def test_outcomes_are_the_students_alone(alone: dict[str, Any]) -> None:
    report = build_report(**alone)
    assert report["outcomes"] == {
        "right": {"all": 1},
        "wrong": {"all": 1},
        "ungradable": {"all": 1},
    }
    text = text_of(render(report))
    assert "Problems by the student’s first answer Problems Student right 1" in text
    assert "searched for distractions: the student fails them." in text


def test_the_way_to_the_student_is_held_against_that_of_rft(alone: dict[str, Any]) -> None:
    report = build_report(**alone)
    # (0 before + 20) / (0 of answers + 10) - 1.
    assert report["overhead"]["whole"] == pytest.approx(1.0)
    assert "saving, training took LeaF 20 s and RFT 10 s (+100%)" in text_of(render(report))


def test_one_problem_shows_no_place_for_a_teachers_answer(
    alone: dict[str, Any], opened: Callable[..., tuple[Page, list[str]]]
) -> None:
    page, seen = opened(build_report(**alone))
    unfold(page)
    said = page.locator("#list").inner_text()
    assert seen == []
    assert "student right without it" in said
    assert "teacher" not in said.lower()


def test_every_arms_answers_have_a_length_on_every_benchmark(run: dict[str, Any]) -> None:
    run["lengths"] = {
        "gsm8k": {
            "before": Lengths(mean=192.25, median=180.0, truncated=10, n=40),
            "leaf": Lengths(mean=96.0, median=90.0, truncated=0, n=40),
        }
    }
    report = build_report(**run)
    assert [(one["arm"], one["mean"], one["share_cut"]) for one in report["lengths"]] == [
        ("before", 192.25, 0.25),
        ("leaf", 96.0, 0.0),
    ]
    text = text_of(render(report))
    assert "Benchmark Before LeaF gsm8k 192 25.0% cut 96 0.0% cut" in text


def test_each_arms_way_is_counted_by_how_questions_were_changed(run: dict[str, Any]) -> None:
    values = run["recipe"].model_dump(by_alias=True)
    values["arms"] = {"self": {"teacher": "self", "attribute": {"detector": "ablation"}}}
    values["attribute"]["controls"] = []
    run["recipe"] = check_recipe(values, source="arms")
    made, verdicts = run["cuts"]["gradient"]
    run["beside"] = {
        "self": Results(
            alone=True,
            entered={"p0": "wrong", "p2": "wrong"},
            cuts={"ablation": Cuts(counterfactuals=made, verdicts=verdicts)},
            rows={"rft": {"original": 1}, "leaf": {"original": 1, "span": 1}},
            drops=[Drop(stage="verify", problem_id="p0/cf0", reason="student wrong")],
            notes=["nothing was put into any of 3 problems"],
        )
    }
    run["rows"] = {"kd": {"original": 3}, "leaf": {"original": 3, "span": 1}}
    run["responses"] = {"kd": {"teacher": 2, "gold": 1}, "leaf": {"teacher": 2, "gold": 1}}
    run["training"] |= {"rft": [line(1, 0.0, None)], "self": [line(1, 0.0, 2.0)]}
    report = build_report(**run)
    ways = {way["arm"]: way for way in report["ways"]}
    assert set(ways) == {"kd", "rft", "leaf", "self"}
    assert [ways[arm]["taught_by"] for arm in ("kd", "rft", "leaf", "self")] == [
        "teacher",
        "responses",
        "teacher",
        "itself",
    ]
    assert (ways["self"]["entered"], ways["self"]["tried"]) == (2, {"span": 2})
    assert (ways["self"]["kept"], ways["self"]["rows"]) == ({"span": 1}, {"original": 1, "span": 1})
    assert ways["self"]["differs"] == {"teacher": "self", "attribute.detector": "ablation"}
    assert ways["self"]["left"] == [{"stage": "verify", "reason": "student wrong", "count": 1}]
    assert ways["leaf"]["responses"] == {"teacher": 2, "gold": 1}
    assert "LeaF-self: nothing was put into any of 3 problems" in report["notes"]
    text = text_of(render(report))
    assert "(LeaF), and once more without a teacher (LeaF-self)." in text
    assert "LeaF-self itself, as it was 2 1 of 2 with a cut 1 originals 1 with a cut" in text
    assert "3 originals 2 answered by the teacher 1 answered by the data" in text
    assert "LeaF-self differs in teacher: self , attribute.detector: ablation" in text


def test_outcomes_of_two_models_keep_both(run: dict[str, Any]) -> None:
    assert build_report(**run)["outcomes"]["wrong"][Outcome.RIGHT] == 1


def test_arms_that_only_a_recipe_knows_look_different() -> None:
    looks = looks_of(["kd", "self", "lens", "on_policy", "lens"])
    assert looks == {"lens": "own-0", "on_policy": "own-1"}
    arms = [{"arm": arm, "curve": [{"step": 1, "loss": 1.0}]} for arm in looks]
    drawn = str(curve_plot(arms, "loss", "nats", "", looks))
    assert "var(--arm-own-0)" in drawn
    assert "var(--arm-own-1)" in drawn


def test_an_arm_has_the_marker_of_the_plots_in_tables_and_no_two_arms_have_one() -> None:
    markers = [look.marker for look in LOOKS.values()]
    assert len(set(markers)) == len(markers)
    style = style_of_looks()
    drawn = [re.search(rf"\.key\.{name} {{ [^;]*;(.*) }}", style)[1] for name in LOOKS]  # type: ignore[index]
    assert len(set(drawn)) == len(drawn)


def test_a_kl_of_rounding_alone_is_told_as_0(alone: dict[str, Any]) -> None:
    alone["training"]["leaf"] = [line(1, -2e-9, 3e-9), line(2, 4e-9, 0.25)]
    text = text_of(render(build_report(**alone)))
    assert "LeaF 0 → 0 0 → 0.25" in text


def test_where_nobody_teaches_the_loss_stands_in_the_place_of_the_kl(alone: dict[str, Any]) -> None:
    for arm in ("rft", "leaf"):
        lines = alone["training"][arm]
        alone["training"][arm] = [
            one | {"kl_original": None, "kl_counterfactual": None, "loss": 0.5} for one in lines
        ]
    text = text_of(render(build_report(**alone)))
    assert "All students learn from responses alone, by cross-entropy" in text
    assert "Student Loss Steps Rows" in text
    assert "LeaF 0.5 → 0.5 2" in text


def test_arms_that_learn_from_responses_alone_are_named_together(run: dict[str, Any]) -> None:
    untaught = line(1, 0.5, None) | {"kl_original": None}
    run["training"] |= {"rft": [untaught], "self": [untaught]}
    text = text_of(render(build_report(**run)))
    assert "RFT and LeaF-self learn from responses alone, so there is no KL." in text
