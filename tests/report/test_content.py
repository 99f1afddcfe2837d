import dataclasses
import json
from typing import Any

import pytest

from leaf.records import Drop, Outcome
from leaf.report.page import render
from leaf.store.work import About
from tests.report.conftest import estimate, log, trained
from tests.report.made import build_report


def counts(report: dict[str, Any]) -> dict[str, int | None]:
    return {step["step"]: step["count"] for step in report["steps"]}


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
        "rows_kd": None,
        "rows_leaf": None,
    }


def test_training_rows_are_those_of_both_trainings(run: dict[str, Any]) -> None:
    run["logs"] = [trained("kd", 20.0), trained("leaf", 21.0, items=9)]
    found = counts(build_report(**run))
    assert (found["rows_kd"], found["rows_leaf"]) == (3, 9)


def test_transplants_have_steps_of_their_own_and_change_no_other(
    run: dict[str, Any], transplanted: dict[str, Any]
) -> None:
    _, verdicts = transplanted["cuts"]["gradient"]
    assert verdicts[3].counterfactual_id == "p1/tp0"
    verdicts[3] = dataclasses.replace(verdicts[3], student=Outcome.UNGRADABLE)
    assert counts(build_report(**transplanted)) == counts(build_report(**run)) | {
        "transplants": 3,
        "transplants_kept": 2,
        "transplants_failed": 2,  # p1/tp1 as well, but that one was not kept
    }
    verdicts[3] = dataclasses.replace(verdicts[3], student=Outcome.RIGHT)
    assert counts(build_report(**transplanted))["transplants_failed"] == 1


def test_steps_and_examples_are_of_the_recipes_own_detector(
    run: dict[str, Any], controlled: dict[str, Any]
) -> None:
    alone, beside = build_report(**run), build_report(**controlled)
    for part in ("steps", "distraction", "drops"):
        assert alone[part] == beside[part]


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
        (
            drop["stage"],
            drop["reason"],
            drop["count"],
            [example["id"] for example in drop["examples"]],
        )
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


ONLY_FOR_CONTROLS = [
    log("sensitivities", 50.0, About(role="student", detector="perplexity")),
    log("sensitivities", 50.0, About(role="student", detector="perplexity", level="response")),
    log("counterfactuals", 50.0, About(detector="random")),
    log("counterfactuals", 50.0, About(detector="random", level="response")),
    log("answers", 50.0, About(role="student", detector="random", changed="pruned")),
]


def test_overhead_sets_leafs_way_to_the_student_against_plain_distillation(
    run: dict[str, Any],
) -> None:
    assert build_report(**run)["overhead"] is None, "nobody was trained yet"
    run["logs"] = [
        log("answers", 4.0, About(role="student")),
        log("sensitivities", 2.0, About(role="student", detector="gradient")),
        *ONLY_FOR_CONTROLS,
        trained("kd", 20.0),
        trained("leaf", 21.0),
        log("answers", 9.0, About(role="before", asked="clean")),
    ]
    attribute = run["recipe"].attribute.model_copy(update={"controls": ["random", "perplexity"]})
    run["recipe"] = run["recipe"].model_copy(update={"attribute": attribute})
    overhead = build_report(**run)["overhead"]
    assert overhead["stage_1_seconds"] == 6.0
    # 21 against 20, and 6 + 21 against 20.
    assert overhead["training"] == pytest.approx(0.05)
    assert overhead["whole"] == pytest.approx(0.35)
    page = render(build_report(**run))
    assert "+5%" in page
    assert "+35% for the whole way" in page


def test_validation_is_drawn_where_there_was_some(run: dict[str, Any]) -> None:
    assert "Loss on held-out problems" not in render(build_report(**run))
    for at, line in enumerate(run["training"]["leaf"]):
        line["validation_loss"] = 0.5 - 0.1 * at
    assert "Loss on held-out problems" in render(build_report(**run))


def test_every_seed_of_the_recipe_is_listed(run: dict[str, Any]) -> None:
    assert build_report(**run)["seeds"] == {
        "data.seed": 7,
        "distill.seed": 0,
        "distill.validation.seed": 0,
        "evaluate.benchmarks.gsm8k.seed": 0,
        "evaluate.seed": 0,
        "generate.seed": 0,
        "prune.inject.seed": 0,
        "prune.seed": 0,
        "verify.seed": 0,
    }


def test_the_embedded_world_has_a_seed_of_its_own(run: dict[str, Any]) -> None:
    data = run["recipe"].data.model_copy(update={"task": "playground"})
    run["recipe"] = run["recipe"].model_copy(update={"data": data})
    seeds = build_report(**run)["seeds"]
    assert [key for key in seeds if "world" in key] == ["data.world.seed"]


def test_a_report_is_strict_json(run: dict[str, Any]) -> None:
    report = build_report(**run)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


@pytest.mark.parametrize(
    ("absent", "stopped_before"),
    [
        ({"problems"}, "reading the problems"),
        ({"teacher_answers"}, "answering"),
        ({"attributions", "focus"}, "attribution"),
        ({"training"}, "distillation"),
        ({"estimates", "comparisons"}, "evaluation"),
        (set(), None),
    ],
)
def test_the_first_stage_without_a_result_is_named(
    run: dict[str, Any], absent: set[str], stopped_before: str | None
) -> None:
    assert build_report(**(run | dict.fromkeys(absent)))["missing"] == stopped_before


def test_a_run_without_cuts_stopped_before_pruning(run: dict[str, Any]) -> None:
    report = build_report(**(run | {"cuts": {}}))
    assert report["missing"] == "pruning"
    assert report["detectors"] is None
    assert counts(report)["counterfactuals"] is None


@pytest.mark.parametrize("unverified", ["gradient", "random"])
def test_a_run_whose_cuts_are_not_all_judged_stopped_before_verification(
    controlled: dict[str, Any], unverified: str
) -> None:
    controlled["cuts"][unverified] = (controlled["cuts"][unverified][0], None)
    assert build_report(**controlled)["missing"] == "verification"


def test_a_run_with_only_one_arm_trained_stopped_before_the_end_of_distillation(
    run: dict[str, Any],
) -> None:
    run["training"] = {"kd": run["training"]["kd"]}
    assert build_report(**run)["missing"] == "distillation"


def test_who_entered_is_counted_by_the_way_in_which_the_student_failed(run: dict[str, Any]) -> None:
    run = run | {"entered": {"p0": "wrong", "p2": "cut"}}
    report = build_report(**run)
    counts = {step["step"]: step["count"] for step in report["steps"]}
    assert counts["student_wrong_teacher_right"] == 2
    assert [counts[f"entered_{kind}"] for kind in ("wrong", "no_answer", "cut")] == [1, 0, 1]
    # p1 was right; what entered was not passed over.
    assert [(one["reason"], one["count"]) for one in report["passed_over"]] == [
        ("the student is right", 1)
    ]
    assert "Of these, cut at the token limit" in render(report)
    alone = build_report(**run | {"entered": {"p0": "wrong"}})
    assert not any(step["step"].startswith("entered_") for step in alone["steps"])


def test_the_benchmark_with_fewest_questions_is_named_where_they_are_few(
    run: dict[str, Any],
) -> None:
    many = {"large": {"kd": estimate(150, 300)}}

    few = build_report(**{**run, "estimates": {**many, **run["estimates"]}})["notes"]
    enough = build_report(**{**run, "estimates": many})["notes"]

    assert few == [
        *enough,
        "gsm8k has only n = 8 test questions: the method is judged by the intervals, "
        "not by the percentages",
    ]
