"""The student becomes a plain folder with a card, loaded by transformers alone."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from leaf.distill.export import Card, export, model_card, shown_name
from leaf.distill.lora import add_adapters
from leaf.errors import ModelError
from leaf.models.files import find
from leaf.models.load import dtype_of, load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DistillSection, ModelSection

IDS = torch.tensor([[5, 9, 22, 7, 31, 40, 3, 18, 2]])

CARD = Card(
    student="hub/student",
    teacher="hub/teacher",
    task="gsm8k",
    originals=12,
    counterfactuals=5,
    steps=7,
)


@pytest.fixture
def student(cue_pair):
    section = ModelSection(model=str(cue_pair / "student"))
    return load(section, find(section), dtype=torch.float32)


def save(student, folder, **changes):
    section = DistillSection(**changes)
    export(
        folder,
        student.model,
        student.tokenizer,
        own=dtype_of(student.source),
        section=section,
        card=CARD,
        end_of_turn=PromptFormat(student.tokenizer, name="student").end_of_turn[-1],
    )


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def metadata(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_folder_loads_with_the_same_logits_tokens_and_template(student, tmp_path):
    expected = logits(student.model)
    save(student, tmp_path / "model", save_dtype="float32")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype="auto").eval()
    assert logits(found).equal(expected)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer.get_vocab() == student.tokenizer.get_vocab()
    assert tokenizer.chat_template == student.tokenizer.chat_template


def test_adapters_are_merged_so_that_peft_is_not_needed(student, tmp_path):
    section = DistillSection(tuning="lora", lora={"rank": 2}, save_dtype="float32")
    add_adapters(student.model, section.lora, seed=0)
    for name, parameter in student.model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.05)
    expected = logits(student.model)
    save(student, tmp_path / "model", **section.model_dump(by_alias=True))
    program = """
import sys
sys.modules["peft"] = None  # an import of it fails
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
with torch.no_grad():
    torch.save(model(input_ids=torch.tensor([[5, 9, 22, 7, 31, 40, 3, 18, 2]])).logits, sys.argv[2])
"""
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model"), str(tmp_path / "logits.pt")],
        check=True,
        capture_output=True,
    )
    found = torch.load(tmp_path / "logits.pt")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("save_dtype", "dtype"),
    [("auto", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_weights_have_the_dtype_that_is_asked_for(student, tmp_path, save_dtype, dtype):
    save(student, tmp_path / "model", save_dtype=save_dtype)
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {dtype}
    saved = json.loads((tmp_path / "model" / "config.json").read_text())
    assert saved["dtype"] == str(dtype).removeprefix("torch.")


def test_the_generation_config_is_the_students(cue_pair, tmp_path):
    source = tmp_path / "source"
    section = ModelSection(model=str(cue_pair / "student"))
    model = load(section, find(section), dtype=torch.float32)
    model.model.save_pretrained(source)
    model.tokenizer.save_pretrained(source)
    # Contradicts itself, as some that are published do.
    text = '{"do_sample": false, "temperature": 0.6, "eos_token_id": 1}'
    (source / "generation_config.json").write_text(text)
    section = ModelSection(model=str(source))
    student = load(section, find(section), dtype=torch.float32)
    save(student, tmp_path / "model")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert found.generation_config.temperature == 0.6
    assert found.generation_config.eos_token_id == 1


def test_plain_generate_stops_where_the_template_ends_a_turn(student, cue_pair, tmp_path):
    """The student says 4 and <|im_end|>; a base model's files end a text with another token."""
    student.model.generation_config.eos_token_id = 0
    save(student, tmp_path / "model")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert found.generation_config.eos_token_id == [0, 1]
    line = (cue_pair / "train.jsonl").read_text().splitlines()[0]
    messages = [{"role": "user", "content": json.loads(line)["question"]}]
    prompt = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    said = found.generate(**prompt, do_sample=False, max_new_tokens=20)
    assert tokenizer.decode(said[0, prompt["input_ids"].shape[1] :]) == "4<|im_end|>"


