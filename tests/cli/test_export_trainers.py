"""What `leaf export` writes is what each trainer reads: system prompt, kind and weight included.

TRL, datasets and Arrow read it themselves. ms-swift, LLaMA-Factory and axolotl are not installed:
what their documentation says they read (docs/trainer.md names the versions) is written down here.
"""

import json
import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from leaf.records import Turn
from leaf.store.run_folder import ROWS, TrainingRow, read_records, write_records
from tests.command_line import complaint, leaf
from tests.marks import ROOT

SYSTEM = "Answer by one digit."
FORMATS = ("messages", "trl", "privileged", "swift", "sharegpt", "alpaca", "axolotl", "parquet")


@pytest.fixture(scope="module")
def run(make_run: Any) -> Path:
    """A run up to verification, with a system prompt, in two contexts, with originals at 0.2."""
    changes = {
        "student.system": f'"{SYSTEM}"',
        "teacher.system": f'"{SYSTEM}"',
        "distill.lambda": 0.2,
        "distill.teacher_sees": "cut",
    }
    folder: Path = make_run("in-chat", changes, until="verify")
    return folder


@pytest.fixture(scope="module")
def rows(run: Path) -> list[TrainingRow]:
    """Its rows but for those held out."""
    found = read_records(run / ROWS, TrainingRow, "")
    return [row for row in found if not row.held_out]


@pytest.fixture(scope="module")
def files(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each format's file, in a folder of its own."""
    found = {}
    for name in FORMATS:
        suffix = "parquet" if name == "parquet" else "jsonl"
        found[name] = tmp_path_factory.mktemp(name) / f"rows.{suffix}"
        done = leaf("export", run, "--format", name, "--out", found[name])
        assert (done.code, done.err) == (0, "")
    return found


def loaded(path: Path) -> Dataset:
    kind = "parquet" if path.suffix == ".parquet" else "json"
    return load_dataset(kind, data_files=str(path), split="train", cache_dir=str(path.parent / "c"))


def records(path: Path) -> list[dict[str, Any]]:
    return [dict(one) for one in loaded(path)]


def test_the_run_has_rows_of_both_kinds_and_two_contexts(rows: list[TrainingRow]) -> None:
    assert {row.kind for row in rows} == {"original", "changed"}
    assert any(row.teacher_prompt for row in rows)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_kind_and_weight(
    files: dict[str, Path], rows: list[TrainingRow], name: str
) -> None:
    found = records(files[name])
    assert [(one["id"], one["kind"]) for one in found] == [(row.id, row.kind) for row in rows]
    tokens = Counter()
    for row in rows:
        tokens[row.kind] += row.response_tokens
    whole = sum(tokens.values())
    # Over all tokens the originals have 0.2 of the loss, however few or many they are.
    expected = {"original": 0.2 * whole / tokens["original"]}
    expected["changed"] = 0.8 * whole / tokens["changed"]
    assert [one["weight"] for one in found] == pytest.approx([expected[row.kind] for row in rows])


def turns(record: dict[str, Any]) -> list[tuple[str, str]]:
    """A record's conversation, whatever its format calls it."""
    if "conversations" in record:
        named = {"human": "user", "gpt": "assistant"}
        said = record["conversations"]
        return [(named.get(one["from"], one["from"]), one["value"]) for one in said]
    if "instruction" in record:
        assert record["input"] == ""
        return [
            ("system", record["system"]),
            ("user", record["instruction"]),
            ("assistant", record["output"]),
        ]
    said = record.get("messages") or record["prompt"] + record["completion"]
    return [(one["role"], one["content"]) for one in said]


@pytest.mark.parametrize("name", FORMATS[:-1])
def test_every_format_of_text_has_the_system_prompt(
    files: dict[str, Path], rows: list[TrainingRow], name: str
) -> None:
    assert [turns(one) for one in records(files[name])] == [
        [("system", SYSTEM), ("user", row.prompt), ("assistant", row.response)] for row in rows
    ]


# TRL, which is installed.


QUIET = {
    "max_steps": 1,
    "use_cpu": True,
    "bf16": False,
    "report_to": [],
    "save_strategy": "no",
    "disable_tqdm": True,
}


@pytest.mark.parametrize("name", ["trl", "parquet"])
def test_trl_learns_the_responses_after_the_system_prompt(
    files: dict[str, Path], rows: list[TrainingRow], cue_pair: Path, tmp_path: Path, name: str
) -> None:
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(output_dir=str(tmp_path), per_device_train_batch_size=64, **QUIET)
    student = str(cue_pair / "student")
    trainer = SFTTrainer(model=student, args=config, train_dataset=loaded(files[name]))
    (batch,) = trainer.get_train_dataloader()
    trainer.train()
    decode = trainer.processing_class.decode
    learned = [decode(labels[labels != -100]).strip() for labels in batch["labels"]]
    # TRL shuffles; its own rendering learns the template's newline after the turn as well.
    assert Counter(learned) == Counter(f"{row.response}<|im_end|>" for row in rows)
    system = f"<|im_start|>system\n{SYSTEM}<|im_end|>"
    assert all(decode(ids).startswith(system) for ids in batch["input_ids"])


def test_trl_shows_its_privileged_teacher_the_teachers_prompt(
    files: dict[str, Path], rows: list[TrainingRow], cue_pair: Path, tmp_path: Path
) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "privileged.py"))
    options = {**QUIET, "max_completion_length": 2, "num_generations": 2}
    del options["report_to"]
    student = str(cue_pair / "student")
    trainer = example["train"](
        student, str(files["privileged"]), str(tmp_path), per_device_train_batch_size=2, **options
    )
    assert trainer.state.global_step == 1
    data = loaded(files["privileged"])
    assert [one["completion"][0]["content"] for one in data] == [row.response for row in rows]
    seen = trainer.teacher_context_builder.select_generation_prompts(
        data["prompt"], data["privileged_context"]
    )
    assert [[(turn["role"], turn["content"]) for turn in one] for one in seen] == [
        [("system", SYSTEM), ("user", row.teacher_prompt or row.prompt)] for row in rows
    ]


