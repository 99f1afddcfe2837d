"""`leaf report`: the page of a run again, and runs side by side."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.command_line import complaint, leaf


@pytest.fixture(scope="module")
def second(make_run: Any) -> Path:
    """A run with another setting, and one benchmark more."""
    run: Path = make_run(
        "second",
        {
            "distill.lambda": 0.25,
            "evaluate.benchmarks.more.task": "table",
            "evaluate.benchmarks.more.path": make_run("first").parent / "more.jsonl",
        },
    )
    return run


@pytest.fixture(scope="module", autouse=True)
def more_questions(cue_pair: Path, make_run: Any) -> None:
    lines = (cue_pair / "train.jsonl").read_text()
    (make_run("first").parent / "more.jsonl").write_text(lines)


@pytest.fixture(scope="module")
def compared(finished: Path, second: Path) -> dict[str, Any]:
    done = leaf("report", finished, second, "--json")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


def report_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "report.json").read_text())
    return content


def test_what_differs_is_named_and_nothing_else(compared: dict[str, Any], finished: Path) -> None:
    settings = {one["key"]: one["values"] for one in compared["settings"]}
    assert settings.pop("distill.lambda") == [0.5, 0.25]
    assert settings.pop("evaluate.benchmarks.more.path") == [
        None,
        str(finished.parent / "more.jsonl"),
    ]
    assert all(key.startswith("evaluate.benchmarks.more.") for key in settings)


def test_results_stand_side_by_side_as_in_each_report(
    compared: dict[str, Any], finished: Path, second: Path
) -> None:
    (own,) = compared["benchmarks"]
    assert own["benchmark"] == "own"
    for one, run in zip(own["scores"], (finished, second), strict=True):
        result = report_of(run)["results"][0]
        assert (one["arms"], one["comparison"]) == (result["arms"], result["comparison"])
    assert compared["alone"] == [{"run": "second", "benchmarks": ["more"]}]


def test_the_second_runs_students_are_held_against_the_firsts(compared: dict[str, Any]) -> None:
    (own,) = compared["benchmarks"]
    means = [{arm["arm"]: arm["mean"] for arm in one["arms"]} for one in own["scores"]]
    assert [one["arm"] for one in own["paired"]] == ["leaf", "kd"]
    for one in own["paired"]:
        # All four questions are the same, so the paired difference is that of the means.
        assert (one["n"], one["only_first"], one["only_this"]) == (4, 0, 0)
        assert one["difference"] == pytest.approx(means[1][one["arm"]] - means[0][one["arm"]])
        assert one["small"]


def test_detection_and_cost_are_those_of_each_report(
    compared: dict[str, Any], finished: Path, second: Path
) -> None:
    for about, run in zip(compared["runs"], (finished, second), strict=True):
        report = report_of(run)
        (own,) = (one for one in report["detectors"] if one["own"])
        assert about["verified"] == own["verified"]
        assert about["freed"] == own["freed"]
        assert about["seconds"] == pytest.approx(
            sum(stage["seconds"] for stage in report["cost"]["stages"])
        )


def test_the_terminal_says_what_the_json_holds(finished: Path, second: Path) -> None:
    done = leaf("report", finished, second)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["setting", "first", "second"] in lines
    assert ["distill.lambda", "0.5", "0.25"] in lines
    assert ["benchmark", "student", "first", "second"] in lines
    assert any(line[:3] == ["own", "LeaF", "second"] for line in lines)
    assert "second alone has more: not compared" in done.out


def test_unfinished_runs_are_compared_as_far_as_they_came(make_run: Any, finished: Path) -> None:
    stopped = make_run("half", {"prune.threshold": 0.3}, until="verify")
    done = leaf("report", finished, stopped)
    assert done.code == 0
    assert ["prune.threshold", "0.1", "0.3"] in [line.split() for line in done.out.splitlines()]
    again = f"leaf run cue.yaml --out {stopped}"
    assert f"half stopped before distillation; resume with: {again}\n" in done.out


def test_a_run_without_its_values_says_how_to_write_them(
    finished: Path, second: Path, tmp_path: Path
) -> None:
    older = shutil.copytree(second, tmp_path / "older")
    (older / "values.parquet").unlink()
    done = leaf("report", finished, older)
    assert done.code == 0
    assert "older kept no value of single questions, so nothing is paired; `leaf run " in done.out


def test_runs_of_the_same_name_are_told_apart(finished: Path, tmp_path: Path) -> None:
    other = shutil.copytree(finished, tmp_path / "first")
    found = json.loads(leaf("report", finished, other, "--json").out)
    assert [run["name"] for run in found["runs"]] == [str(finished), str(other)]


def test_variants_are_compared_by_their_base_problems(make_run: Any, finished: Path) -> None:
    rows = [
        {
            "original_question": f"{base} and 1?",
            "new_question": f"{base} and 1, at {hour}?",
            "answer": str(base + 1),
            "sentence_template": "{role} {number}",
            "role": "at",
            "number": str(hour),
        }
        for base in (3, 4)
        for hour in (7, 8, 9)
    ]
    path = finished.parent / "variants.json"
    path.write_text(json.dumps(rows))
    changes = {
        "evaluate.benchmarks.variants.task": "gsm_ic",
        "evaluate.benchmarks.variants.path": path,
        "evaluate.benchmarks.variants.split": "test",
    }
    runs = [
        make_run("variants", changes),
        make_run("variants-again", {**changes, "distill.lambda": 0.25}),
    ]
    for run in runs:
        by_name = {one["benchmark"]: one["comparison"] for one in report_of(run)["results"]}
        assert (by_name["variants"]["n"], by_name["variants"]["problems"]) == (6, 2)
        assert by_name["own"]["problems"] is None
    found = json.loads(leaf("report", *runs, "--json").out)
    paired = {one["benchmark"]: one["paired"] for one in found["benchmarks"]}
    assert [one["problems"] for one in paired["variants"]] == [2, 2]
    assert [one["problems"] for one in paired["own"]] == [None, None]
    done = leaf("report", *runs)
    said = "variants: the 6 questions that variants-again shares are variants of 2 problems; "
    assert said + "intervals draw whole problems" in done.out


# The page.


def test_the_page_needs_nothing_outside_itself(
    finished: Path, second: Path, tmp_path: Path, browser: Browser
) -> None:
    page_file = tmp_path / "compare.html"
    done = leaf("report", finished, second, "--out", page_file)
    assert done.out.splitlines()[-1] == f"page:     {page_file}"
    page = browser.new_page(viewport={"width": 400, "height": 800})
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url))
    page.goto(page_file.as_uri())
    assert page.title() == "first, second · LeaF comparison"
    assert page.locator("#settings tbody tr").first.inner_text().split() == [
        "distill.lambda",
        "0.5",
        "0.25",
    ]
    assert page.locator("#paired tbody tr").count() == 2
    # Wide tables scroll in their own box: the page itself is never wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert set(faults) <= {page_file.as_uri(), "data:,"}
    page.close()


def test_the_page_shows_runs_that_lack_a_benchmark_or_all_results(
    make_run: Any, finished: Path, second: Path, tmp_path: Path
) -> None:
    stopped = make_run("half", {"prune.threshold": 0.3}, until="verify")
    begun = make_run("problems", until="problems")
    page_file = tmp_path / "compare.html"
    runs = (finished, stopped, second, begun)
    assert leaf("report", *runs, "--out", page_file).code == 0
    page = page_file.read_text()
    assert "half stopped before <strong>distillation</strong>" in page
    assert "problems stopped before <strong>answering</strong>" in page
    # Each of four rows (three students, LeaF minus KD) lacks the number of two runs.
    (results,) = re.findall(r'<section id="results".*?</section>', page, re.DOTALL)
    assert results.count('<td class="n muted">–</td>') == 4 * 2


def test_texts_of_a_recipe_are_escaped_on_the_page(
    finished: Path, second: Path, tmp_path: Path
) -> None:
    attack = "<script>alert(1)</script>\u202e"
    hostile = shutil.copytree(second, tmp_path / "hostile")
    report = report_of(hostile)
    report["recipe"]["description"] = attack
    report["results"][0]["benchmark"] = attack
    report["command"] = attack
    (hostile / "report.json").write_text(json.dumps(report))
    page_file = tmp_path / "compare.html"
    assert leaf("report", finished, hostile, "--out", page_file).code == 0
    page = page_file.read_text()
    assert "<script" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;[U+202E]") >= 3


# Refusals.


def test_what_cannot_be_compared_is_one_line(finished: Path, second: Path, tmp_path: Path) -> None:
    assert "is named twice; a run compared with itself" in complaint("report", finished, finished)
    nowhere = tmp_path / "nowhere"
    assert complaint("report", finished, nowhere) == (
        f"{nowhere}/report.json: not there; `leaf run RECIPE --out {nowhere}` writes it"
    )
    message = complaint("report", finished, second, "--out", tmp_path)
    assert message.startswith(f"--out {tmp_path}: is a folder; name a file")
    message = complaint("report", finished, "--out", tmp_path / "x.html")
    assert message.endswith("is for a comparison; the page of one run is in its folder")


@pytest.mark.parametrize("alone", [True, False])
def test_an_older_report_is_refused_with_the_way_out(
    finished: Path, tmp_path: Path, alone: bool
) -> None:
    older = shutil.copytree(finished, tmp_path / "older")
    (older / "report.json").write_text(json.dumps({**report_of(finished), "format": 1}))
    message = complaint("report", *([] if alone else [finished]), older)
    assert re.match(
        f"{older}/report.json: has format 1, but this version of leaf (shows|reads) format", message
    )
    assert message.endswith("writes it again")


@pytest.mark.parametrize("command", ["report", "explain"])
def test_a_recipe_in_place_of_a_run_is_one_line(command: str, tmp_path: Path) -> None:
    (recipe := tmp_path / "questions.yaml").write_text("extends: own\n")
    said = f"{recipe}: is a file; name the folder that `leaf run` wrote"
    assert complaint(command, recipe) == said
