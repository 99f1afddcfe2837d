"""The doctor finds what would stop or spoil a run, all of it and with numbers."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, Gemma4TextConfig

from leaf.distill import tracking
from leaf.distill.room import Parameters
from leaf.doctor import Finding, data, examine, machine
from leaf.doctor.files import ModelFiles, look
from leaf.doctor.machine import check_disk, check_memory
from leaf.models import threads
from leaf.models.files import Source
from leaf.models.load import best_device, resolve_dtype
from leaf.models.paths import Paths
from leaf.recipe import ModelSection, Recipe
from leaf.recipe.reading import check_recipe

MEBI = Parameters(learning=2**20, frozen=0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warnings that the machine is busy, nor that a test has few problems."""
    monkeypatch.setattr(threads, "watch", SimpleNamespace(advice=lambda count: None))
    monkeypatch.setattr(data, "_FEW", 0)


@pytest.fixture
def values(cue_pair: Path) -> dict[str, Any]:
    """A recipe with which nothing is wrong."""
    return {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "distill": {"compute_dtype": "float32"},
        "evaluate": {
            "benchmarks": {"own": {"task": "table", "path": str(cue_pair / "test.jsonl")}}
        },
    }


@pytest.fixture
def spoilt(cue_pair: Path, tmp_path: Path) -> Path:
    """A copy of the teacher that a test may change."""
    return Path(shutil.copytree(cue_pair / "teacher", tmp_path / "spoilt"))


def recipe_of(values: dict[str, Any]) -> Recipe:
    return check_recipe(values, source="test")


def found(values: dict[str, Any], level: str) -> list[str]:
    findings = examine(recipe_of(values))
    assert all("\n" not in finding.text for finding in findings)
    return [finding.text for finding in findings if finding.level == level]


