import dataclasses
from typing import Any

import pytest

from leaf.records import Counterfactual, Focus, Problem, Span, Verdict
from leaf.report import build_report
from leaf.report.examples import CONTEXT, PROBLEM_LIMIT
from leaf.report.plain import TEXT_LIMIT


def shown(run: dict[str, Any]) -> list[dict[str, Any]]:
    problems: list[dict[str, Any]] = build_report(**run)["distraction"]["problems"]
    return problems


def test_the_units_of_a_question_join_to_the_question(run: dict[str, Any]) -> None:
    (problem,) = shown(run)
    assert "".join(unit["text"] for unit in problem["units"]) == run["problems"][0].question
    scored = {unit["text"]: unit for unit in problem["units"] if "gap" in unit}
    assert list(scored) == [" red", " and 4 hats"]
    assert scored[" red"]["difference"] == -1.0
    assert scored[" red"]["removed"]


def test_without_focus_the_question_is_one_uncoloured_text(run: dict[str, Any]) -> None:
    run["focus"] = None
    assert shown(run)[0]["units"] == [{"text": run["problems"][0].question}]


def test_verified_removals_come_before_others(run: dict[str, Any]) -> None:
    (problem,) = shown(run)
    assert [removal["id"] for removal in problem["removals"]] == ["p0/cf1", "p0/cf0"]
    assert (problem["kept"], problem["tried"]) == (1, 2)


def test_verified_problems_come_first_and_at_most_fifty_are_shown(run: dict[str, Any]) -> None:
    cut, verdict = run["counterfactuals"][0], run["verdicts"][1]
    names = [f"p{i}" for i in range(PROBLEM_LIMIT + 9)]
    run["problems"] = [dataclasses.replace(run["problems"][0], id=name) for name in names]
    run["counterfactuals"] = [
        dataclasses.replace(cut, id=f"{name}/cf0", problem_id=name) for name in names
    ]
    run["verdicts"] = [
        dataclasses.replace(verdict, problem_id=names[-1], counterfactual_id=f"{names[-1]}/cf0")
    ]
    distraction = build_report(**run)["distraction"]
    assert distraction["total"] == len(names)
    assert [problem["id"] for problem in distraction["problems"]] == [
        names[-1],
        *names[: PROBLEM_LIMIT - 1],
    ]


def test_a_skipped_problem_is_not_shown(run: dict[str, Any]) -> None:
    run["counterfactuals"] = [
        Counterfactual(
            id="p0/cf0", problem_id="p0", strategy="span", spans=(), question="", skipped="none"
        )
    ]
    run["verdicts"] = []
    assert build_report(**run)["distraction"] == {"total": 0, "problems": []}


def test_unverified_removals_have_no_verdict_and_no_count_of_kept_ones(
    run: dict[str, Any],
) -> None:
    run["verdicts"] = None
    (problem,) = shown(run)
    assert problem["kept"] is None
    assert [removal["verdict"] for removal in problem["removals"]] == [None, None]


@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("a " * 500, "b " * 500), (" " * 500, "x" * 500)]
)
def test_an_excerpt_keeps_the_removed_text_whole_and_marks_what_it_leaves_out(
    run: dict[str, Any], before: str, after: str
) -> None:
    pieces = excerpt_of(run, before + "REMOVED" + after, (len(before), len(before) + 7))
    kept = [piece["text"] for piece in pieces if piece["removed"]]
    around = [piece["text"] for piece in pieces if not piece["removed"] and piece["text"]]
    assert kept == ["REMOVED"]
    assert sum(piece["text"] is None for piece in pieces) == (2 if before else 0)
    assert all(len(text) <= CONTEXT and (text in before or text in after) for text in around)


def test_an_excerpt_of_two_near_spans_joins_to_the_question(run: dict[str, Any]) -> None:
    pieces = excerpt_of(run, "one two three four", (3, 7), (13, 18))
    assert "".join(piece["text"] for piece in pieces) == "one two three four"
    assert [piece["text"] for piece in pieces if piece["removed"]] == [" two", " four"]


def excerpt_of(
    run: dict[str, Any], question: str, *places: tuple[int, int]
) -> list[dict[str, Any]]:
    spans = tuple(
        Span(start=start, end=end, text=question[start:end], gap=0.0, units=1)
        for start, end in places
    )
    run["problems"] = [Problem(id="p0", question=question, answer="", solution="")]
    run["focus"], run["verdicts"] = None, None
    run["counterfactuals"] = [
        Counterfactual(id="c", problem_id="p0", strategy="collective", spans=spans, question="")
    ]
    pieces: list[dict[str, Any]] = shown(run)[0]["removals"][0]["pieces"]
    return pieces


def test_one_token_of_100_kb_is_clipped_and_said(run: dict[str, Any]) -> None:
    question = "x" * 100_000
    run["problems"] = [Problem(id="p0", question=question, answer="3", solution="")]
    run["focus"] = [
        Focus(
            problem_id="p0",
            starts=(0,),
            ends=(100_000,),
            teacher=(0.0,),
            student=(1.0,),
            gap=(0.0,),
        )
    ]
    (problem,) = shown(run)
    assert [len(unit["text"]) for unit in problem["units"]] == [TEXT_LIMIT]
    assert problem["omitted"] == 100_000 - TEXT_LIMIT


def test_both_answers_after_a_removal_are_there(run: dict[str, Any]) -> None:
    kept: Verdict = run["verdicts"][1]
    verdict = shown(run)[0]["removals"][0]["verdict"]
    assert verdict["student_text"]["text"] == kept.student_text
    assert verdict["teacher_text"]["text"] == kept.teacher_text
    assert shown(run)[0]["before"]["student"]["text"] == "so 7"
