"""`leaf export`: the rows of a run as data that TRL's own trainer and helpers take."""

import json
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

from leaf.errors import UsageError
from leaf.records import Turn
from leaf.share.formats import FORMATS
from leaf.share.rows import BEGUN, HELD_OUT, choose
from leaf.store.run_folder import ROWS, VALUES, TrainingRow, read_records, write_records
from tests.command_line import complaint, leaf
from tests.marks import RIVALS, ROOT, needs_rivals


def row(name: str = "a", **changes: Any) -> TrainingRow:
    values = {"strategy": "", "response_prefix": "", "held_out": False, **changes}
    return TrainingRow(id=name, problem_id="p", prompt="How many?", response="4", **values)


TURNS = (
    Turn(role="system", text="Be brief."),
    Turn(role="user", text="Hello?"),
    Turn(role="assistant", text="Yes."),
)


def test_a_conversation_goes_with_its_rows_in_every_format() -> None:
    one = row(turns=TURNS)
    said = ["Be brief.", "Hello?", "Yes.", "How many?"]
    names = ("trl", "sharegpt", "alpaca")
    prompt, chat, plain = (FORMATS[name].record(one, None) for name in names)
    assert [(turn["role"], turn["content"]) for turn in prompt["prompt"]] == list(
        zip(("system", "user", "assistant", "user"), said, strict=True)
    )
    assert [(turn["from"], turn["value"]) for turn in chat["conversations"]] == list(
        zip(("system", "human", "gpt", "human", "gpt"), [*said, "4"], strict=True)
    )
    assert (plain["system"], plain["history"]) == ("Be brief.", [["Hello?", "Yes."]])


def rows_of(run: Path) -> list[TrainingRow]:
    return read_records(run / ROWS, TrainingRow, "")


def exported(run: Path, out: Path, *words: str) -> list[dict[str, Any]]:
    """Export a run and load the file as trainers do."""
    done = leaf("export", run, "--out", out, *words)
    assert (done.code, done.err) == (0, "")
    rows = load_dataset("json", data_files=str(out), split="train", cache_dir=str(out.parent / "c"))
    return [dict(one) for one in rows]


