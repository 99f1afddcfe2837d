"""Arms that a recipe names, as people see them: terminal, report, export, show and doctor."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import complaint, leaf

RECIPE = """
extends: demo-0.1
name: arms
data: {world: {size: 120}}
attribute: {detector: ablation, controls: []}
prune: {transplants: 1}
distill: {max_steps: 2, batch_size: 16}
evaluate:
  benchmarks: {clean: {task: playground, split: clean, world: {size: 8, seed: 1}}}
  resamples: 100
  teacher: false
arms:
  own: {teacher: self, attribute: {reference: self}, distill: {teacher_sees: cut}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arms") / "arms.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path) -> tuple[Path, str]:
    """A run folder and what the command printed."""
    folder = recipe.parent / "run"
    done = leaf("run", recipe, "--out", folder)
    assert done.code == 0, done.err
    return folder, done.out


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_the_terminal_says_how_long_every_arms_answers_are(finished: tuple[Path, str]) -> None:
    folder, said = finished
    lines = said.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("tokens (cut at limit)"))
    assert set(lines[at].split()[4:]) == {"before", "KD", "RFT", "LeaF", "own"}
    lengths = {one["arm"]: one for one in report_of(folder)["lengths"]}
    assert set(lengths) == {"before", "kd", "rft", "leaf", "own"}
    for one in lengths.values():
        assert (one["n"], one["benchmark"]) == (8, "clean")
        assert f"{one['mean']:.1f} ({100 * one['share_cut']:.1f}%)" in lines[at + 1]


def test_rows_of_every_way_are_those_that_were_trained_on(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    report = report_of(folder)
    ways = {way["arm"]: way for way in report["ways"]}
    trained = {
        stage["about"]["role"]: stage["items"]
        for stage in reversed(report["cost"]["stages"])
        if stage["kind"] == "students"
    }
    assert set(ways) == {"kd", "rft", "leaf", "own"}
    assert {arm: sum(way["rows"].values()) for arm, way in ways.items()} == trained
    assert ways["own"]["rows"]["original"] == ways["rft"]["rows"]["original"]
    # What was kept of a kind that the recipe trains on became a row.
    strategies = report["recipe"]["prune"]["strategy"]
    assert {k: n for k, n in ways["own"]["rows"].items() if k != "original"} == {
        k: n for k, n in ways["own"]["kept"].items() if k in strategies
    }


@pytest.mark.parametrize("what", ["leaf", "kd", "rft", "own"])
def test_export_writes_the_rows_of_any_arm(
    finished: tuple[Path, str], tmp_path: Path, what: str
) -> None:
    folder, _ = finished
    out = tmp_path / "rows.jsonl"
    done = leaf("export", folder, "--format", "trl", "--out", out, "--what", what)
    assert (done.code, done.err) == (0, "")
    rows = {way["arm"]: way["rows"] for way in report_of(folder)["ways"]}[what]
    assert len(out.read_text().splitlines()) == sum(rows.values())


def test_the_page_says_of_which_arm_the_kl_is_between_two_contexts(
    finished: tuple[Path, str],
) -> None:
    folder, _ = finished
    page = " ".join((folder / "report.html").read_text().split())
    assert "On changed questions the KL of own is between two contexts" in page


def test_export_of_no_arm_names_those_that_there_are(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = finished
    said = complaint(
        "export", folder, "--format", "trl", "--out", tmp_path / "x.jsonl", "--what", "self"
    )
    assert "--what self: this run trains kd, leaf, rft, own" in said


def test_show_has_a_line_for_each_key_of_an_arm(recipe: Path) -> None:
    lines = leaf("show", recipe).out.splitlines()
    own = [line for line in lines if line.startswith("arms.")]
    assert own[0].startswith('arms.own.teacher: "self"  # the model it learns from')
    assert own[1].startswith('arms.own.attribute.reference: "self"  # ')
    assert own[2].startswith('arms.own.distill.teacher_sees: "cut"  # in a changed question')


def test_doctor_tells_what_is_special_of_an_arm_and_nothing_twice(recipe: Path) -> None:
    done = leaf("doctor", recipe, "--json")
    lines = [one["text"] for one in json.loads(done.out)]
    own = [line for line in lines if line.startswith("arm own: ")]
    assert own[0].startswith("arm own: teacher: self, the student as it was")
    assert not any(line.startswith(("arm own: device", "arm own: student")) for line in own)
    assert any("for checkpoints and 4 students" in line for line in lines)


def test_doctor_warns_of_an_arm_that_teaches_itself_nothing(recipe: Path) -> None:
    same = ("--set", "arms.own.distill.teacher_sees=same")
    found = json.loads(leaf("doctor", recipe, *same, "--json").out)
    (line,) = [one["text"] for one in found if one["level"] == "warn" and "arm own" in one["text"]]
    assert "teaches nothing" in line
    with_ce = (*same, "--set", "arms.own.distill.cross_entropy=0.5")
    found = json.loads(leaf("doctor", recipe, *with_ce, "--json").out)
    assert not any("teaches nothing" in one["text"] for one in found)
