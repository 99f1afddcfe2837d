"""The command line: exit codes, one clear line for what is wrong, a whole run on tiny models."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoModelForCausalLM

from leaf.recipe.reading import load_recipe, recipe_names
from tests.command_line import Done, complaint, leaf

COMMANDS = (
    "run",
    "recipes",
    "show",
    "doctor",
    "evaluate",
    "grade",
    "report",
    "explain",
    "export",
    "study",
)


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache of one's own, and an empty current folder that relative paths land in."""
    here = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(here / "cache"))
        patch.chdir(here)
        yield


@pytest.fixture(scope="module")
def recipe(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "distill": {"batch_size": 4, "epochs": 1, "compute_dtype": "float32"},
        "evaluate": {
            "benchmarks": {"own": {"task": "table", "path": str(cue_pair / "test.jsonl")}},
            "resamples": 100,
        },
    }
    path = tmp_path_factory.mktemp("recipes") / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A run folder of the whole way, and what the command said."""
    out = tmp_path_factory.mktemp("runs") / "a"
    return out, leaf("run", recipe, "--out", out)


def report_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "report.json").read_text())
    return content


def counts(report: dict[str, Any]) -> dict[str, int | None]:
    return {step["step"]: step["count"] for step in report["steps"]}


# Words.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], 'Unknown command "nonsense". Available commands: run, recipes, show,'),
        (["recipes", "--nope"], "`leaf recipes` has no option `--nope`"),
        (
            ["run", "demo", "--untill", "prune"],
            "`leaf run` has no option `--untill`; did you mean `--until`?",
        ),
        (
            ["show", "demo", "nope"],
            "`nope` is too much for `leaf show`; `leaf show --help` says what it takes",
        ),
        (["run"], "`leaf run` needs RECIPE; `leaf run --help` says what it is"),
        (["show", "demo", "--set"], "`leaf show` needs a value for --set; "),
        (["evaluate", "--model", "m", "--out", "o"], "`leaf evaluate` needs --benchmark; "),
        (["evaluate", "--model", "m", "--benchmark", "b", "--out", "o", "--limit", "x"], "--limit"),
        (["run", "demo", "--until", "prun"], "--until prun: must be one of problems, answers,"),
        (["show", "demo", "--set", "prune.threshold"], "--set prune.threshold: must be key=value"),
        (
            ["show", "no-such-recipe"],
            "no-such-recipe: no file and no shipped recipe (`leaf recipes`) has this name",
        ),
        (["show", "dem"], "did you mean `demo`?"),
        (["show", "nowhere.yaml"], "nowhere.yaml: no such recipe file"),
        (["report", "nowhere"], "nowhere/report.json: not there; `leaf run RECIPE --out nowhere`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_one_line(words: Sequence[str], said: str) -> None:
    assert said in complaint(*words)


@pytest.mark.parametrize("command", ["run", "show", "doctor"])
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("prune.treshold=0.2", "unknown key `prune.treshold`; did you mean `threshold`?"),
        ("prune.threshold=2", "`prune.threshold` must be less than or equal to 1, but is 2"),
        ("prune.threshold=much", "`prune.threshold` must be a number, but is 'much'"),
        ("prune.rule=values", "`prune.rule` must be 'value' or 'quantile', but is 'values'"),
    ],
)
def test_a_wrong_recipe_is_one_line(
    recipe: Path, tmp_path: Path, command: str, override: str, said: str
) -> None:
    where = ["--out", tmp_path / "run"] if command == "run" else []
    message = complaint(command, recipe, "--set", override, *where)
    assert message == f"{recipe}: {said}"
    assert not (tmp_path / "run").exists()


def test_a_report_that_is_not_json_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{\n"format": }')
    assert complaint("report", tmp_path).startswith(f"{tmp_path}/report.json:2: not JSON: ")


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_an_out_that_is_a_file_is_refused(recipe: Path, tmp_path: Path, command: str) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    words = [recipe] if command == "run" else ["--model", "m", "--benchmark", "table=x.jsonl"]
    assert complaint(command, *words, "--out", taken) == f"--out {taken}: is a file; name a folder"
    assert taken.read_text() == "mine"


# Input files.

RECORD = {"question": "How many?", "answer": "4", "solution": "4"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, ": no such data file"),
        ("", ": holds no records"),
        ("{not json}\n", ":1: not JSON: "),
        (json.dumps({**RECORD, "answer": ""}), ":1: column `answer` is empty"),
        (json.dumps({"query": "How many?", "answer": "4"}), ":1: no column `question`"),
        (json.dumps({"question": "How many?", "anwser": "4"}), "did you mean `anwser`?"),
        ("[1, 2]", ":1: a record must be an object"),
    ],
    ids=["missing", "empty", "not JSON", "empty answer", "no question", "typo", "a list"],
)
@pytest.mark.parametrize("key", ["data.path", "evaluate.benchmarks.own.path"])
def test_a_wrong_data_file_is_one_line_that_names_the_place(
    recipe: Path, tmp_path: Path, key: str, text: str | None, said: str
) -> None:
    path = tmp_path / "own.jsonl"
    if text is not None:
        path.write_text(text)
    message = complaint("run", recipe, "--set", f"{key}={path}", "--out", tmp_path / "run")
    assert message.startswith(f"{path}:")
    assert said in message


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_missing_model_is_one_line(recipe: Path, tmp_path: Path, role: str) -> None:
    change = f"{role}.model={tmp_path}/nowhere"
    message = complaint("run", recipe, "--set", change, "--out", tmp_path / "run")
    assert message == f"{tmp_path}/nowhere: no such model folder or GGUF file"


def test_what_needs_a_teacher_with_the_same_tokenizer_is_one_line(
    recipe: Path, foreign_pair: Path, tmp_path: Path
) -> None:
    teacher = f"teacher.model={foreign_pair / 'teacher'}"
    changes = ("--set", teacher, "--set", "distill.teacher=topk")
    message = complaint("run", recipe, *changes, "--out", tmp_path / "run")
    assert message.startswith("distill.teacher: topk needs a teacher with the student's tokenizer")
    assert message.endswith("use online or hidden")


def test_a_damaged_model_is_one_line(recipe: Path, cue_pair: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(cue_pair / "teacher", tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"damaged")
    done = leaf("run", recipe, "--set", f"teacher.model={damaged}", "--out", tmp_path / "run")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"leaf: {damaged}: cannot be loaded from {damaged}")


def test_a_folder_that_cannot_be_written_is_one_line(recipe: Path) -> None:
    done = leaf("run", recipe, "--out", "/proc/leaf-run")
    assert (done.code, done.out) == (1, "")
    assert done.err == "leaf: /proc/leaf-run: No such file or directory\n"


# What there is.


def test_every_shipped_recipe_is_listed() -> None:
    done = leaf("recipes")
    assert (done.code, done.err) == (0, "")
    assert all(name in done.out for name in recipe_names())
    listed = json.loads(leaf("recipes", "--json").out)
    assert sorted(listed) == recipe_names()
    assert all(listed.values())


def test_show_prints_every_value_with_its_meaning() -> None:
    done = leaf("show", "gsm8k", "--set", "prune.threshold=0.05")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert any(line.startswith("prune.threshold: 0.05  # tau of Eq. 5") for line in lines)
    assert all("  # " in line for line in lines)
    values = json.loads(leaf("show", "gsm8k", "--json").out)
    assert values["prune"]["threshold"] == 0.1
    assert values["distill"]["lambda"] == 0.5


def test_show_as_yaml_is_a_recipe_that_runs_the_same(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(leaf("show", "demo", "--set", "prune.threshold=0.05", "--yaml").out)
    assert load_recipe(str(own)) == load_recipe("demo", ["prune.threshold=0.05"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = leaf(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Example: leaf {command}" in done.out


def test_the_help_names_every_command() -> None:
    done = leaf("--help")
    assert done.code == 0
    assert all(f"│ {command} " in done.out for command in COMMANDS)


def test_results_go_to_standard_output_and_faults_to_standard_error() -> None:
    command = [sys.executable, "-m", "leaf.cli.main", "show"]
    good = subprocess.run(
        [*command, "gsm8k", "--json"], capture_output=True, text=True, check=False
    )
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["name"] == "gsm8k"
    bad = subprocess.run([*command, "nowhere.yaml"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "leaf: nowhere.yaml: no such recipe file\n"


def test_the_command_starts_without_loading_torch() -> None:
    program = (
        "import sys, leaf.cli.main\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = [sys.executable, "-m", "leaf.cli.main", "show", "gsm8k"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert done.stderr == ""


def test_the_doctor_says_what_is_good_and_goes_on_past_what_is_bad(
    recipe: Path, tmp_path: Path
) -> None:
    good = leaf("doctor", recipe)
    assert good.code == 0
    assert good.out.splitlines()[-1] == f"Nothing stands in the way: leaf run {recipe}"
    changes = ["--set", f"student.model={tmp_path}/s", "--set", f"data.path={tmp_path}/d.jsonl"]
    bad = leaf("doctor", recipe, *changes)
    assert bad.code == 2
    assert bad.out.count("BAD ") == 2
    assert bad.err == "leaf: 2 things would stop this run\n"
    findings = json.loads(leaf("doctor", recipe, *changes, "--json").out)
    assert sum(finding["level"] == "bad" for finding in findings) == 2


# The whole way.


def test_a_run_ends_with_two_students_and_a_report(finished: tuple[Path, Done]) -> None:
    out, done = finished
    assert done.code == 0
    head, row, *words = done.out.splitlines()
    assert head.split() == ["n", "before", "KD", "LeaF", "LeaF", "-", "KD,", "points"]
    # By construction the student is right on every second question of four.
    assert row.split()[:6] == ["own", "4", "50.0%", "(15.0", "to", "85.0)"]
    # Four questions cannot show a difference: the exact test's least p is 2 / 2**4 = 0.125.
    assert words[0] == "No difference between LeaF and KD is shown on own."
    assert f"student:  {out}/student (KD: student-kd)" in done.out
    assert done.out.splitlines()[-1] == f"report:   {out}/report.html"
    for name in ("student", "student-kd"):
        AutoModelForCausalLM.from_pretrained(out / name, use_safetensors=True)
    assert (out / "report.html").is_file()
    assert report_of(out)["missing"] is None


def test_a_run_finds_the_planted_cue_and_verifies_its_removal(
    finished: tuple[Path, Done],
) -> None:
    report = report_of(finished[0])
    # By construction the student fails the four questions of eight that hold the cue.
    nothing = {"right": 0, "wrong": 0, "ungradable": 0, "not asked": 0}
    assert report["outcomes"]["wrong"] == nothing | {"right": 4}
    assert report["outcomes"]["right"] == nothing | {"not asked": 4}
    page = (finished[0] / "report.html").read_text(encoding="utf-8")
    assert "Teacher not asked" in " ".join(re.sub("<[^>]*>", " ", page).split())
    found = counts(report)
    assert found["attributed"] == 4
    kept = [
        piece["text"]
        for problem in report["distraction"]["problems"]
        for removal in problem["removals"]
        if removal["verdict"]["kept"]
        for piece in removal["pieces"]
        if piece["removed"]
    ]
    # Only the cue misleads the student, so a removal that helps must take it away.
    assert len(kept) == found["verified"] >= 1
    assert all("red" in text for text in kept)


def test_both_students_train_for_the_same_steps_from_the_same_start(
    finished: tuple[Path, Done],
) -> None:
    lines = [json.loads(line) for line in (finished[0] / "metrics.jsonl").read_text().splitlines()]
    steps = {arm: [line for line in lines if line["arm"] == arm] for arm in ("kd", "leaf")}
    assert len(steps["kd"]) == len(steps["leaf"]) >= 2
    assert sum(line["rows"] for line in steps["leaf"]) > 8


def test_the_same_command_again_loads_no_model(recipe: Path, finished: tuple[Path, Done]) -> None:
    out, first = finished
    before = {arm["arm"]: arm for arm in report_of(out)["results"][0]["arms"]}
    again = leaf("run", recipe, "--out", out)
    assert again.code == 0
    assert "loaded " in first.err
    assert "loaded " not in again.err
    report = report_of(out)
    assert all(stage["reused"] for stage in report["cost"]["stages"])
    assert {arm["arm"]: arm for arm in report["results"][0]["arms"]} == before


def test_a_run_as_json_is_its_report(recipe: Path, finished: tuple[Path, Done]) -> None:
    done = leaf("run", recipe, "--out", finished[0], "--json")
    assert json.loads(done.out) == report_of(finished[0])


def test_another_recipe_in_the_same_folder_is_refused(
    recipe: Path, finished: tuple[Path, Done]
) -> None:
    out, _ = finished
    before = report_of(out)
    change = ["--set", "prune.threshold=0.3"]
    message = complaint("run", recipe, *change, "--out", out)
    assert message.startswith(f"{out}: holds a run with prune.threshold: 0.1, but this one has 0.3")
    assert report_of(out) == before


def test_what_changes_speed_or_place_alone_goes_on_in_the_same_folder(
    recipe: Path, finished: tuple[Path, Done], tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(finished[0], out)
    change = ["--set", "attribute.token_budget=99", "--set", "description=other", "--out", out]
    done = leaf("run", recipe, *change, "--store", finished[0].parent / "store")
    assert done.code == 0
    assert "loaded " not in done.err


def test_overwriting_replaces_the_run_but_keeps_what_both_share(
    recipe: Path, finished: tuple[Path, Done], tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(finished[0], out)
    change = ["--set", "prune.threshold=0.3", "--store", finished[0].parent / "store"]
    done = leaf("run", recipe, *change, "--out", out, "--overwrite", "--until", "prune")
    assert done.code == 0
    report = report_of(out)
    assert report["recipe"]["prune"]["threshold"] == 0.3
    reused = {stage["name"]: stage["reused"] for stage in report["cost"]["stages"]}
    assert reused.pop("pruning by gradient") is False
    assert all(reused.values())


@pytest.mark.parametrize(
    "words",
    [
        "run {recipe} --set data.path=nowhere.jsonl --out {out}",
        "run {recipe} --set student.model=./nowhere --out {out}",
        "evaluate --model ./nowhere --benchmark playground --out {out}",
        "evaluate --model {recipe}/nowhere --benchmark table=nowhere.jsonl --out {out}",
        "evaluate --model {damaged} --benchmark playground --limit 2 --out {out}",
        "study thresholds --recipe {recipe} --set data.path=nowhere.jsonl --out {out}",
        # There are no variants.
        "study robustness --recipe {recipe} --out {out}",
        "report nowhere elsewhere --out {out}/page.html",
        "export nowhere --format trl --out {out}/rows.jsonl",
        "init nowhere.csv --out {out}/own.yaml",
    ],
)
def test_what_cannot_begin_leaves_nothing(
    recipe: Path, cue_pair: Path, tmp_path: Path, words: str
) -> None:
    damaged = shutil.copytree(cue_pair / "student", tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"damaged")
    out = tmp_path / "new" / "out"

    done = leaf(*words.format(recipe=recipe, damaged=damaged, out=out).split())

    assert done.code == 2
    assert sorted(tmp_path.iterdir()) == [damaged]


def test_export_that_cannot_be_leaves_nothing(finished: tuple[Path, Done], tmp_path: Path) -> None:
    run = shutil.copytree(finished[0], tmp_path / "run")
    (run / "recipe.yaml").unlink()
    words = ("--format", "parquet", "--out", tmp_path / "new" / "rows.parquet")
    assert "--format parquet needs it" in complaint("export", run, *words)
    assert sorted(tmp_path.iterdir()) == [run]


def test_until_stops_after_its_stage_and_says_how_to_go_on(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = leaf("run", recipe, "--out", out, "--until", "answers")
    assert done.code == 0
    assert f"stopped after answers; resume with: leaf run {recipe} --out {out}" in done.out
    report = report_of(out)
    assert report["missing"] == "attribution"
    assert not (out / "student").exists()
    names = [stage["name"] for stage in report["cost"]["stages"]]
    assert names == [
        "student answers",
        "grading student answers",
        "teacher answers",
        "grading teacher answers",
    ]


def test_the_report_is_written_again_from_its_numbers(
    finished: tuple[Path, Done],
) -> None:
    out, _ = finished
    page = (out / "report.html").read_text()
    (out / "report.html").unlink()
    done = leaf("report", out)
    assert (done.code, done.out) == (0, f"report:   {out}/report.html\n")
    assert (out / "report.html").read_text() == page


def test_prompts_longer_than_the_context_are_counted_and_reported(
    recipe: Path, cue_pair: Path, tmp_path: Path
) -> None:
    path = tmp_path / "long.jsonl"
    long = [json.dumps({**RECORD, "question": "7" * n}) + "\n" for n in (128, 500)]
    path.write_text((cue_pair / "train.jsonl").read_text() + "".join(long))
    out = tmp_path / "run"
    done = leaf("run", recipe, "--set", f"data.path={path}", "--out", out, "--until", "verify")
    assert done.code == 0
    report = report_of(out)
    reason = "prompt longer than the model's context of 128 tokens"
    counted = {(drop["stage"], drop["reason"]): drop["count"] for drop in report["drops"]}
    assert counted["answers", f"student: {reason}"] == 2
    assert counts(report)["problems"] == 10
    assert counts(report)["answered"] == 8
    assert report["outcomes"]["ungradable"]["not asked"] == 2


def test_a_cutoff_that_leaves_no_row_stops_before_training_with_one_line(
    recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = leaf("run", recipe, "--set", "distill.cutoff=1", "--out", out)
    assert done.code == 2
    assert "no problem has a reference response within distill.cutoff (1 tokens)" in done.err


def test_data_without_a_reference_stops_before_training_with_one_line(
    recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = leaf("run", recipe, "--set", "data.columns.solution=null", "--out", out)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("leaf: no training row is left")
    # What was computed before is kept and shown.
    assert counts(report_of(out))["answered"] == 8
