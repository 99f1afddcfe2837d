"""What control made of a detector's cuts, from the verdicts of hand-made runs."""

from dataclasses import replace
from typing import Any

import pytest

from leaf.records import Counterfactual, Distractor, Outcome, Problem, Span, Verdict
from leaf.report.control import controlled, in_words, planted, precision
from leaf.report.page import render
from leaf.store.ledger import Control
from leaf.store.results import Cuts, Results
from tests.report.made import build_report

RIGHT, WRONG = Outcome.RIGHT, Outcome.WRONG


def removal(problem: str, number: int, start: int, end: int) -> Counterfactual:
    return Counterfactual(
        id=f"{problem}/cf{number}",
        problem_id=problem,
        strategy="span",
        spans=(Span(start=start, end=end, text="x" * (end - start), gap=0.0, units=1),),
        question="",
    )


def verdict(item: Counterfactual, student: Outcome, kept: bool) -> Verdict:
    return Verdict(
        counterfactual_id=item.id,
        problem_id=item.problem_id,
        student=student,
        teacher=RIGHT if student is RIGHT else None,
        student_text="",
        teacher_text=None,
        kept=kept,
        reason="kept" if kept else "why not",
    )


def held(greedy: bool, freed: float | None, why_few: str = "") -> Control:
    placebos = 0 if freed is None else 2
    return Control(
        greedy=greedy, placebos=placebos, freed=freed, rate=None, before=None, why_few=why_few
    )


@pytest.fixture
def found(run: dict[str, Any]) -> dict[str, Any]:
    """Two cuts of p0 and one of p1: freed and stays; failed; freed and let go."""
    first, failed, other = removal("p0", 0, 9, 13), removal("p0", 1, 14, 18), removal("p1", 0, 0, 3)
    placebo = replace(removal("p0", 9, 0, 3), id="p0/cf0/pl0", strategy="placebo", donor=first.id)
    cuts = Cuts(
        counterfactuals=[first, failed, other],
        verdicts=[
            verdict(first, RIGHT, kept=True),
            verdict(failed, WRONG, kept=False),
            verdict(other, RIGHT, kept=False),
        ],
        placebos=[placebo],
        placebo_verdicts=[replace(verdict(placebo, WRONG, kept=False), reason="student wrong")],
        controls={
            first.id: held(True, 0.0),
            failed.id: held(False, 0.5),
            other.id: held(True, 0.5, "few"),
        },
    )
    return {**run, "cuts": {"gradient": cuts}}


def results(run: dict[str, Any]) -> Results:
    return Results(
        problems=run["problems"],
        student=(run["student_answers"], run["student_scores"]),
        teacher=(run["teacher_answers"], run["teacher_scores"]),
        attributions=run["attributions"],
        cuts=run["cuts"],
    )


def test_cuts_are_held_against_placebos_problem_by_problem(found: dict[str, Any]) -> None:
    made = results(found)
    (one,) = controlled(made, list(made.entries()), found["recipe"])
    assert (one.detector, one.greedy, one.kept, one.placebos) == ("gradient", 2, 1, 1)
    assert [(few.reason, few.count) for few in one.fewer] == [("few", 1)]
    assert one.excess is not None
    # p0: (1 + 0) / 2 against (0 + 1/2) / 2; p1: 1 against 1/2.
    assert one.excess.by_cuts == pytest.approx((0.5 + 1) / 2)
    assert one.excess.by_placebos == pytest.approx((0.25 + 0.5) / 2)
    assert one.excess.excess.value == pytest.approx((0.25 + 0.5) / 2)
    assert one.excess.excess.n == 2
    assert one.chosen
    assert (
        "1 of 2 cuts stay, held against 1 placebos; freed by cuts 75.0%, by placebos 37.5%, "
        in (in_words(one))
    )


def test_samples_stand_in_for_the_greedy_answer(found: dict[str, Any]) -> None:
    cuts = found["cuts"]["gradient"]
    for name in ("p0/cf0", "p1/cf0"):
        cuts.controls[name] = replace(cuts.controls[name], rate=0.75, before=0.25)
    del cuts.controls["p0/cf1"]
    made = results(found)
    (one,) = controlled(made, list(made.entries()), found["recipe"])
    assert one.excess is not None
    assert one.excess.by_cuts == 0.75


def test_without_control_there_is_nothing_to_say(run: dict[str, Any]) -> None:
    assert build_report(**run)["control"] is None


def test_page_and_json_say_what_control_made_of_the_cuts(found: dict[str, Any]) -> None:
    recipe = found["recipe"]
    verify = recipe.verify.model_copy(update={"placebos": 2})
    report = build_report(**{**found, "recipe": recipe.model_copy(update={"verify": verify})})
    assert report["control"][0]["excess"]["by_cuts"] == 0.75
    # The placebo is no removal: three were tried.
    assert {step["step"]: step["count"] for step in report["steps"]}["counterfactuals"] == 3
    page = render(report)
    assert "Would any cut have freed it?" in page
    assert "Right after cuts 75.0%, after placebos 37.5%: <strong>+37.5 points</strong>" in page


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(5, 10, True), (0, 10, True), (0, 12, False), (10, 15, False)],
)
def test_a_cut_is_planted_where_half_of_it_distracts(start: int, end: int, expected: bool) -> None:
    problem = Problem(
        id="p",
        question="x" * 20,
        answer="",
        solution="",
        distractors=(Distractor(kind="cue", start=5, end=10),),
    )
    assert planted(problem, removal("p", 0, start, end)) == expected


def test_precision_is_the_share_of_kept_cuts_that_is_planted(found: dict[str, Any]) -> None:
    assert precision(results(found), "gradient") is None
    distractors = (Distractor(kind="cue", start=9, end=13),)
    first, *others = found["problems"]
    problems = [replace(first, distractors=distractors), *others]
    one = precision(results({**found, "problems": problems}), "gradient")
    # By greedy answers p0/cf0, planted, and p1/cf0, not; under control the first alone.
    assert one is not None
    assert one.greedy is not None
    assert one.controlled is not None
    assert (one.greedy.count, one.greedy.n) == (1, 2)
    assert (one.controlled.count, one.controlled.n) == (1, 1)
