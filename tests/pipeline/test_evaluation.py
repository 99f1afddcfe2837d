"""One model scored on benchmarks, outside a run."""

import json
import math
from pathlib import Path

import pytest

from leaf.cli.main import main
from leaf.pipeline.benchmarks import evaluate_model
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))


def recipe_of(folder: Path, role: str) -> Recipe:
    model = {"model": str(folder / role), "dtype": "float32"}
    data = {
        name: {"task": "table", "path": str(folder / f"{name}.jsonl")} for name in ("train", "test")
    }
    return check_recipe(
        {
            "name": "evaluate",
            "student": model,
            "teacher": model,
            "data": data["test"],
            "generate": {"max_new_tokens": 8},
            "evaluate": {"benchmarks": data},
        },
        source="test",
    )


def test_a_model_gets_its_share_of_right_answers_with_a_wilson_interval(
    cue_pair: Path, tmp_path: Path
) -> None:
    # By construction the student fails every second question: those with the cue.
    scores = evaluate_model(recipe_of(cue_pair, "student"), tmp_path).estimates
    assert (scores["test"].right, scores["test"].n) == (2, 4)
    assert (scores["train"].right, scores["train"].n) == (4, 8)
    # Wilson for half of n: 1/2 +- z / (2 sqrt(n + z^2)).
    half = 1.959964 / (2 * math.sqrt(8 + 1.959964**2))
    assert scores["train"].low == pytest.approx(0.5 - half, abs=1e-6)
    assert scores["train"].high == pytest.approx(0.5 + half, abs=1e-6)
    teacher = evaluate_model(recipe_of(cue_pair, "teacher"), tmp_path).estimates
    assert (teacher["test"].right, teacher["train"].right) == (4, 8)


def test_answers_have_a_length_and_those_cut_at_the_limit_are_counted(
    cue_pair: Path, tmp_path: Path
) -> None:
    whole = recipe_of(cue_pair, "teacher")
    found = evaluate_model(whole, tmp_path / "a").lengths["test"]
    assert (found.n, found.truncated) == (4, 0)
    short = whole.generate.model_copy(update={"max_new_tokens": 1})
    cut = evaluate_model(whole.model_copy(update={"generate": short}), tmp_path / "b").lengths
    assert (cut["test"].mean, cut["test"].share_cut) == (1.0, 1.0)
    written = json.loads((tmp_path / "b" / "scores.json").read_text())["lengths"]["test"]
    assert written == {"mean": 1.0, "median": 1, "truncated": 4, "n": 4}


def test_the_command_writes_its_scores_and_reuses_its_answers(
    cue_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores"
    words = ["evaluate", "--model", str(cue_pair / "student"), "--out", str(out)]
    words += ["--benchmark", f"table={cue_pair}/test.jsonl", "--max-new-tokens", "8"]
    words += ["--dtype", "float32"]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert not done.value.code
    first = capsys.readouterr()
    assert first.out.splitlines()[-2:] == [
        f"scores:   {out}/scores.json",
        f"Next: leaf compare {out} OTHER, another such folder, a run, lm-eval's or Inspect's.",
    ]
    assert "50.0%" in first.out
    assert "loaded " in first.err
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    again = capsys.readouterr()
    content = json.loads(again.out)
    assert content == json.loads((out / "scores.json").read_text())
    (score,) = content["scores"].values()
    assert (score["right"], score["n"]) == (2, 4)
    assert "loaded " not in again.err


def test_a_limit_takes_the_first_problems(
    cue_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", str(cue_pair / "student"), "--out", str(tmp_path / "s")]
    words += ["--benchmark", f"table={cue_pair}/test.jsonl", "--limit", "3", "--json"]
    with pytest.raises(SystemExit):
        main([*words, "--dtype", "float32", "--max-new-tokens", "8"])
    (score,) = json.loads(capsys.readouterr().out)["scores"].values()
    # The second of the first three holds the cue.
    assert (score["right"], score["n"]) == (2, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--benchmark": "gsm9k"}, "task `gsm9k` is unknown; did you mean `gsm8k`?"),
        ({"--benchmark": "table"}, "task `table` needs `path`"),
        ({"--benchmark": "table=nowhere.jsonl"}, "nowhere.jsonl: no such data file"),
        ({"--model": "/nowhere/model"}, "/nowhere/model: no such model folder or GGUF file"),
        ({"--dtype": "int8"}, "`student.dtype` must be 'auto', 'bfloat16'"),
        ({"--limit": "0"}, "`data.limit` must be greater than or equal to 1, but is 0"),
        ({"--max-new-tokens": "0"}, "`generate.max_new_tokens` must be greater than or equal to 1"),
    ],
    ids=str,
)
def test_wrong_words_are_one_line(
    cue_pair: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    said: str,
) -> None:
    words = {
        "--model": str(cue_pair / "student"),
        "--benchmark": f"table={cue_pair}/test.jsonl",
        "--out": str(tmp_path / "s"),
        **changes,
    }
    with pytest.raises(SystemExit) as done:
        main(["evaluate", *(word for pair in words.items() for word in pair)])
    captured = capsys.readouterr()
    assert (done.value.code, captured.out) == (2, "")
    assert captured.err.startswith("leaf: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_several_answers_a_problem_are_measured_as_pass_at_k_and_all_are_written(
    cue_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "test.jsonl"
    data.write_bytes((cue_pair / "test.jsonl").read_bytes() + b'{"question": "\xff"}\n')
    words = ["evaluate", "--model", str(cue_pair / "student"), "--out", str(tmp_path / "s")]
    words += ["--benchmark", f"table={data}", "--samples", "2", "--temperature", "0.01"]
    words += ["--pass-at", "1,2", "--dtype", "float32", "--max-new-tokens", "8"]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert not done.value.code
    said = capsys.readouterr().out
    # As good as greedy, so that both answers are those of the test above.
    assert [line.split()[:3] for line in said.splitlines()[1:3]] == [
        ["table", "pass@1", "50.0%"],
        ["table", "pass@2", "50.0%"],
    ]
    assert f"table: 1 records left out, the first: {data}:5: not UTF-8" in said
    lines = (tmp_path / "s" / "answers" / "table.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["id"] for answer in answers][:2] == ["test-1", "test-1/s1"]
    assert {answer["outcome"] for answer in answers} == {"right", "wrong"}


def test_tasks_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tasks", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["gsm8k"].startswith("GSM8K: grade-school word problems")
    assert all(found.values())


def test_programs_without_a_sandbox_stop_before_a_model_is_loaded(
    cue_pair: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path / "own.jsonl"
    record = {"task_id": 11, "text": "Add.", "code": "def f(): pass", "test_list": ["assert f(1)"]}
    data.write_text(json.dumps({**record, "test_setup_code": "", "challenge_test_list": []}))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as done:
        words = ["evaluate", "--model", str(cue_pair / "student"), "--out", str(tmp_path / "s")]
        main([*words, "--benchmark", f"mbpp={data}"])
    said = capsys.readouterr()
    assert done.value.code == 1
    assert "apt-get install bubblewrap" in said.err
    assert "loaded " not in said.err