def test_weights_that_are_no_part_of_the_model_are_not_saved_without_a_word(student, tmp_path):
    """As FP8 weights were once, with scales beside them that nobody reads."""
    own = student.model.save_pretrained

    def save_more(folder, **options):
        own(folder, **options)
        file = folder / "model.safetensors"
        weights = load_file(file)
        save_file({**weights, "lm_head.weight_scale_inv": torch.ones(1)}, file, {"format": "pt"})

    student.model.save_pretrained = save_more
    with pytest.raises(ModelError, match=r"1 of the weights .* such as lm_head.weight_scale_inv"):
        save(student, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_nothing_but_safetensors_and_text_is_in_the_folder(student, tmp_path):
    save(student, tmp_path / "model")
    kinds = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert kinds <= {".safetensors", ".json", ".jinja", ".md"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_was_there_is_replaced_whole(student, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old.safetensors").touch()
    (tmp_path / ".model.1.tmp").mkdir()  # left by a kill
    save(student, tmp_path / "model")
    assert not (tmp_path / "model" / "old.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_hub_reads_base_model_and_kind_from_the_card(student, tmp_path):
    save(student, tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.base_model == "hub/student"
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-generation"
    assert card.data.license is None


def test_the_card_says_where_the_student_comes_from_and_how(student):
    text = model_card(CARD, DistillSection(**{"lambda": 0.3}))
    assert "distilled from `hub/teacher`" in text
    assert "Data: `gsm8k`, 12 original and 5 changed questions." in text
    assert "7 optimiser steps" in text
    assert "Learning to Focus: Causal Attention Distillation" in text
    settings = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert settings["lambda"] == 0.3
    assert settings["loss"] == "kl"
    assert f"torch {torch.__version__}" in text


@pytest.mark.parametrize("changed", [0, 5])
def test_the_card_of_a_student_without_a_teacher_names_none(changed: int) -> None:
    card = replace(CARD, teacher=CARD.student, counterfactuals=changed)
    text = model_card(card, DistillSection(cross_entropy=1.0)).split("```yaml")[0]
    assert "distilled from" not in text
    assert "No teacher." in text
    assert ("taught to ignore distractors" in text) == bool(changed)
    assert ("a baseline of LeaF" in text) != bool(changed)


def test_the_card_says_nothing_about_this_machine():
    card = Card(
        student="/home/ann/models/small",
        teacher="~/secret/large.gguf",
        task="table",
        originals=1,
        counterfactuals=0,
        steps=1,
    )
    served = {"url": "http://inner.example:8000/v1", "key_variable": "TOKEN"}
    text = model_card(card, DistillSection(served=served, tracking=["wandb"]))
    for private in ("ann", "secret", "inner", "TOKEN", "wandb"):
        assert private not in text
    assert "base_model" not in metadata(text)
    assert "Student: `small`" in text
    assert "distilled from `large.gguf`" in text


def test_names_cannot_break_out_of_the_card():
    name = "a: b\n---\n# `x` {{ y }}"
    card = Card(student=name, teacher=name, task=name, originals=1, counterfactuals=0, steps=1)
    text = model_card(card, DistillSection())
    assert "base_model" not in metadata(text)
    assert "Student: `a: b --- # 'x' {{ y }}`" in text
    assert "\n# `x`" not in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"),
        ("gpt2", "gpt2"),
        ("./models/a", "a"),
        ("/models/a/", "a"),
        ("~/a.gguf", "a.gguf"),
        ("package:playground/models/student", "student"),
        ("some/long/path", "path"),
    ],
)
def test_a_hub_name_is_shown_whole_and_a_path_by_its_last_part(name, shown):
    assert shown_name(name) == shown


def test_a_relative_path_that_exists_is_no_hub_name(tmp_path, monkeypatch):
    (tmp_path / "ann" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert shown_name("ann/small") == "small"


def test_a_name_cannot_steer_who_reads_the_card():
    hostile = "evil\x1b[2J\x07\u202e`name"
    shown = model_card(
        replace(CARD, student=hostile, teacher=hostile, task=hostile), DistillSection()
    )
    assert "evil" in shown
    assert not set(shown) & set("\x1b\x07\u202e")
