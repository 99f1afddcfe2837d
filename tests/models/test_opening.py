"""Strangers' models: hostile, damaged or foreign files are refused in one line before any work."""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from leaf.distill.lora import add_adapters
from leaf.errors import LeafError, ModelError, StoreError
from leaf.generate import find_for
from leaf.models import opening
from leaf.models.adapters import save_adapter
from leaf.models.files import cache_folder, find
from leaf.models.load import load, load_tokenizer
from leaf.models.prompt_format import prompt_format_of
from leaf.recipe import GenerateSection, LoraSection, ModelSection

pytestmark = pytest.mark.usefixtures("cache")


def section(model: Path, **values: Any) -> ModelSection:
    return ModelSection(model=str(model), **values)


def refused(model: Path, **values: Any) -> str:
    """Return the one line that a model is refused with, within the time that a user waits."""
    begun = time.monotonic()
    with pytest.raises(LeafError) as caught:
        own = section(model, **values)
        prompt_format_of(load_tokenizer(find(own)), own)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(model))
    assert time.monotonic() - begun < 60  # 10 on a machine that does nothing else
    return message


def change(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# Configurations and weights.


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"max_position_embeddings": -5},
            "`max_position_embeddings` must be at least 1, but is -5",
        ),
        ({"num_attention_heads": 0}, "`num_attention_heads` must be at least 1, but is 0"),
        ({"vocab_size": -1}, "`vocab_size` must be at least 1, but is -1"),
        ({"num_hidden_layers": 10**9}, "`num_hidden_layers` is 1000000000, but the files hold"),
        ({"hidden_size": 10**9}, "lm_head.weight has the shape [314, 32] in "),
        ({"num_attention_heads": "many"}, "config.json cannot be used"),
        ({"num_hidden_layers": 0}, "`num_hidden_layers` must be at least 1, but is 0"),
        ({"rope_parameters": {"rope_type": "no_such"}}, "'no_such' is not known"),
        ({"rope_parameters": "yes"}, "Field 'rope_parameters' expected"),
        ({"attn_implementation": "who/kernel"}, "`attn_implementation` is 'who/kernel', which"),
        ({"text_config": {"_experts_implementation": "a/b"}}, "names code of its own, and that is"),
        ({"num_hidden_layers": 2}, "lacks 9 of the model's weights"),
    ],
)
def test_numbers_that_no_model_has_are_refused(
    folder: Path, values: Mapping[str, Any], says: str
) -> None:
    change(folder / "config.json", values)
    assert says in refused(folder)


@pytest.mark.parametrize("ends", ["end", [1, "end"], {"a": 1}, True, 1.5])
def test_an_end_of_texts_that_is_no_token_is_refused_before_training(
    folder: Path, ends: Any
) -> None:
    """It once ended a run at its export."""
    change(folder / "generation_config.json", {"eos_token_id": ends})
    assert "`eos_token_id` must be a token's number or a list of them" in refused(folder)


def test_layers_that_a_configuration_cuts_off_are_refused_and_other_parts_are_not(
    folder: Path,
) -> None:
    """Such a model was once loaded without its last layers, and without a word."""
    weights = load_file(folder / "model.safetensors")
    weights["visual.proj.weight"] = torch.zeros(2)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert find(section(folder))
    layer = {name: weight for name, weight in weights.items() if ".layers.0." in name}
    more = {name.replace(".0.", ".1."): weight.clone() for name, weight in layer.items()}
    save_file(weights | more, folder / "model.safetensors", {"format": "pt"})
    assert f"config.json has no place for {len(more)} of the weights in {folder}" in refused(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_before_any_work(
    folder: Path, number: float
) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][3, :2] = number
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert f"2 of the {weights['lm_head.weight'].numel()} numbers of lm_head.weight" in refused(
        folder
    )


