import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import StoreError, UsageError
from leaf.records import Drop
from leaf.report import write_report
from leaf.report.figures import accuracy_plot
from leaf.report.page import render
from tests.report.conftest import trained
from tests.report.made import build_report


def text_of(page: str) -> str:
    """What a reader sees: tags removed, entities resolved, white space joined."""
    body = page[page.index("<body>") :].split("<script", maxsplit=1)[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_the_page_is_rendered_from_exactly_what_report_json_holds(
    run: dict[str, Any], tmp_path: Path
) -> None:
    page = write_report(build_report(**run), tmp_path)
    read_back = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert page.read_text(encoding="utf-8") == render(read_back)


def test_the_page_shows_the_numbers_of_the_run(run: dict[str, Any]) -> None:
    text = text_of(render(build_report(**run)))
    assert "LeaF minus KD on gsm8k +12.5 points 95% interval −25.0 to +50.0, n = 8" in text
    assert "LeaF alone was right on 2 questions, KD alone on 1" in text
    assert "The interval holds 0: this run does not show that LeaF and KD differ." in text
    assert "With 8 questions only large differences can show." in text
    assert "LeaF 62.5% 10.0% to 90.0% 5 of 8 1" in text
    assert "Student wrong 1 0 0" in text
    assert "1 no final number found p2" in text
    assert "LeaF 0.5 → 0.25 0.6 → 0.3 2 8 1 200 4.0 s" in text
    assert "attribution 3 3.2 s 768 MiB computed" in text
    assert "data.seed 7" in text
    (key,) = (log.key for log in run["logs"] if log.kind == "attribution")
    assert f"attribution {key}" in text


def test_an_unwritable_folder_is_one_clear_line(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/report\.json: cannot be written"):
        write_report(build_report(**run), tmp_path / "file")


def test_a_report_replaces_the_old_one_and_leaves_nothing_else(
    run: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("old")
    write_report(build_report(**run), tmp_path)
    write_report(build_report(**run), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json"}
    assert (tmp_path / "report.html").read_text(encoding="utf-8") != "old"


STAGES = [
    ("reading the problems", {"problems"}),
    ("answering", {"student_answers", "teacher_answers", "student_scores", "teacher_scores"}),
    ("attribution", {"attributions", "focus"}),
    ("pruning", {"cuts"}),
    ("verification", {"verdicts"}),
    ("distillation", {"training"}),
    ("evaluation", {"estimates", "comparisons"}),
]


@pytest.mark.parametrize("reached", range(len(STAGES)), ids=[name for name, _ in STAGES])
def test_an_unfinished_run_says_where_it_stopped_and_how_to_go_on(
    controlled: dict[str, Any], reached: int
) -> None:
    absent = {name for _, names in STAGES[reached:] for name in names}
    if "verdicts" in absent:
        controlled["cuts"] = {name: (cuts, None) for name, (cuts, _) in controlled["cuts"].items()}
    values = controlled | dict.fromkeys(absent - {"verdicts"})
    values["cuts"] = values["cuts"] or {}
    text = text_of(render(build_report(**values)))
    assert (
        f"Not there yet: the run stopped before {STAGES[reached][0]} ; "
        "continue with leaf run tiny --out runs/tiny"
    ) in text


def test_a_finished_run_misses_nothing(run: dict[str, Any]) -> None:
    run["logs"] += [trained("kd"), trained("leaf")]
    assert "not there yet" not in text_of(render(build_report(**run))).lower()


def test_each_reason_has_its_examples_with_question_and_answers(run: dict[str, Any]) -> None:
    text = text_of(render(build_report(**run)))
    asked = run["problems"][0].question
    assert f"1 no final number found p2 {asked} Student so 7 Teacher so 3" in text
    assert f"1 the student is right p1 {asked} Student so 7 Teacher so 3" in text


def test_a_verdicts_example_is_the_change_and_what_was_answered_to_it(run: dict[str, Any]) -> None:
    why = "student wrong on the changed question"
    run["drops"] = [Drop(stage="verify", problem_id="p0/cf0", reason=why)]
    page = render(build_report(**run))
    text = text_of(page)
    assert f"1 {why} p0/cf0 Tom has 3 red pens" in text
    assert "Student the student's answer" in text
    assert '<a href="#problem-p0"><code>p0/cf0</code></a>' in page


def test_variants_of_fewer_problems_are_told_with_what_that_changes(run: dict[str, Any]) -> None:
    compared = run["comparisons"]
    compared["gsm8k"] = dataclasses.replace(compared["gsm8k"], problems=3)
    text = text_of(render(build_report(**run)))
    assert "n = 8, variants of 3 problems. LeaF alone was right on 2 questions" in text
    assert "KD alone on 1 (sign test over problems p = 1)" in text
    assert "a paired bootstrap (BCa), which draws whole problems where the questions" in text


def test_a_comparison_without_interval_says_why(run: dict[str, Any]) -> None:
    run["comparisons"]["gsm8k"] = dataclasses.replace(
        run["comparisons"]["gsm8k"],
        wins=0,
        losses=0,
        value=0.0,
        low=None,
        high=None,
        note="No interval: the difference is the same on all 8 questions.",
    )
    text = text_of(render(build_report(**run)))
    assert "0.0 points n = 8." in text
    assert "Both students were right on the same questions: this run shows no difference." in text
    assert "No interval: the difference is the same on all 8 questions." in text


def test_a_plot_has_a_text_alternative_with_its_numbers(run: dict[str, Any]) -> None:
    page = render(build_report(**run))
    assert "LeaF 62.5% (10.0% to 90.0%)" in "".join(re.findall(r'aria-label="([^"]*)"', page))
    # The accuracies; KL on both kinds of prompts, learning rate and gradient norm.
    assert len(re.findall(r'<svg class="plot" role="img"', page)) == 5


def test_a_marker_at_either_end_of_the_plot_is_whole() -> None:
    arms = [
        {"arm": arm, "mean": mean, "low": 0.0, "high": 1.0}
        for arm, mean in (("before", 0.0), ("teacher", 1.0))
    ]
    svg = accuracy_plot([{"benchmark": "a", "arms": arms}], "both ends")
    for arm in ("before", "teacher"):
        marker = rf"<use [^>]*fill: var\(--arm-{arm}\)[^>]*/>"
        assert len(re.findall(marker, svg)) == 1
        assert not re.search(rf"<g clip-path[^>]*>\s*{marker}", svg)
        assert not re.search(rf"<path [^>]*clip-path[^>]*var\(--arm-{arm}\)", svg)


def test_no_id_occurs_twice(run: dict[str, Any]) -> None:
    ids = re.findall(r'\bid="([^"]*)"', render(build_report(**run)))
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("content", [{}, [], None, {"format": 2}, {"format": "3"}])
def test_numbers_of_another_format_are_refused_in_one_line(tmp_path: Path, content: Any) -> None:
    with pytest.raises(UsageError, match=r"report\.json: has format .*this version of leaf shows"):
        write_report(content, tmp_path)
    assert list(tmp_path.iterdir()) == []
