"""Injections on the page, on a terminal and in the counts: told from transplants, donors named."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from leaf.records import Counterfactual, Drop, Outcome, Span, Verdict
from leaf.report.one_problem import explanation
from leaf.report.one_problem_terminal import print_explanation, print_list
from leaf.report.page import render
from tests.report.made import build_report, results_of


@pytest.fixture
def injected(run: dict[str, Any]) -> dict[str, Any]:
    """The run, and texts in p1, which the student solves: kept, refused, never asked about."""
    cuts, verdicts = run["cuts"]["gradient"]
    question = run["problems"][1].question
    place = Span(start=9, end=9, text="", gap=0.0, units=0)
    made = [
        Counterfactual(
            id=f"p1/in{at}",
            problem_id="p1",
            strategy="inject",
            spans=(place,),
            question=question[:9] + text + question[9:],
            inserted=text,
            donor=donor,
        )
        for at, (text, donor) in enumerate(
            [(" A dog barks.", "templates/dog/out-out-none"), (" Ben eats.", "p7/s0")]
        )
    ]
    made.append(dataclasses.replace(made[0], id="p1/in2", donor="templates/sky/out-out-none"))
    judged = [
        verdict("p1/in0", Outcome.WRONG, Outcome.RIGHT),
        verdict("p1/in1", Outcome.WRONG, Outcome.WRONG, "teacher wrong"),
        verdict("p1/in2", None, None),
    ]
    section = run["recipe"].prune.model_copy(update={"strategy": ["inject"]})
    return run | {
        "recipe": run["recipe"].model_copy(update={"prune": section}),
        "cuts": {"gradient": ([*cuts, *made], [*verdicts, *judged])},
        "drops": [
            Drop(stage="verify", problem_id="p1/in1", reason="teacher wrong"),
            Drop(stage="inject", problem_id="p2", reason="nothing to put in: it is one sentence"),
        ],
    }


def verdict(
    name: str, student: Outcome | None, teacher: Outcome | None, reason: str = "kept"
) -> Verdict:
    return Verdict(
        counterfactual_id=name,
        problem_id="p1",
        student=student,
        teacher=teacher,
        student_text="It is 3." if student else "",
        teacher_text="It is 4." if teacher else None,
        kept=reason == "kept",
        reason=reason,
    )


def test_injections_have_steps_of_their_own_with_what_a_sample_was(
    run: dict[str, Any], injected: dict[str, Any]
) -> None:
    steps = {step["step"]: step["count"] for step in build_report(**injected)["steps"]}
    assert steps == {step["step"]: step["count"] for step in build_report(**run)["steps"]} | {
        "injections": 3,
        "injections_asked": 2,
        "injections_refused": 1,
        "injections_kept": 2,
        "injections_failed": 1,
    }


def test_the_page_shows_injections_with_their_donors_and_why_questions_took_none(
    injected: dict[str, Any], read_problems: Callable[..., str]
) -> None:
    report = build_report(**injected)
    page = " ".join(render(report).split())
    assert "once also with distractions put in (LeaF)" in page
    assert "An injection puts" in page and "A transplant puts" not in page
    for text in ("Questions that took nothing", "nothing to put in: it is one sentence"):
        assert text in page
    shown = read_problems(report)
    assert "2 of 3 injections kept" in shown
    host = next(one for one in report["distraction"]["problems"] if one["id"] == "p1")
    assert host["put_in"] == "injection"
    assert [change["donor"] for change in host["transplants"]] == [
        "templates/dog/out-out-none",
        "templates/sky/out-out-none",
        "p7/s0",
    ]
    inserted = [
        piece["text"]
        for change in host["transplants"]
        for piece in change["pieces"]
        if piece["inserted"]
    ]
    assert inserted == [" A dog barks.", " A dog barks.", " Ben eats."]


def test_a_terminal_shows_injections_with_their_donors(
    injected: dict[str, Any],
) -> None:
    entries = list(results_of(injected).entries())
    (entry,) = [one for one in entries if one.problem_id == "p1"]
    recipe = injected["recipe"]
    out = io.StringIO()
    console = Console(file=out, width=100)
    print_explanation(explanation(entry, recipe, "ledger"), console)
    print_list(entries, recipe.attribute.detector, console)
    shown = " ".join(out.getvalue().split())
    assert "Injections 2 of 3 kept: a text that says nothing, put into this one" in shown
    assert "teacher still right, student not: here it learns from templates/dog" in shown
    assert "nobody was asked from templates/sky" in shown
    assert "not kept: teacher wrong from p7/s0" in shown
    assert "that the student solved, and that took an injection" in shown
