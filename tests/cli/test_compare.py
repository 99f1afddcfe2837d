"""`leaf compare`: one table of two evaluations of anybody's, one line where there is none."""

import json
from pathlib import Path

import pytest

from leaf.store.run_folder import VALUES
from tests.command_line import complaint, leaf

DATA = Path(__file__).parents[1] / "data"
LOGS = [DATA / "inspect" / f"pens-{at}.json" for at in (0, 1)]


def test_the_table_tells_both_sides() -> None:
    done = leaf("compare", *LOGS, "--group", "base")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"A: {LOGS[0]} (Inspect log, 6 questions)"
    assert lines[2].split()[:4] == ["benchmark", "measure", "A", "B"]
    assert lines[3].split()[:4] == ["pens", "match", "100.0%", "75.0%"]
    assert "variants of 3 problems; interval and test go by whole problems" in done.out
    found = json.loads(leaf("compare", *LOGS, "--json").out)["compared"]
    assert [(one["wins"], one["losses"]) for one in found] == [(0, 3), (0, 3)]


def test_arms_of_a_run_are_compared_as_the_report_does(finished: Path) -> None:
    found = json.loads(leaf("compare", f"{finished}:kd", finished, "--json").out)
    report = json.loads((finished / "report.json").read_text())
    (one,), (theirs,) = found["compared"], report["results"]
    assert found["b"]["path"] == f"{finished}:leaf"
    names = ("difference", "n", "wins", "losses", "p_value")
    assert {name: one[name] for name in names} == {
        name: theirs["comparison"][name] for name in names
    }


def test_a_run_meets_an_evaluation_and_what_it_writes_for_others(
    finished: Path, cue_pair: Path, tmp_path: Path
) -> None:
    test = f"table={cue_pair / 'test.jsonl'}"
    words = ("evaluate", "--benchmark", test, "--max-new-tokens", "8")
    other = ("--out", tmp_path / "e", "--also", "lm-eval,every-eval-ever")
    done = leaf(*words, "--model", cue_pair / "student", *other)
    assert (done.code, done.err.count("Traceback")) == (0, 0)
    assert f"lm-eval: {tmp_path}/e/lm-eval" in done.out
    assert f"Next: leaf compare {tmp_path}/e OTHER" in done.out
    # The student before training and the same one evaluated by itself, in three forms.
    for side in (tmp_path / "e", tmp_path / "e" / "lm-eval"):
        (one,) = json.loads(leaf("compare", f"{finished}:before", side, "--json").out)["compared"]
        assert (one["n"], one["wins"], one["losses"], one["difference"]) == (4, 0, 0, 0.0)
        assert one["a"] == 0.5  # every second question holds the cue
        assert one["reading"] == "equal"
    (tmp_path / "e" / VALUES).unlink()
    said = complaint("compare", finished, tmp_path / "e")
    assert said == (
        f"{tmp_path}/e/values.parquet: not there; the same `leaf evaluate` again writes it; what "
        "was answered is not asked again"
    )


def test_runs_without_a_question_in_common_are_one_line(finished: Path) -> None:
    said = complaint("compare", finished, LOGS[0])
    assert said.startswith(f"{finished}:leaf and {LOGS[0]}: no question in common (4 of ")
    assert "the first: 'How many pens are there in box 0?'" in said
    assert said.endswith("--question COLUMN names the one that holds it")


def test_bad_sides_are_one_line(finished: Path, tmp_path: Path) -> None:
    assert complaint("compare", LOGS[0], LOGS[0]) == (
        f"{LOGS[0]}: is named twice; a run compared with itself shows nothing"
    )
    assert complaint("compare", LOGS[0], tmp_path / "no") == f"{tmp_path}/no: not there"
    assert complaint("compare", LOGS[0], tmp_path).startswith(f"{tmp_path}: no run folder, no")
    (tmp_path / "log.json").write_text("[]")
    assert complaint("compare", LOGS[0], tmp_path) == (
        f"{tmp_path}/log.json: no log of Inspect (it has no `eval`)"
    )
    assert complaint("compare", LOGS[0], f"{tmp_path}:kd") == (
        f"{tmp_path}:kd: {tmp_path} is no run of ours, so it has no arms"
    )


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [("--resamples", "0", 100), ("--resamples", "-5", 100), ("--seed", "-1", 0)],
)
def test_numbers_that_the_bootstrap_cannot_take_are_refused(
    option: str, value: str, least: int
) -> None:
    said = complaint("compare", *LOGS, option, value)
    assert said == f"{option} {value}: must be at least {least}"


def test_a_form_that_nobody_writes_is_refused(tmp_path: Path) -> None:
    words = ("--model", "m", "--benchmark", "gsm8k", "--out", tmp_path)
    said = complaint("evaluate", *words, "--also", "helm")
    assert said == "--also helm: must be lm-eval or every-eval-ever"


@pytest.mark.parametrize("wish", [("--group", "kind"), ("--by", "kind")])
def test_a_column_that_is_not_there_is_named(wish: tuple[str, str]) -> None:
    said = complaint("compare", *LOGS, *wish)
    assert said == "kind: no column of either side; they have base, id"
