import dataclasses
from typing import Any

import pytest

from leaf.records import Counterfactual, NormalisedScores, Problem, Span, Verdict
from leaf.report.excerpts import CONTEXT
from leaf.report.plain import TEXT_LIMIT
from tests.report.conftest import with_problems
from tests.report.made import build_report


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


def test_every_problem_is_there_by_what_became_of_it_then_in_order(run: dict[str, Any]) -> None:
    cuts, verdicts = run["cuts"]["gradient"]
    kept, failed = verdicts[1], verdicts[0]
    names = [f"p{i}" for i in range(60)]
    run = with_problems(run, names)
    run["attributions"] = [
        dataclasses.replace(run["attributions"][0], problem_id=name) for name in names
    ]
    tried = names[:58]
    run["cuts"]["gradient"] = (
        [dataclasses.replace(cuts[0], id=f"{name}/cf0", problem_id=name) for name in tried],
        [
            dataclasses.replace(
                kept if name == "p57" else failed, problem_id=name, counterfactual_id=f"{name}/cf0"
            )
            for name in tried
        ],
    )
    distraction = build_report(**run)["distraction"]
    assert (distraction["total"], distraction["hosts"]) == (58, 0)
    assert [(problem["id"], problem["status"]) for problem in distraction["problems"]] == [
        ("p57", "verified"),
        *((name, "unverified") for name in names[:57]),
        ("p58", "unscored"),
        ("p59", "unscored"),
    ]


def test_a_problem_in_which_nothing_could_be_cut_is_shown_with_the_reason(
    run: dict[str, Any],
) -> None:
    skipped = Counterfactual(
        id="p0/none", problem_id="p0", strategy="span", spans=(), question="", skipped="flat"
    )
    run["cuts"]["gradient"] = ([skipped], [])
    (problem,) = shown(run)
    assert (problem["status"], problem["tried"], problem["lengths"]) == ("uncut", 0, [])
    assert problem["refused"] == [{"reason": "flat", "count": 1}]
    assert any("gap" in unit for unit in problem["units"])


def test_after_attribution_problems_are_there_with_their_scores_alone(run: dict[str, Any]) -> None:
    (problem,) = shown(run | {"cuts": {}})
    assert (problem["status"], problem["removals"]) == ("pending", [])
    assert any("gap" in unit for unit in problem["units"])
    assert build_report(**(run | {"cuts": {}, "attributions": None}))["distraction"] is None


def test_a_problem_says_how_many_characters_its_removals_took_and_where_it_is_from(
    run: dict[str, Any],
) -> None:
    run["problems"][0] = dataclasses.replace(run["problems"][0], source="amc")
    (problem,) = shown(run)
    assert problem["lengths"] == [len(" red"), len(" and 4 hats")]
    assert problem["source"] == "amc"


def test_unverified_removals_have_no_verdict_and_no_count_of_kept_ones(
    run: dict[str, Any],
) -> None:
    run["cuts"]["gradient"] = (run["cuts"]["gradient"][0], None)
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


@pytest.mark.parametrize(("length", "left_out"), [(105, 0), (115, 2)])
def test_an_excerpt_leaves_out_only_what_saves_room(
    run: dict[str, Any], length: int, left_out: int
) -> None:
    side = "b" * length
    pieces = excerpt_of(run, f"{side}REMOVED{side}", (length, length + 7))
    assert sum(piece["text"] is None for piece in pieces) == left_out
    joined = "".join(piece["text"] or "" for piece in pieces)
    assert (joined == f"{side}REMOVED{side}") == (not left_out)


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
    run["focus"] = None
    cut = Counterfactual(id="c", problem_id="p0", strategy="collective", spans=spans, question="")
    run["cuts"]["gradient"] = ([cut], None)
    pieces: list[dict[str, Any]] = shown(run)[0]["removals"][0]["pieces"]
    return pieces


def test_one_token_of_100_kb_is_clipped_and_said(run: dict[str, Any]) -> None:
    question = "x" * 100_000
    run["problems"] = [Problem(id="p0", question=question, answer="3", solution="")]
    one: Any = {"starts": (0,), "ends": (100_000,), "teacher": (0.0,), "student": (1.0,)}
    run["attributions"] = [dataclasses.replace(run["attributions"][0], **one)]
    run["focus"] = [NormalisedScores(problem_id="p0", gap=(0.0,), **one)]
    (problem,) = shown(run)
    assert [len(unit["text"]) for unit in problem["units"]] == [TEXT_LIMIT]
    assert problem["omitted"] == 100_000 - TEXT_LIMIT