def test_an_adapter_of_no_numbers_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    save_file(
        {"a.lora_A.weight": torch.tensor([torch.nan])},
        tmp_path / "adapter" / "adapter_model.safetensors",
    )
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    assert "1 of the 1 numbers of a.lora_A.weight" in refused(
        folder, adapter=str(tmp_path / "adapter")
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"target_modules": "(([a-z_.0-9]+)*)*!"}, ", its adapter: more than"),
        ({"r": 10**8}, "memory"),
        ({"r": -1}, "should be a positive integer"),
    ],
)
def test_hostile_settings_of_an_adapter_are_refused_in_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, says: str
) -> None:
    monkeypatch.setattr(opening, "SECONDS", 3)
    (adapter := tmp_path / "adapter").mkdir()
    model = load(section(folder)).model
    add_adapters(model, LoraSection(rank=2), seed=0)
    save_adapter(model, adapter, base="it")
    assert find(section(folder, adapter=str(adapter)))
    change(adapter / "adapter_config.json", settings)
    with pytest.raises(LeafError) as caught:
        find(section(folder, adapter=str(adapter)))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "method", ["fp8", "awq", "gptq", "compressed-tensors", "bitsandbytes", "mxfp4"]
)
def test_quantised_weights_are_refused_but_by_who_answers_with_them(
    folder: Path, method: str
) -> None:
    change(folder / "config.json", {"quantization_config": {"quant_method": method}})
    message = refused(folder)
    assert f"its weights are quantised ({method}), and LeaF scores and trains plain ones" in message
    assert "take the model that it was made of" in message
    assert find_for(section(folder), GenerateSection(engine="vllm")).folder == folder
    with pytest.raises(ModelError, match="quantised"):
        find_for(section(folder), GenerateSection(engine="hf"))


def test_a_quantised_text_part_is_quantised(folder: Path) -> None:
    change(
        folder / "config.json", {"text_config": {"quantization_config": {"quant_method": "fp8"}}}
    )
    assert "its weights are quantised (fp8)" in refused(folder)


def test_quantised_weights_that_config_json_keeps_silent_about_are_refused(folder: Path) -> None:
    """Such a folder was once written: its logits were off by 8.7."""
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"].to(torch.float8_e4m3fn)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "lm_head.weight in model.safetensors is quantised (float8_e4m3fn)" in refused(folder)


