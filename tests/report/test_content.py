import json
from typing import Any

import pytest

from leaf.records import Comparison, Drop
from leaf.report import build_report
from leaf.report.content import reading


def counts(report: dict[str, Any]) -> dict[str, int | None]:
    return {step["step"]: step["count"] for step in report["steps"]}


def compared(
    wins: int, losses: int, low: float | None, high: float | None, p_value: float
) -> Comparison:
    return Comparison(
        n=100,
        wins=wins,
        losses=losses,
        difference=(wins - losses) / 100,
        low=low,
        high=high,
        p_value=p_value,
    )


def test_every_step_counts_what_is_left(run: dict[str, Any]) -> None:
    assert counts(build_report(**run)) == {
        "problems": 3,
        "answered": 3,
        "student_wrong_teacher_right": 1,
        "attributed": 1,
        "with_span": 1,
        "with_verified": 1,
        "spans": 2,
        "counterfactuals": 2,
        "verified": 1,
    }


def test_a_problem_that_one_model_could_not_answer_is_not_answered_by_both(
    run: dict[str, Any],
) -> None:
    first, *rest = run["teacher_answers"]
    failed = type(first)(
        problem_id=first.problem_id,
        text="",
        prompt_tokens=9999,
        response_tokens=0,
        truncated=False,
        failure="prompt longer than the context",
    )
    run["teacher_answers"] = [failed, *rest]
    assert counts(build_report(**run))["answered"] == 2


def test_outcomes_are_crossed_without_folding_ungradable_into_wrong(run: dict[str, Any]) -> None:
    nothing = {"right": 0, "wrong": 0, "ungradable": 0}
    assert build_report(**run)["outcomes"] == {
        "right": nothing | {"right": 1},
        "wrong": nothing | {"right": 1},
        "ungradable": nothing | {"wrong": 1},
    }


def test_drops_are_grouped_by_reason_with_at_most_three_examples(run: dict[str, Any]) -> None:
    run["drops"] = [
        Drop(stage="pruning", problem_id="a", reason="rare"),
        *(Drop(stage="pruning", problem_id=f"b{i}", reason="often") for i in range(5)),
        Drop(stage="verification", problem_id="c", reason="often"),
    ]
    assert [
        (drop["stage"], drop["reason"], drop["count"], drop["examples"])
        for drop in build_report(**run)["drops"]
    ] == [
        ("pruning", "often", 5, ["b0", "b1", "b2"]),
        ("pruning", "rare", 1, ["a"]),
        ("verification", "often", 1, ["c"]),
    ]


def test_training_has_first_and_last_values_and_sums(run: dict[str, Any]) -> None:
    kd, leaf = build_report(**run)["training"]
    assert (kd["arm"], kd["kl_counterfactual"]) == ("kd", None)
    assert leaf["kl_original"] == {"first": 0.5, "last": 0.25}
    assert leaf["kl_counterfactual"] == {"first": 0.6, "last": 0.3}
    assert (leaf["steps"], leaf["rows"], leaf["response_tokens"], leaf["seconds"]) == (
        2,
        8,
        1200,
        4.0,
    )


def test_reused_time_is_not_counted_as_spent(run: dict[str, Any]) -> None:
    cost = build_report(**run)["cost"]
    assert (cost["computed_seconds"], cost["reused_seconds"]) == (3.25, 90.0)


def test_every_seed_of_the_recipe_is_listed(run: dict[str, Any]) -> None:
    assert build_report(**run)["seeds"] == {
        "data.seed": 7,
        "distill.seed": 0,
        "evaluate.benchmarks.gsm8k.seed": 0,
        "evaluate.seed": 0,
    }


def test_a_report_is_strict_json(run: dict[str, Any]) -> None:
    report = build_report(**run)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (compared(0, 0, None, None, 1.0), "equal"),
        (compared(6, 4, -0.04, 0.08, 0.75), "open"),
        (compared(6, 1, 0.0, 0.10, 0.125), "open"),
        (compared(5, 0, 0.01, 0.10, 0.0625), "open"),  # the interval alone is not enough
        (compared(20, 4, 0.07, 0.25, 0.0015), "higher"),
        (compared(4, 20, -0.25, -0.07, 0.0015), "lower"),
        (compared(100, 0, None, None, 1e-30), "higher"),
        (compared(3, 0, None, None, 0.25), "open"),
    ],
)
def test_a_direction_needs_both_the_interval_and_the_test(
    comparison: Comparison, expected: str
) -> None:
    assert reading(comparison) == expected


@pytest.mark.parametrize(
    ("absent", "stopped_before"),
    [
        ({"problems"}, "reading the problems"),
        ({"teacher_answers"}, "answering"),
        ({"student_scores"}, "grading"),
        ({"attributions", "focus"}, "attribution"),
        ({"counterfactuals"}, "pruning"),
        ({"verdicts"}, "verification"),
        ({"training"}, "distillation"),
        ({"estimates", "comparisons"}, "evaluation"),
        (set(), None),
    ],
)
def test_the_first_stage_without_a_result_is_named(
    run: dict[str, Any], absent: set[str], stopped_before: str | None
) -> None:
    assert build_report(**(run | dict.fromkeys(absent)))["missing"] == stopped_before


def test_a_run_with_only_one_arm_trained_stopped_before_the_end_of_distillation(
    run: dict[str, Any],
) -> None:
    run["training"] = {"kd": run["training"]["kd"]}
    assert build_report(**run)["missing"] == "distillation"
