"""The response level in the report: counted by level, a problem once, shown where it stands."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from leaf.records import Outcome, Problem
from leaf.report.page import render
from tests.report.made import build_report


@pytest.fixture
def both(run: dict[str, Any]) -> dict[str, Any]:
    """The run with one removal of the beginning of p0's response, which is verified."""
    cuts, verdicts = run["cuts"]["gradient"]
    within = Problem(
        id="p0/r1",
        prompt=run["problems"][0].question,
        before="Well: ",
        # The places of the fixtures' spans are in a text of this length.
        question=run["problems"][0].question[::-1],
        solution="3 pens",
        answer="3",
    )
    (span,) = cuts[0].spans
    moved = dataclasses.replace(span, text=within.question[span.start : span.end])
    made = dataclasses.replace(
        cuts[0],
        id="p0/r1/cf0",
        problem_id="p0/r1",
        spans=(moved,),
        question=within.question[: span.start] + within.question[span.end :],
    )
    judged = dataclasses.replace(
        verdicts[1], counterfactual_id="p0/r1/cf0", problem_id="p0/r1", student=Outcome.RIGHT
    )
    (scored,), (ranked,) = run["attributions"], run["focus"]
    levels = {"levels": ["instruction", "response"]}
    section = run["recipe"].prune.model_copy(update=levels)
    return run | {
        "recipe": run["recipe"].model_copy(update={"prune": section}),
        "segments": {"p0": [within]},
        "attributions": [scored, dataclasses.replace(scored, problem_id="p0/r1")],
        "focus": [ranked, dataclasses.replace(ranked, problem_id="p0/r1")],
        "cuts": {"gradient": ([*cuts, made], [*verdicts, judged])},
    }


def steps(report: dict[str, Any]) -> dict[str, int]:
    return {step["step"]: step["count"] for step in report["steps"]}


def test_a_problem_cut_at_both_levels_is_one_problem(both: dict[str, Any]) -> None:
    report = build_report(**both)
    found = steps(report)
    assert (found["attributed"], found["split"]) == (1, 1)
    assert (found["with_span"], found["with_verified"]) == (1, 1)
    (own,) = report["detectors"]
    assert (own["freed"]["count"], own["freed"]["n"], own["problems"]) == (1, 1, 1)


def test_removals_in_the_response_are_counted_among_all_and_apart(
    run: dict[str, Any], both: dict[str, Any]
) -> None:
    found = steps(build_report(**both))
    assert (found["counterfactuals"], found["verified"], found["spans"]) == (3, 2, 3)
    assert (found["in_response"], found["in_response_verified"]) == (1, 1)
    assert not {"split", "in_response"} & steps(build_report(**run)).keys()


def test_the_page_says_which_level_and_what_stands_before_the_segment(
    run: dict[str, Any], both: dict[str, Any], read_problems: Callable[..., str]
) -> None:
    report = build_report(**both)
    asked, within = report["distraction"]["problems"]
    assert (asked["id"], asked["level"], asked["prompt"]) == ("p0", "instruction", None)
    assert (within["id"], within["level"]) == ("p0/r1", "response")
    assert within["prompt"]["text"] == run["problems"][0].question
    assert within["earlier"]["text"] == "Well: "
    # The answers to the question are those of its problem.
    assert within["before"] == asked["before"] != {"student": None, "teacher": None}
    text = read_problems(report)
    assert text.count("p0/r1 in the response") == 1
    assert f"Asked: {run['problems'][0].question}" in text
    assert "Well: " in text
    assert "in the response" not in read_problems(build_report(**run)).lower()
    assert "in the response" not in render(build_report(**run)).split("<script")[0].lower()