# Templates.


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ 1/0 }}", "its chat template refuses the messages: division by zero"),
        (
            "{% for a in range(10**9) %}{{ a }}{% endfor %}",
            "its chat template refuses the messages",
        ),
        ("{{ 'a' * 10**11 }}", "its chat template: more than 2048 MiB of memory"),
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "its chat template: more than 1 s of processor time",
        ),
        (
            "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
            "its chat template refuses the messages",
        ),
        ("{{ messages[0].content.x.y.z }}", "its chat template refuses the messages"),
        ("{{ 10 ** (10**9) }}", "its chat template: more than 1 s of processor time"),
        ("{{ messages[0].content }}{{ 'a' * 10**8 }}", "its chat template writes 100,000,0"),
        (
            "{% for m in messages %}{{ m.content }}{{ 'a b ' * 10**6 }}{% endfor %}",
            "its chat template writes 4,000,0",
        ),
        ("{{ own_function(messages) }}", "'own_function' is undefined"),
        ("{{ raise_exception('not\nfor you') }}", "refuses the messages: not for you"),
        ("{% include '/etc/passwd' %}", "its chat template refuses the messages"),
        ("{% if %}", "its chat template refuses the messages"),
        ("{{ messages }}{{ messages.__class__.__mro__ }}", "its chat template"),
    ],
)
def test_hostile_templates_are_refused_in_one_line(
    folder: Path, template: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SECONDS", 1.0)
    (folder / "chat_template.jinja").write_text(template)
    assert says in refused(folder)


@pytest.mark.parametrize("template", [5, [], {"a": 1}, [1], True])
def test_templates_that_are_no_texts_are_refused_in_one_line(folder: Path, template: Any) -> None:
    (folder / "chat_template.jinja").unlink()
    change(folder / "tokenizer_config.json", {"chat_template": template})
    if template in ([], {}):
        assert find(section(folder)).folder == folder  # none
    else:
        refused(folder)


# Tokenizers.


def _tokenizer(folder: Path, do: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    do(values)
    path.write_text(json.dumps(values))


def _bad_merges(values: dict[str, Any]) -> None:
    values["model"]["merges"] = [["no", "such"]]


def _negative_id(values: dict[str, Any]) -> None:
    values["added_tokens"][0]["id"] = -1


def _exploding(values: dict[str, Any]) -> None:
    expression = {"Regex": "(a+)+(a+)+(a+)+(a+)+b"}
    split = {"type": "Split", "pattern": expression, "behavior": "Isolated", "invert": False}
    values["pre_tokenizer"] = split


def _no_model(values: dict[str, Any]) -> None:
    del values["model"]


@pytest.mark.parametrize("spoil", [_bad_merges, _negative_id, _exploding, _no_model])
def test_hostile_tokenizers_are_refused_in_one_line(
    folder: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    _tokenizer(folder, spoil)
    assert "tokenizer" in refused(folder)


@pytest.mark.parametrize(
    ("name", "size"),
    [("tokenizer.json", 2**30), ("generation_config.json", 2**28), ("chat_template.jinja", 2**21)],
)
def test_a_file_larger_than_any_of_its_kind_is_not_read(folder: Path, name: str, size: int) -> None:
    os.truncate(folder / name, size)
    begun = time.process_time()
    assert f"{name} has {size:,} bytes, and so is none; fetch the model again" in refused(folder)
    assert time.process_time() - begun < 0.5


# Files that are none.


def test_pipes_and_devices_among_a_models_files_are_named(folder: Path) -> None:
    os.mkfifo(folder / "merges.txt")
    assert f"{folder / 'merges.txt'} is no file but a pipe or a device" in refused(folder)
    (folder / "merges.txt").unlink()
    (folder / "vocab.json").symlink_to("/dev/zero")
    assert f"{folder / 'vocab.json'} is no file but a pipe or a device" in refused(folder)
    (folder / "vocab.json").unlink()
    (folder / "vocab.json").symlink_to("nowhere")
    assert f"{folder / 'vocab.json'} cannot be read: No such file" in refused(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "added_tokens.json"])
def test_a_folder_in_the_place_of_a_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    assert f"{folder / name} is a folder in the place of a file; fetch" in refused(folder)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ([], "it is no list of weights and their files"),
        ({"weight_map": ["a"]}, "it is no list of weights and their files"),
        ({"weight_map": {"a": 5}}, "it is no list of weights and their files"),
        ({"weight_map": {"a": "b.safetensors"}}, "it names 'b.safetensors', which is no file"),
        ({"weight_map": {"a": "../../etc/passwd"}}, "it names '../../etc/passwd', which is no"),
        ({"weight_map": {"a": "/dev/zero"}}, "it names '/dev/zero', which is no file there"),
    ],
)
def test_an_index_that_lies_is_refused_by_its_name(folder: Path, index: Any, says: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert f"model.safetensors.index.json cannot be used: {says}" in refused(folder)


def test_links_in_a_circle_and_a_name_longer_than_any_are_one_line(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("model.safetensors")
    assert "cannot be read: Too many levels of symbolic links" in refused(folder)
    (folder.parent / "round").symlink_to("round")
    assert "no such model folder or GGUF file" in refused(folder.parent / "round")
    assert "no such model folder or GGUF file" in refused(folder.parent / ("x" * 300))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({}, "is empty"),
        ({"notes.md": ""}, "does not"),
        ({"pytorch_model.bin": ""}, "this one holds pickled weights, which are not loaded"),
        ({"adapter_config.json": ""}, "this one is an adapter; name its base as the model"),
        (
            {"a.gguf": "", "b.gguf": ""},
            "this one holds GGUF files; name one of them: a.gguf, b.gguf",
        ),
        ({"model.onnx": ""}, "this one is exported to ONNX"),
        ({"recipe.yaml": ""}, "this one is a run folder of leaf; its students are in "),
        ({"model.safetensors": ""}, "this one has weights and no config.json"),
        ({"inner/config.json": ""}, "a folder below it does: "),
        ({"config.json": "{}"}, "no *.safetensors in "),
        ({"config.json": "PK\x03", "m.safetensors": ""}, "it is no JSON (Expecting value: line 1"),
        ({"config.json": "[" * 10**5, "m.safetensors": ""}, "it is no JSON (maximum recursion"),
        (
            {"config.json": " " * 2**25, "m.safetensors": ""},
            "config.json has 33,554,432 bytes, and so is none; fetch the model again",
        ),
        (
            {"config.json": '{"model_type": "own", "auto_map": {}}', "m.safetensors": ""},
            "no model type `own`; it brings code of its own, which is never run",
        ),
        (
            {
                "config.json": "{}",
                "model.safetensors": "version https://git-lfs.github.com/spec/v1",
            },
            "stands for a file that is not here: run `git lfs pull`",
        ),
    ],
)
def test_a_folder_that_is_no_model_is_told_by_what_it_is(
    tmp_path: Path, made: Mapping[str, str], says: str
) -> None:
    model = tmp_path / "given"
    model.mkdir()
    for name, text in made.items():
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_text(text)
    assert says in refused(model)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("model", b"GGUF and more", "is a GGUF file; give it a name that ends in .gguf"),
        ("model.safetensors", b"", "is one file of a model; name its folder"),
        ("model.zip", b"PK", "is a file, and no model; a model is a hub id, a folder"),
        ("a.gguf", b"version https://git-lfs.github.com/spec/v1", "run `git lfs pull`"),
        ("a-00001-of-00002.gguf", b"GGUF", "is one part of several; join them"),
        ("a.gguf", b"", "is not a GGUF file: it begins with b''"),
    ],
)
def test_a_file_that_is_no_model_is_told_by_what_it_is(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert says in refused(tmp_path / name)


def test_a_pipe_in_a_models_place_is_refused(tmp_path: Path) -> None:
    for name in ("pipe", "pipe.gguf"):
        os.mkfifo(tmp_path / name)
        assert "a pipe or a device" in refused(tmp_path / name)


@pytest.mark.parametrize("kind", ["t5", "vit"])
def test_a_model_of_another_kind_is_refused(folder: Path, kind: str) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    assert "cannot be loaded from " in refused(folder)


# What is kept.


def test_a_good_model_is_opened_once_by_its_content(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(opening, "in_child", lambda work, **options: opened.append(options["what"]))
    find(section(folder))
    assert len(opened) == 2
    find(section(folder))
    find(section(Path(shutil.copytree(folder, tmp_path / "copy"))))
    assert len(opened) == 2
    change(folder / "config.json", {"max_position_embeddings": 64})
    find(section(folder))
    assert len(opened) == 4


def test_what_the_package_brings_is_not_opened_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "in_child", None)
    assert find(ModelSection(model="package:playground/models/student"))


def test_without_a_place_to_keep_things_models_are_found_all_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "file" / "cache"))
    assert find(section(folder)).folder == folder
    assert find(ModelSection(model="package:playground/models/student"))
    monkeypatch.delenv("LEAF_CACHE")

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert find(section(folder)).folder == folder
    with pytest.raises(StoreError, match=r"no home folder here, .* set LEAF_CACHE to a folder"):
        cache_folder()


def test_weights_larger_than_the_limit_of_memory_are_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are mapped whole, which once counted against the limit for templates."""
    own = opening.in_child
    limits: list[int] = []

    def in_child(work: Any, **options: Any) -> None:
        limits.append(options["memory"])
        own(work, **options)

    monkeypatch.setattr(opening, "in_child", in_child)
    find(section(folder))
    size = (folder / "model.safetensors").stat().st_size
    assert limits[1] - opening.MEMORY == 3 * size