# Tokens.


def test_tokens_are_those_of_the_chat_template(
    files: dict[str, Path], rows: list[TrainingRow], cue_pair: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(cue_pair / "student")
    for one, row in zip(records(files["parquet"]), rows, strict=True):
        system = [{"role": "system", "content": SYSTEM}]
        said = {"role": "assistant", "content": row.response}
        for column, prompt in (
            ("input_ids", row.prompt),
            ("teacher_input_ids", row.teacher_prompt),
        ):
            if not prompt:
                assert one[column] is None
                continue
            before = [*system, {"role": "user", "content": prompt}]
            whole = tokenizer.apply_chat_template([*before, said], tokenize=False)
            # The template's newline after the turn is not learnt.
            expected = tokenizer(whole.rstrip("\n"), add_special_tokens=False)["input_ids"]
            assert one[column] == expected
        text = tokenizer.apply_chat_template(
            [*system, {"role": "user", "content": row.prompt}],
            tokenize=False,
            add_generation_prompt=True,
        )
        start = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        ids = one["input_ids"]
        assert one["loss_mask"] == [0] * start + [1] * (len(ids) - start)
        assert one["labels"] == [-100] * start + ids[start:]
        assert one["attention_mask"] == [1] * len(ids)
        assert sum(one["loss_mask"]) == row.response_tokens


def test_likeliest_tokens_are_the_teachers_after_its_own_prompt(
    run: Path, cue_pair: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rows.parquet"
    words = ("--format", "parquet", "--top-k", "3", "--out", out)
    assert leaf("export", run, *words).code == 0
    teacher = AutoModelForCausalLM.from_pretrained(cue_pair / "teacher", dtype=torch.float32)
    table = pq.read_table(out).to_pylist()
    for one in table:
        ids = one["teacher_input_ids"] or one["input_ids"]
        response = sum(one["loss_mask"])
        with torch.no_grad():
            logits = teacher(torch.tensor([ids])).logits[0]
        # What stands before a token says how likely it is.
        expected = logits.log_softmax(-1)[len(ids) - response - 1 : -1].topk(3)
        assert one["teacher_top_ids"] == expected.indices.tolist()
        found = torch.tensor(one["teacher_top_logprobs"])
        torch.testing.assert_close(found, expected.values, atol=1e-4, rtol=0)
    assert any(one["teacher_input_ids"] for one in table)


def test_a_response_that_is_begun_is_trained_on_from_there(run: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes((run / "recipe.yaml").read_bytes())
    begun = made(strategy="span", response_prefix="4", response="7")
    write_records(tmp_path / ROWS, [begun], TrainingRow)
    assert (
        leaf("export", tmp_path, "--format", "parquet", "--out", tmp_path / "x.parquet").code == 0
    )
    (one,) = pq.read_table(tmp_path / "x.parquet").to_pylist()
    # "7" and the end of the turn.
    assert (sum(one["loss_mask"]), one["kind"]) == (2, "changed")


# Trainers that are not installed, by their documentation.


def test_a_llama_factory_entry_reads_the_file_back(
    files: dict[str, Path], rows: list[TrainingRow]
) -> None:
    for name in ("sharegpt", "alpaca"):
        folder = files[name].parent
        (entry,) = json.loads((folder / "dataset_info.json").read_text()).values()
        columns = entry["columns"]
        for one, row in zip(records(folder / entry["file_name"]), rows, strict=True):
            if entry["formatting"] == "sharegpt":
                tags = entry["tags"]
                roles = {tags[f"{who}_tag"]: who for who in ("system", "user", "assistant")}
                said = one[columns["messages"]]
                found = [
                    (roles[turn[tags["role_tag"]]], turn[tags["content_tag"]]) for turn in said
                ]
            else:
                assert one[columns["query"]] == ""
                found = [
                    ("system", one[columns["system"]]),
                    ("user", one[columns["prompt"]]),
                    ("assistant", one[columns["response"]]),
                ]
            assert found == [
                ("system", SYSTEM),
                ("user", row.prompt),
                ("assistant", row.response),
            ]


def test_an_entry_joins_those_of_other_data_sets(run: Path, tmp_path: Path) -> None:
    info = tmp_path / "dataset_info.json"
    info.write_text(json.dumps({"mine": {"file_name": "mine.json"}}))
    words = ("export", run, "--format", "sharegpt", "--out")
    done = leaf(*words, tmp_path / "own.jsonl")
    assert f"beside:   {info}" in done.out
    assert list(json.loads(info.read_text())) == ["mine", "own"]
    info.write_text("[1]")
    assert complaint(*words, tmp_path / "more.jsonl") == (
        f"{info}: not a table of data sets; move it, or write elsewhere"
    )
    assert not (tmp_path / "more.jsonl").exists()
    info.write_text("{")
    assert f"{info}: not JSON" in complaint(*words, tmp_path / "more.jsonl")


def test_every_row_for_swift_has_the_teachers_message(
    files: dict[str, Path], rows: list[TrainingRow]
) -> None:
    # A batch with one row without it is taught without any: so originals have it too.
    found = [one["teacher_prompt"] for one in records(files["swift"])]
    assert found == [row.teacher_prompt or row.prompt for row in rows]


def test_the_axolotl_part_names_the_file_and_its_columns(files: dict[str, Path]) -> None:
    path = files["axolotl"]
    (entry,) = yaml.safe_load(path.with_suffix(".axolotl.yaml").read_text())["datasets"]
    assert (entry["path"], entry["type"]) == (str(path), "chat_template")
    mapping = entry["message_property_mappings"]
    (first, *_) = records(path)
    for turn in first[entry["field_messages"]]:
        assert turn[mapping["role"]] in ("system", "user", "assistant")
        assert turn[mapping["content"]]
    assert entry["roles_to_train"] == ["assistant"]


# A conversation before the question.


def test_turns_before_the_question_are_in_every_format(run: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes((run / "recipe.yaml").read_bytes())
    before = [("user", "Ada has pens."), ("assistant", "4")]
    turns_before = tuple(Turn(role=role, text=text) for role, text in before)
    row = made(turns=turns_before)
    own = made(name="b", turns=(Turn(role="system", text="Other."), *turns_before))
    write_records(tmp_path / ROWS, [row, own], TrainingRow)
    said = [*before, ("user", "How many?"), ("assistant", "4")]
    # A system turn of the conversation's own stands in the place of the student's.
    expected = [[("system", SYSTEM), *said], [("system", "Other."), *said]]
    for name in FORMATS[:-1]:
        out = tmp_path / f"{name}.jsonl"
        assert leaf("export", tmp_path, "--format", name, "--out", out).code == 0
        found = [json.loads(line) for line in out.read_text().splitlines()]
        if name == "alpaca":
            assert [one["history"] for one in found] == [[["Ada has pens.", "4"]]] * 2
            assert [one["system"] for one in found] == [SYSTEM, "Other."]
        else:
            assert [turns(one) for one in found] == expected
    tokens = tmp_path / "tokens.parquet"
    assert leaf("export", tmp_path, "--format", "parquet", "--out", tokens).code == 0
    tokenizer = AutoTokenizer.from_pretrained(yaml_of(run)["student"]["model"])
    shown = [tokenizer.decode(one["input_ids"]) for one in records(tokens)]
    assert shown == [
        "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in one).rstrip("\n")
        for one in expected
    ]
    write_records(tmp_path / ROWS, [made(turns=turns_before[:1])], TrainingRow)
    words = ("--format", "alpaca", "--overwrite", "--out", tmp_path / "alpaca.jsonl")
    assert "has turns that are no question and answer in turn" in complaint(
        "export", tmp_path, *words
    )


def made(name: str = "a", **changes: Any) -> TrainingRow:
    values = {"strategy": "", "prompt": "How many?", "response_prefix": "", "response": "4"}
    return TrainingRow(id=name, problem_id="p", held_out=False, **(values | changes))


def yaml_of(folder: Path) -> Any:
    return yaml.safe_load((folder / "recipe.yaml").read_text())


# Words and refusals.


def test_a_teachers_own_prompt_that_has_no_place_is_said(run: Path, tmp_path: Path) -> None:
    words = ("export", run, "--out", tmp_path / "rows.jsonl", "--overwrite", "--format")
    said = "rows have a prompt of the teacher's own, which this format has no place for"
    assert said in leaf(*words, "messages").out
    assert said not in leaf(*words, "swift").out


def test_rows_of_an_older_run_weigh_by_characters_and_say_so(
    run: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_bytes((run / "recipe.yaml").read_bytes())
    older = [replace(row, response_tokens=0) for row in rows]
    write_records(tmp_path / ROWS, older, TrainingRow)
    done = leaf("export", tmp_path, "--format", "trl", "--out", tmp_path / "x.jsonl")
    assert "this run kept no lengths in tokens: weights go by characters" in done.out


def test_a_top_k_without_tokens_or_of_nothing_is_refused(run: Path, tmp_path: Path) -> None:
    words = ("export", run, "--out")
    said = complaint(*words, tmp_path / "x.jsonl", "--format", "trl", "--top-k", "5")
    assert said == "--top-k 5: needs --format parquet"
    said = complaint(*words, tmp_path / "x.parquet", "--format", "parquet", "--top-k", "0")
    assert said == "--top-k 0: must be at least 1"
    said = complaint(*words, tmp_path / "x.jsonl", "--format", "parquet")
    assert said == f"--out {tmp_path}/x.jsonl: must end in .parquet"


def test_likeliest_tokens_of_another_tokenizer_are_refused(
    foreign_pair: Path, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_bytes((foreign_pair / "recipe.yaml").read_bytes())
    write_records(tmp_path / ROWS, [made()], TrainingRow)
    words = ("--format", "parquet", "--top-k", "2", "--out", tmp_path / "x.parquet")
    said = complaint("export", tmp_path, *words)
    assert said.startswith("--top-k 2: ")
    assert said.endswith("so its tokens are none of the student's")
