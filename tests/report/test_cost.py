"""What a run cost in tokens: by model and stage, and for each row that was kept."""

from dataclasses import replace
from typing import Any

import pytest

from leaf.report.page import render
from leaf.store.work import About, StageLog, Tokens
from tests.report.made import build_report


def log(stage: str, tokens: Tokens | None, kind: str = "answers", **about: Any) -> StageLog:
    return StageLog(
        title=stage,
        kind=kind,
        about=About(**about),
        stage=stage,
        key=f"{stage} {sorted(about.items())}",
        items=1,
        records=1,
        computed=1,
        seconds=1.0,
        tokens=tokens,
    )


@pytest.fixture
def logs(run: dict[str, Any]) -> list[StageLog]:
    own = run["recipe"].attribute.detector
    return [
        log("answers", Tokens(read=100, written=40), role="student"),
        log("answers", Tokens(read=60, written=20), role="teacher"),
        log("attribute", Tokens(read=500), "sensitivities", role="student", detector=own),
        log("attribute", None, "sensitivities", role="teacher", detector=own),
        log("verify", Tokens(read=30, written=12), role="student", detector=own, changed="pruned"),
        log("verify", Tokens(read=10, written=3), role="teacher", detector=own, changed="pruned"),
        log("verify", Tokens(read=5, written=2), role="student", detector=own, changed="placebo"),
        log("verify", Tokens(read=999, written=9), role="student", detector="x", changed="pruned"),
        log("evaluate", Tokens(read=7, written=8), role="leaf", asked="clean"),
    ]


def test_tokens_are_added_up_by_stage_and_model(run: dict[str, Any], logs: list[StageLog]) -> None:
    run["logs"] = logs
    run["training"]["leaf"] = [{**line, "tokens": 25} for line in run["training"]["leaf"]]
    found = build_report(**run)["cost"]["tokens"]
    assert [tuple(row.values()) for row in found] == [
        ("training problems", "student", 100, 40),
        ("training problems", "teacher", 60, 20),
        ("detection", "student", 500, 0),
        ("verification", "student", 1034, 23),
        ("verification", "teacher", 10, 3),
        ("training", "LeaF", 25 * len(run["training"]["leaf"]), 0),
        ("evaluation", "LeaF", 7, 8),
    ]


def test_what_an_arm_takes_from_the_recipes_stage_1_counts_once(
    run: dict[str, Any], logs: list[StageLog]
) -> None:
    own = log("verify", Tokens(read=4, written=1), role="student", detector="of the arm")
    run["logs"] = [*logs, *(replace(one, computed=0, seconds=2.0) for one in logs), own]
    cost = build_report(**run)["cost"]
    run["logs"] = [*logs, own]
    assert cost == build_report(**run)["cost"]
    assert cost["computed_seconds"] == len(logs) + 1.0
    assert cost["reused_seconds"] == 0.0


def test_a_kept_row_costs_what_its_kind_took_with_placebos(
    run: dict[str, Any], logs: list[StageLog]
) -> None:
    run["logs"] = logs
    (removals,) = (row for row in build_report(**run)["cost"]["rows"] if row["kind"] == "removal")
    assert removals["tokens"] == 30 + 12 + 10 + 3 + 5 + 2, "of the recipe's own detector alone"
    assert removals["kept"]
    assert removals["tokens_a_row"] == pytest.approx(removals["tokens"] / removals["kept"])


@pytest.mark.parametrize("trained", [False, True])
def test_the_page_says_that_a_teachers_reading_in_training_is_not_counted(
    run: dict[str, Any], logs: list[StageLog], trained: bool
) -> None:
    run["logs"] = logs
    tokens = 25 * trained
    run["training"] = {"leaf": [{**line, "tokens": tokens} for line in run["training"]["leaf"]]}
    said = "What a teacher reads while a student trains is not counted."
    assert (said in render(build_report(**run))) is trained


@pytest.mark.parametrize("placebos", [0, 2])
def test_the_page_speaks_of_placebos_only_where_there_are_some(
    run: dict[str, Any], logs: list[StageLog], placebos: int
) -> None:
    run["logs"] = logs
    report = build_report(**run)
    report["recipe"]["verify"]["placebos"] = placebos
    said = "The tokens of placebos are counted with the cuts."
    assert (said in render(report)) is bool(placebos)