def test_the_rows_are_the_originals_and_what_was_verified(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    kept = {
        item["id"]
        for problem in report["distraction"]["problems"]
        for item in (*problem["removals"], *problem["transplants"])
        if item["verdict"]["kept"]
    }
    rows = rows_of(finished)
    assert {one.id for one in rows if one.strategy} == kept
    assert len({one.id for one in rows if not one.strategy}) == 8
    # A quarter of eight problems is held out, with all that was made of them.
    held_out = {one.problem_id for one in rows if one.held_out}
    assert len(held_out) == 2
    assert all(one.held_out == (one.problem_id in held_out) for one in rows)


def test_a_file_has_every_row_that_is_trained_on(finished: Path, tmp_path: Path) -> None:
    found = exported(finished, tmp_path / "rows.jsonl", "--format", "alpaca")
    trained = [one for one in rows_of(finished) if not one.held_out]
    assert [(one["id"], one["problem"], one["strategy"]) for one in found] == [
        (one.id, one.problem_id, one.strategy) for one in trained
    ]
    assert [one["kind"] for one in found] == [
        "changed" if one.strategy else "original" for one in trained
    ]
    metrics = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    # One epoch: each row is seen once.
    assert sum(line["rows"] for line in metrics if line["arm"] == "leaf") == len(found)


def test_plain_distillation_has_the_originals_alone(finished: Path, tmp_path: Path) -> None:
    found = exported(finished, tmp_path / "kd.json", "--format", "alpaca", "--what", "kd")
    assert Counter(one["kind"] for one in found) == {"original": 6}


def test_the_command_counts_what_it_wrote_and_what_it_left_out(
    finished: Path, tmp_path: Path
) -> None:
    words = ("--format", "trl", "--out", tmp_path / "rows.jsonl")
    done = leaf("export", finished, *words)
    rows = rows_of(finished)
    held_out = sum(one.held_out for one in rows)
    assert done.out.splitlines()[0].split() == ["rows", "kind", "weight", "of", "a", "token"]
    assert done.out.splitlines()[1].split()[:2] == ["6", "original"]
    assert f"left out: {held_out} rows {HELD_OUT}" in done.out
    assert f"data:     {tmp_path}/rows.jsonl ({len(rows) - held_out} rows)" in done.out
    said = json.loads(leaf("export", finished, *words, "--overwrite", "--json").out)
    assert said["rows"] == sum(said["kinds"].values()) == len(rows) - held_out
    assert said["left_out"] == {HELD_OUT: held_out}


def test_stage_1_is_enough(make_run: Any, finished: Path, tmp_path: Path) -> None:
    verified = make_run("verified", until="verify")
    assert (verified / ROWS).read_bytes() == (finished / ROWS).read_bytes()
    assert exported(verified, tmp_path / "rows.json", "--format", "trl")


def test_another_recipe_in_the_same_folder_takes_the_rows_and_values_away(
    finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    words = ("--out", run, "--store", finished.parent / "store", "--overwrite")
    change = ("--set", "prune.threshold=0.3", "--until", "prune")
    assert leaf("run", finished / "recipe.yaml", *change, *words).code == 0
    assert not (run / ROWS).exists()
    assert not (run / VALUES).exists()
    assert leaf("run", finished / "recipe.yaml", *words).code == 0
    assert (run / ROWS).read_bytes() == (finished / ROWS).read_bytes()
    assert (run / VALUES).read_bytes() == (finished / VALUES).read_bytes()


def test_rows_in_the_response_are_left_out_and_counted() -> None:
    rows = [
        row(),
        row("a/r1/cf0", strategy="span", response_prefix="First, "),
        row("b", held_out=True),
    ]
    chosen = choose(rows, "leaf")
    assert [one.id for one in chosen.rows] == ["a"]
    assert chosen.left_out == {BEGUN: 1, HELD_OUT: 1}


def test_nothing_to_write_is_refused() -> None:
    with pytest.raises(UsageError, match="the run has no training row of this kind"):
        choose([row(held_out=True)], "leaf")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_any_text_comes_back_as_it_was(tmp_path: Path, name: str, suffix: str) -> None:
    text = 'a\u2028b\x00\x85 \u202e <script> \\n "é" \U0001f600\r\n' + "long " * 20_000
    write_records(tmp_path / ROWS, [replace(row(), prompt=text, response=text)], TrainingRow)
    (found,) = exported(tmp_path, tmp_path / f"rows{suffix}", "--format", name)
    says = {
        **dict.fromkeys(
            ("messages", "swift", "axolotl"),
            lambda one: [turn["content"] for turn in one["messages"]],
        ),
        **dict.fromkeys(
            ("trl", "privileged"),
            lambda one: [one["prompt"][0]["content"], one["completion"][0]["content"]],
        ),
        "sharegpt": lambda one: [turn["value"] for turn in one["conversations"]],
        "alpaca": lambda one: [one["instruction"], one["output"]],
    }
    assert says[name](found) == [text, text]


# Refusals.


@pytest.mark.parametrize("until", ["problems", "answers", "attribute", "prune"])
def test_an_unfinished_run_says_how_to_go_on(make_run: Any, tmp_path: Path, until: str) -> None:
    run = make_run(until, until=until)
    message = complaint("export", run, "--format", "trl", "--out", tmp_path / "x.jsonl")
    assert message == (
        f"{run}/rows.parquet: not there; `leaf run cue.yaml --out {run} --until verify` writes it; "
        "nothing is computed twice"
    )


def test_no_run_folder_is_one_line(tmp_path: Path) -> None:
    message = complaint("export", tmp_path / "no", "--format", "trl", "--out", tmp_path / "x.json")
    assert f"{tmp_path}/no/rows.parquet: not there; `leaf run RECIPE --out {tmp_path}/no" in message


def test_an_out_that_is_taken_or_named_oddly_is_refused(finished: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.json"
    taken.write_text("mine")
    (tmp_path / "folder.json").mkdir()
    words = ("export", finished, "--format", "trl", "--out")
    assert complaint(*words, taken) == (
        f"--out {taken}: is there already; name another, or add --overwrite"
    )
    assert taken.read_text() == "mine"
    assert "must end in .jsonl or .json" in complaint(*words, tmp_path / "rows.csv")
    assert "is a folder; name a file" in complaint(*words, tmp_path / "folder.json")


# What TRL makes of it.

_SFT = """
import json, sys
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer, maybe_convert_to_chatml
from trl.data_utils import is_conversational

folder, model = sys.argv[1:]
def rows(name):
    return load_dataset("json", data_files=f"{folder}/{name}.jsonl", split="train")
config = SFTConfig(
    output_dir=f"{folder}/out", max_steps=2, per_device_train_batch_size=64, use_cpu=True,
    bf16=False, report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True,
    dataloader_pin_memory=False,
)
trainer = SFTTrainer(model=model, args=config, train_dataset=rows("trl"))
(batch,) = trainer.get_train_dataloader()
decode = trainer.processing_class.decode
learned = [
    decode(labels[labels != -100]) for labels in batch["labels"]
]
trainer.train()
found = {
    "conversational": is_conversational(rows("trl")[0]),
    "learned": learned,
    "losses": [line["loss"] for line in trainer.state.log_history if "loss" in line],
    "sharegpt": [maybe_convert_to_chatml(one)["messages"] for one in rows("sharegpt")],
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def taken_by_trl(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What TRL's trainer and helpers make of the files, in an environment that has it."""
    folder = tmp_path_factory.mktemp("trl")
    for name in ("trl", "sharegpt"):
        leaf("export", finished, "--format", name, "--out", folder / f"{name}.jsonl")
    model = ROOT / "src" / "leaf" / "playground" / "models" / "student"
    words = [str(RIVALS / "bin" / "python"), "-c", _SFT, str(folder), str(model)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.long
@needs_rivals
def test_trl_trains_on_the_completions_alone(finished: Path, taken_by_trl: dict[str, Any]) -> None:
    assert taken_by_trl["conversational"]
    assert len(taken_by_trl["losses"]) == 2
    trained = [one for one in rows_of(finished) if not one.held_out]
    # TRL shuffles; the bundled template ends a turn so.
    assert Counter(taken_by_trl["learned"]) == Counter(f"{one.response}<|end|>" for one in trained)


@needs_rivals
def test_trl_reads_a_sharegpt_conversation_as_the_same_messages(
    finished: Path, taken_by_trl: dict[str, Any]
) -> None:
    assert taken_by_trl["sharegpt"] == [
        [{"content": one.prompt, "role": "human"}, {"content": one.response, "role": "gpt"}]
        for one in rows_of(finished)
        if not one.held_out
    ]