def test_both_answers_after_a_removal_are_there(run: dict[str, Any]) -> None:
    kept: Verdict = run["cuts"]["gradient"][1][1]
    verdict = shown(run)[0]["removals"][0]["verdict"]
    assert verdict["student_text"]["text"] == kept.student_text
    assert verdict["teacher_text"]["text"] == kept.teacher_text
    assert shown(run)[0]["before"]["student"]["text"] == "so 7"


def test_a_transplant_is_told_from_a_removal(transplanted: dict[str, Any]) -> None:
    changed, host = shown(transplanted)
    assert (changed["tried"], changed["kept"], len(changed["removals"])) == (2, 1, 2)
    assert (changed["transplanted"], changed["transplants_kept"]) == (1, 1)
    assert (host["tried"], host["kept"], host["removals"]) == (0, 0, [])
    assert (host["transplanted"], host["transplants_kept"]) == (2, 1)
    assert [change["donor"] for change in host["transplants"]] == ["p2/cf9", "p2/cf9"]


def test_a_transplants_pieces_join_to_the_question_before_and_after(
    transplanted: dict[str, Any],
) -> None:
    cuts = {cut.id: cut for cut in transplanted["cuts"]["gradient"][0]}
    changes = [change for problem in shown(transplanted) for change in problem["transplants"]]
    assert len(changes) == 3
    for change in changes:
        pieces = change["pieces"]
        before = "".join(piece["text"] for piece in pieces if not piece["inserted"])
        after = "".join(piece["text"] for piece in pieces if not piece["removed"])
        assert before == transplanted["problems"][0].question
        assert after == cuts[change["id"]].question


def test_an_insertion_removes_nothing_and_marks_no_unit(transplanted: dict[str, Any]) -> None:
    (only,) = transplanted["focus"]
    # The insertion at 7 is inside this unit of the problem that it went into.
    host = dataclasses.replace(only, problem_id="p1", starts=(3, 18), ends=(9, 29))
    transplanted["focus"] = [only, host]
    problem = shown(transplanted)[1]
    assert not any(unit.get("removed") for unit in problem["units"])
    pieces = problem["transplants"][0]["pieces"]
    assert [piece["text"] for piece in pieces if piece["inserted"]] == [" at noon"]
    assert not any(piece["removed"] for piece in pieces)


def test_an_empty_span_marks_no_unit_even_as_a_removal(run: dict[str, Any]) -> None:
    cut = run["cuts"]["gradient"][0][0]
    empty = Span(start=11, end=11, text="", gap=0.0, units=0)  # inside ` red`
    run["cuts"]["gradient"] = ([dataclasses.replace(cut, spans=(empty,))], None)
    assert not any(unit.get("removed") for unit in shown(run)[0]["units"])


def test_transplants_that_teach_come_first_then_kept_ones(transplanted: dict[str, Any]) -> None:
    cuts, verdicts = transplanted["cuts"]["gradient"]
    host = dataclasses.replace(cuts[2], problem_id="p1")  # p0/tp0, which the student fails
    transplanted["cuts"]["gradient"] = ([cuts[4], cuts[3], host], verdicts)
    problem = shown(transplanted)[0]
    assert problem["id"] == "p1"
    assert [change["id"] for change in problem["transplants"]] == ["p0/tp0", "p1/tp0", "p1/tp1"]


def test_every_problem_that_took_a_transplant_is_there(transplanted: dict[str, Any]) -> None:
    cuts, verdicts = transplanted["cuts"]["gradient"]
    hosts = [f"h{i}" for i in range(70)]
    transplanted = with_problems(transplanted, ["p0", *hosts])
    made = [dataclasses.replace(cuts[3], id=name, problem_id=name) for name in hosts]
    judged = [dataclasses.replace(verdicts[3], counterfactual_id=name) for name in hosts]
    transplanted["cuts"]["gradient"] = ([*cuts[:2], *made], [*verdicts[:2], *judged])
    distraction = build_report(**transplanted)["distraction"]
    assert (distraction["total"], distraction["hosts"]) == (1, 70)
    assert [(problem["id"], problem["status"]) for problem in distraction["problems"]] == [
        ("p0", "verified"),
        *((name, "transplant") for name in hosts),
    ]