def write(path: Path, records: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_a_sound_recipe_has_only_good_findings(values: dict[str, Any]) -> None:
    assert found(values, "bad") == []
    assert found(values, "warn") == []
    assert len(found(values, "good")) > 15


def test_models_are_described_with_their_numbers(values: dict[str, Any]) -> None:
    model = AutoModelForCausalLM.from_pretrained(values["student"]["model"])
    count = sum(parameter.numel() for parameter in model.parameters())
    entries = model.config.vocab_size
    assert (
        f"student {values['student']['model']}: {count:,} parameters, context of 128 tokens, "
        f"vocabulary of {entries} entries" in found(values, "good")
    )


def test_the_token_that_ends_a_turn_is_named(values: dict[str, Any]) -> None:
    assert any(
        text.startswith("student: its chat template") and text.endswith("'<|im_end|>'")
        for text in found(values, "good")
    )


def test_one_fault_does_not_hide_the_others(values: dict[str, Any], tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    values["student"]["model"] = missing
    values["data"]["path"] = f"{missing}.jsonl"
    values["evaluate"]["benchmarks"]["own"]["columns"] = {"answer": "result"}
    benchmark = values["evaluate"]["benchmarks"]["own"]["path"]
    student, data, column = found(values, "bad")
    assert student == f"{missing}: no such model folder or GGUF file"
    assert data == f"training data: {missing}.jsonl: no such data file"
    assert column.startswith(f"benchmark own: {benchmark}:1: no column `result`")
    assert any(text.startswith("teacher ") for text in found(values, "good"))


@pytest.mark.parametrize(
    ("path", "columns", "said"),
    [
        (None, {}, "task `table` needs `path` (evaluate.benchmarks.own.path): a .jsonl, "),
        ("held.csv", {}, "held.csv: no such data file"),
        ("", {"question": "asked"}, "; name it in evaluate.benchmarks.own.columns.question, or "),
    ],
)
def test_a_fault_of_a_benchmark_names_it_beside_one_of_the_data(
    values: dict[str, Any], path: str | None, columns: dict[str, str], said: str
) -> None:
    values["data"]["path"] = "a.xlsx"
    own = values["evaluate"]["benchmarks"]["own"]
    own |= {"path": own["path"] if path == "" else path, "columns": columns}
    data, benchmark = found(values, "bad")
    assert data.startswith("training data: a.xlsx: a data file must end in .jsonl, ")
    assert benchmark.startswith("benchmark own: ")
    assert said in benchmark


def test_a_damaged_model_is_a_finding(values: dict[str, Any], spoilt: Path) -> None:
    (spoilt / "model.safetensors").write_bytes(b"damaged")
    values["teacher"]["model"] = str(spoilt)
    (text,) = found(values, "bad")
    assert text.startswith(f"{spoilt}: cannot be loaded from ")


def test_a_teacher_with_another_tokenizer_is_said_with_what_is_common(
    values: dict[str, Any], foreign_pair: Path
) -> None:
    values["teacher"]["model"] = str(foreign_pair / "teacher")
    texts = found(values, "good")
    (text,) = (text for text in texts if text.startswith("tokenizers: "))
    assert text.endswith("are the teacher's too; scores and responses are aligned by characters")
    # Heads of different tokenizers are not cut to a common part.
    assert not any(text.startswith("vocabularies: ") for text in texts)
    assert not any("shows both the student's" in text for text in found(values, "warn"))
    values["distill"]["temperature"] = 2.0
    (text,) = found(values, "bad")
    assert text.startswith("distill.temperature: 2 needs a teacher with the student's tokenizer")


def test_a_padded_vocabulary_is_said_with_its_common_part(
    values: dict[str, Any], spoilt: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(spoilt)
    size = model.config.vocab_size
    model.resize_token_embeddings(size + 16)
    model.save_pretrained(spoilt)
    values["teacher"]["model"] = str(spoilt)
    assert (
        f"vocabularies: {size} entries (student) and {size + 16} (teacher); distillation compares "
        f"the common {size}" in found(values, "good")
    )


def test_a_model_without_chat_template_is_a_warning(values: dict[str, Any], spoilt: Path) -> None:
    (spoilt / "chat_template.jinja").unlink()
    values["teacher"]["model"] = str(spoilt)
    base, different = found(values, "warn")
    assert base.startswith("teacher: no chat template (a base model?)")
    assert different.startswith("templates: student and teacher put different text around")


def test_a_template_that_changes_the_question_is_bad(values: dict[str, Any], spoilt: Path) -> None:
    template = spoilt / "chat_template.jinja"
    template.write_text(template.read_text().replace("m['content']", "m['content'] | upper"))
    values["teacher"]["model"] = str(spoilt)
    (text,) = found(values, "bad")
    assert text.startswith(f"{spoilt}: its chat template ")


def test_problems_without_solution_are_counted(values: dict[str, Any], tmp_path: Path) -> None:
    records = [{"question": f"{n}?", "answer": "4", "solution": "4" * (n > 2)} for n in range(8)]
    values["data"]["path"] = write(tmp_path / "own.jsonl", records)
    (text,) = found(values, "warn")
    assert text.startswith("training data: 3 of 8 problems have no solution")
    values["attribute"] = {"reference": "teacher"}
    assert found(values, "warn") == []
    values["attribute"]["fallback"] = "gold"
    said = "training data: 5 of 8 problems have a solution, y where attribute.reference: teacher"
    assert f"{said} has no right answer" in found(values, "good")


def test_data_without_any_solution_cannot_be_the_gold_reference(values: dict[str, Any]) -> None:
    del values["data"]["columns"]
    (text,) = found(values, "bad")
    assert text.startswith("training data: no problem has a solution")


def test_prompts_beyond_the_context_are_counted(values: dict[str, Any], tmp_path: Path) -> None:
    # A digit is a token, and the template adds 11: prompts of 16, 111, 127, 128 and 311 tokens.
    lengths = (5, 100, 116, 117, 300)
    records = [{"question": "7" * n, "answer": "4", "solution": "4"} for n in lengths]
    values["data"]["path"] = write(tmp_path / "own.jsonl", records)
    values["generate"]["max_new_tokens"] = 20
    student, teacher, rows = found(values, "warn")
    assert student.startswith("training data: longest prompt for the student ")
    assert teacher.startswith("training data: longest prompt for the teacher ")
    for text in (student, teacher):
        assert "311 tokens, context 128: 2 of 5 do not fit and count as not gradable" in text
        assert (
            ", 2 of 5 leave less than 20 tokens for the answer; lower generate.max_new_tokens"
            in text
        )
    assert "the student's context of 128: 3 of 5 are longer and left out" in rows


def test_a_benchmarks_own_longest_answer_is_held_against_the_context(
    values: dict[str, Any],
) -> None:
    values["evaluate"]["benchmarks"]["own"]["max_new_tokens"] = 120
    student, teacher = found(values, "warn")
    for text in (student, teacher):
        assert text.startswith("benchmark own: longest prompt for the ")
        assert "context 128: 4 of 4 leave less than 120 tokens for the answer" in text
        assert "; lower evaluate.benchmarks.own.max_new_tokens, " in text


def test_too_few_test_problems_are_said_with_their_uncertainty(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_FEW", 5)
    # 1.96 * sqrt(0.5 * 0.5 / 4) is 49 points.
    (text,) = found(values, "warn")
    assert text.startswith("benchmark own: on 4 problems a share of right answers is uncertain by")
    assert "up to 49 points; take a hundred or more" in text
    monkeypatch.setattr(data, "_FEW", 4)
    assert found(values, "warn") == []


def test_rows_beyond_the_cutoff_are_counted(values: dict[str, Any], tmp_path: Path) -> None:
    records = [{"question": "7" * n, "answer": "4", "solution": "4"} for n in (5, 50, 60)]
    values["data"]["path"] = write(tmp_path / "own.jsonl", records)
    values["distill"]["cutoff"] = 40
    (text,) = found(values, "warn")
    assert text.endswith("distill.cutoff 40: 2 of 3 are longer and left out")


def test_test_questions_in_the_training_data_are_counted(values: dict[str, Any]) -> None:
    values["evaluate"]["benchmarks"]["seen"] = {
        "task": "table",
        "path": values["data"]["path"],
        "limit": 5,
    }
    assert found(values, "warn") == [
        "benchmark seen: 5 problems, of which 5 are in the training data word for word "
        "(train-1 as train-1)"
    ]
    none = "of which none is in the training data word for word or nearly"
    assert f"benchmark own: 4 problems, {none}" in found(values, "good")


def test_auto_dtype_is_a_warning_exactly_where_it_means_float32(values: dict[str, Any]) -> None:
    values["student"]["dtype"] = "auto"
    slow = resolve_dtype("auto", best_device()) is torch.float32
    warned = [text for text in found(values, "warn") if text.startswith("student.dtype: auto is")]
    assert len(warned) == slow


def test_memory_counts_sixteen_bytes_a_student_parameter(values: dict[str, Any]) -> None:
    recipe, student, teacher = _with_sizes(values, 2**20, 2**20)
    *_, training = check_memory(recipe, student, teacher, MEBI)
    # 16 MiB of masters, gradients and moments, and the float32 teacher's 4 MiB.
    assert training.text.startswith("memory, training: about 20 MiB, and 2 MiB for activations; ")


def test_an_anchor_beside_full_tuning_is_one_more_copy_of_the_student(
    values: dict[str, Any],
) -> None:
    values["distill"] = {"anchor": 0.5}
    recipe, student, teacher = _with_sizes(values, 2**20, 2**20)
    *_, training = check_memory(recipe, student, teacher, MEBI)
    # The 20 MiB that training takes without it, and the float32 student's 4.
    assert training.text.startswith("memory, training: about 24 MiB")


def test_the_cache_of_keys_and_values_is_counted(values: dict[str, Any]) -> None:
    recipe, student, teacher = _with_sizes(values, 2**20, 2**20)
    recipe = recipe_of({**values, "generate": {"max_new_tokens": 8, "token_budget": 2**14}})
    answering, *_ = check_memory(recipe, student, teacher, MEBI)
    # One layer, keys and values of 32 float32 numbers: 256 bytes a token, 4 MiB for 2^14 tokens.
    assert answering.text.startswith(
        "memory, student answering: about 4 MiB, and 4 MiB for a cache of 16384 tokens; "
    )


def test_models_beyond_the_memory_are_bad(values: dict[str, Any]) -> None:
    recipe, student, teacher = _with_sizes(values, 2**20, 10**14)
    answering, teaching, training = check_memory(recipe, student, teacher, MEBI)
    assert [answering.level, teaching.level, training.level] == ["good", "bad", "bad"]
    assert teaching.text.endswith("take smaller models")


def test_adapters_need_memory_for_themselves_and_two_bytes_a_frozen_weight(
    values: dict[str, Any],
) -> None:
    values["distill"] = {"tuning": "lora", "compute_dtype": "bfloat16"}
    recipe, student, teacher = _with_sizes(values, 2**20, 2**20)
    student.config.dtype = torch.bfloat16
    trained = Parameters(learning=2**20, frozen=2**20)
    *_, training = check_memory(recipe, student, teacher, trained)
    # 16 MiB for what learns, 2 for the frozen bfloat16 weights, the float32 teacher's 4.
    assert training.text.startswith("memory, training: about 22 MiB")


def test_a_tokenizer_with_more_tokens_than_embeddings_is_found(
    values: dict[str, Any], spoilt: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(spoilt)
    model.resize_token_embeddings(model.config.vocab_size - 5)
    model.save_pretrained(spoilt)
    values["student"]["model"] = str(spoilt)
    bad = found(values, "bad")
    assert any("its tokenizer has 5 tokens beyond the model's" in text for text in bad)


def test_a_cache_whose_layers_differ_is_counted_layer_by_layer() -> None:
    # 25 layers keep 4 heads of 256, every sixth 4 of 512; keys and values, 2 bytes each.
    config = Gemma4TextConfig()
    model = ModelFiles(
        role="student",
        section=ModelSection(model="gemma"),
        source=Source(name="gemma", fingerprint="gemma"),
        config=config,
        parameters=1,
        dtype=torch.bfloat16,
    )
    assert model.cache_bytes == 2 * 2 * 4 * (25 * 256 + 5 * 512)


def test_the_paths_of_both_models_are_told(values: dict[str, Any]) -> None:
    told = [text for text in found(values, "good") if "paths: " in text]
    line = "paths: sensitivity, ablation, generation, training: packed"
    assert told == [f"student: {line}", f"teacher: {line}"]


def test_names_of_no_layer_are_found_before_training(values: dict[str, Any]) -> None:
    values["distill"] = {"tuning": "lora", "lora": {"targets": ["q_prj"]}}
    (text,) = found(values, "bad")
    assert "no linear layer `q_prj`; did you mean `q_proj`?" in text


def test_a_tracker_that_is_not_installed_is_bad(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values["distill"]["tracking"] = ["tensorboard"]
    assert found(values, "bad") == []
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    assert found(values, "bad") == [
        'distill.tracking: tensorboard is not installed: pip install "leaf-distill[tensorboard]", '
        "or take it off the list"
    ]


def test_disk_counts_two_checkpoints_and_two_students(values: dict[str, Any]) -> None:
    recipe, student, _ = _with_sizes(values, 2**20, 1)
    # Two checkpoints of 12 bytes a parameter, two float32 students: 32 bytes.
    text = check_disk(recipe, student, MEBI).text
    assert text.startswith("disk: about 32 MiB for checkpoints and two")
    assert check_disk(recipe, replace(student, parameters=10**15), MEBI).level == "bad"


def test_a_runner_that_is_not_installed_is_bad(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    asked = {**values, "runner": "ray", "ray": {"workers": 3}}
    text = "runner: ray with 3 workers on this machine, each with its own model"
    assert text in found(asked, "good")
    monkeypatch.setitem(sys.modules, "ray", None)
    missing = 'runner: ray needs Ray, which is not installed: pip install "leaf-distill[ray]"'
    assert found(asked, "bad") == [missing]
    assert found(values, "bad") == []


@pytest.mark.parametrize(
    ("cores", "quota", "said"),
    [
        (1, None, "good: threads: 2 on 1 core"),
        (2, None, "good: threads: 2 on 2 cores"),
        (8, 2.5, "good: threads: 2 on 8 cores, of which this container may use 2.5 at a time"),
        (
            8,
            0.5,
            "warn: threads: 2 on 8 cores, of which this container may use 0.5 at a time: "
            "everything is slow",
        ),
    ],
)
def test_cores_are_counted_in_words(
    monkeypatch: pytest.MonkeyPatch, cores: int, quota: float | None, said: str
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr(machine.load, "best_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(threads, "cores", lambda: cores)
    monkeypatch.setattr(threads, "quota", lambda: quota)
    (finding,) = machine.check_threads()
    assert f"{finding.level}: {finding.text}" == said


def test_a_finding_as_json_has_its_level_and_text() -> None:
    finding = Finding("bad", "no such file")
    assert finding.as_json() == {"level": "bad", "text": "no such file"}
    assert finding.mark == "BAD "


def _with_sizes(values: dict[str, Any], student: int, teacher: int) -> tuple[Recipe, Any, Any]:
    """Return the recipe and both models as if they had that many parameters."""
    looked = [
        replace(look(ModelSection(**values[role]), role), parameters=size)
        for role, size in (("student", student), ("teacher", teacher))
    ]
    return recipe_of(values), looked[0], looked[1]


def test_a_device_map_that_does_not_fit_the_model_is_bad(values: dict[str, Any]) -> None:
    values["teacher"] = {**values["teacher"], "device_map": {"model.embed_tokens": "cpu"}}
    (bad,) = found(values, "bad")
    assert "device_map leaves out model.layers.0." in bad


def test_what_a_detector_cannot_hide_from_a_model_is_bad(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(
        packs=True, shares=False, pads=True, answers_padded=True, learns_packed=True,
        why={"shares": "its window slides"},
    )  # fmt: skip
    monkeypatch.setattr("leaf.doctor.paths.verdict", lambda *_: paths)
    values["attribute"] = {**values.get("attribute", {}), "detector": "ablation", "controls": []}
    assert found(values, "bad") == []
    values["attribute"] |= {"ablation": {"hide": True, "student_alone": True}}
    (bad,) = found(values, "bad")
    assert "pieces cannot be hidden from it (its window slides); leave out" in bad
    assert bad.startswith("student: ")


def test_a_device_that_is_not_here_is_told_once(values: dict[str, Any]) -> None:
    values["teacher"] = {**values["teacher"], "device_map": {"": "mps"}}
    (bad,) = found(values, "bad")
    assert bad.startswith("teacher: ")
    assert bad.endswith("device_map puts the whole model on mps, but there are: cpu, disk")
