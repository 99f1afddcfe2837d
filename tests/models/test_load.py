"""Models are found, named by their content and refused in one line; the head is the model's own."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from leaf.errors import ModelError
from leaf.models import gguf
from leaf.models.files import Source, find
from leaf.models.load import (
    context_of,
    load,
    load_config,
    load_tokenizer,
    loaded,
    release_memory,
    resolve_dtype,
    size_text,
)
from leaf.models.output_head import backbone, output_head
from leaf.recipe import ModelSection
from tests.marks import SMOL

pytestmark = pytest.mark.usefixtures("cache")


def section(model: Path | str, **values: Any) -> ModelSection:
    return ModelSection(model=str(model), **values)


def error_of(work: Any, *args: Any) -> str:
    with pytest.raises(ModelError) as caught:
        work(*args)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


# What is not a model.


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert error_of(find, section(path)) == f"{path}: no such model folder or GGUF file"


def test_a_missing_gguf_file_is_one_clear_line() -> None:
    assert error_of(find, section("models/own.gguf")) == "models/own.gguf: no such GGUF file"


def test_a_folder_without_config_is_one_clear_line(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert error_of(find, section(folder)).startswith(f"{folder}: a model folder must hold config")


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    message = error_of(find, section(folder))
    assert message.startswith(f"{folder}: no *.safetensors in {folder}; pickled weights are not")


def test_a_hub_id_without_the_hub_is_one_clear_line(tmp_path: Path) -> None:
    # In a process of its own: the hub library reads its settings when it is imported.
    program = (
        "import sys; from leaf.models.files import find; from leaf.recipe import ModelSection\n"
        "from leaf.errors import ModelError\n"
        "for name in sys.argv[1:]:\n"
        "    try: find(ModelSection(model=name))\n"
        "    except ModelError as error: print(error)"
    )
    names = ["someone/no-such-model", "no-such-model"]
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{name}: not a local folder or GGUF file, and HF_HUB_OFFLINE is")


@pytest.mark.parametrize("name", ["nope.xlsx", "mine/nope.safetensors", "nope.JSON", "nope.bin"])
def test_a_name_with_a_file_s_ending_is_a_file_that_is_not_there(name: str) -> None:
    assert error_of(find, section(name)).startswith(f"{name}: no such file; a model is a hub id, ")


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-0.5B", "org/phi-1.5", "gpt-3.5"])
def test_a_hub_id_with_dots_is_still_looked_for_on_the_hub(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set and it is not in the cache" in error_of(find, section(name))


def test_a_name_that_cannot_be_a_hub_id_is_one_clear_line() -> None:
    assert error_of(find, section("two words")).startswith("two words: the hub refused it: ")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_type": "no-such-architecture"}'])
def test_a_config_that_cannot_be_used_is_one_clear_line(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert error_of(find, section(folder)).startswith(f"{folder}: config.json cannot be used: ")
    source = Source(name="it", files=folder, fingerprint="")
    assert error_of(load_config, source).startswith("it: config.json cannot be used: ")
    assert error_of(load, section(folder), source).startswith("it: cannot be loaded from ")


def test_code_that_comes_with_a_model_is_never_run(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_name('ran').touch()"
    )
    source = Source(name="it", files=folder, fingerprint="")
    error_of(find, section(folder))
    error_of(load, section(folder), source)
    error_of(load_config, source)
    assert not (folder / "ran").exists()


def test_damaged_weights_are_one_clear_line(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert error_of(load, section(folder)).startswith(f"{folder}: cannot be loaded from {folder}: ")


def test_a_missing_weight_is_refused_and_not_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    message = error_of(load, section(folder))
    assert "lacks 1 of the model's weights, such as lm_head.weight" in message


def test_a_folder_without_tokenizer_is_one_clear_line(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert error_of(find, section(folder)).startswith(f"{folder}: no tokenizer in {folder}: ")
    source = Source(name="it", files=folder, fingerprint="")
    assert error_of(load_tokenizer, source).startswith(f"it: no tokenizer in {folder}: ")


def test_a_file_that_is_no_gguf_is_refused_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(b"GGUF and then nothing")
    assert error_of(find, section(path)).startswith(f"{path}: cannot be converted, its weights: ")
    assert not (cache / "converted").exists()
    path.write_bytes(b"<html>not found</html>")
    assert error_of(find, section(path)) == (
        f"{path}: is not a GGUF file: it begins with b'<htm'; fetch it again"
    )


# What names a model's content.


def test_a_fingerprint_names_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    before = find(section(folder)).fingerprint
    elsewhere = shutil.copytree(folder, tmp_path / "another name")
    assert find(section(elsewhere)).fingerprint == before
    assert find(section(os.path.relpath(folder))).fingerprint == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "chat_template.jinja"])
def test_a_fingerprint_changes_with_every_model_file(folder: Path, name: str) -> None:
    before = find(section(folder)).fingerprint
    data = bytearray((folder / name).read_bytes())
    # A model all the same: another last weight, another space.
    data[-2:] = bytes([data[-2] ^ 1, data[-1]]) if "safe" in name else data[-2:] + b" "
    (folder / name).write_bytes(data)
    assert find(section(folder)).fingerprint != before


def test_a_fingerprint_does_not_change_with_other_files(folder: Path) -> None:
    before = find(section(folder)).fingerprint
    (folder / "README.md").write_text("notes")
    assert find(section(folder)).fingerprint == before


def test_a_fingerprint_is_remembered_by_size_and_time(folder: Path, cache: Path) -> None:
    before = find(section(folder)).fingerprint
    known = json.loads((cache / "fingerprints.json").read_text())
    weights = folder / "model.safetensors"
    assert known[str(weights.resolve())][:2] == [
        weights.stat().st_size,
        weights.stat().st_mtime_ns,
    ]
    # Other bytes of the same size and time are not read again: that is what remembering means.
    stamp = weights.stat()
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert find(section(folder)).fingerprint == before
    (cache / "fingerprints.json").unlink()
    assert find(section(folder)).fingerprint != before


def test_a_damaged_memory_of_fingerprints_is_made_anew(folder: Path, cache: Path) -> None:
    before = find(section(folder)).fingerprint
    (cache / "fingerprints.json").write_text('{"cut')
    assert find(section(folder)).fingerprint == before
    assert json.loads((cache / "fingerprints.json").read_text())


# Loading.


def test_a_loaded_model_is_frozen_and_in_evaluation_mode(cue_pair: Path) -> None:
    loaded = load(section(cue_pair / "student", dtype="float32"))
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert loaded.context == 128


@pytest.mark.parametrize(
    ("parameters", "text"),
    [(134_208, "134,208"), (134_515_008, "135 M"), (999_600_000, "1 B"), (1_777_088_000, "1.78 B")],
)
def test_a_number_of_parameters_is_told_as_papers_do(parameters: int, text: str) -> None:
    assert size_text(parameters) == text


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_the_system_has_the_memory_of_deleted_weights_again() -> None:
    """A second training in one process is not refused for what the first one held."""
    script = """
import psutil, torch
from leaf.models.load import release_memory
held = psutil.Process().memory_info
blocks = [torch.ones(2**16) for _ in range(2000)]  # 500 MiB in blocks of 256 KiB
last = torch.ones(2**16)
before = held().rss
del blocks
release_memory()
print((before - held().rss) / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
    assert float(done.stdout) > 400


def test_memory_is_given_back_when_the_model_before_is_gone(
    cue_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Any]] = []
    living: list[list[bool]] = []

    def release() -> None:
        living.append([one() is not None for one in made])

    def use() -> None:
        student = section(cue_pair / "student")
        with loaded(student, find(student)) as found:
            made.append(weakref.ref(found.model))

    monkeypatch.setattr("leaf.models.load.release_memory", release)
    use()
    use()
    assert living == [[], [False]]


def test_auto_dtype_is_bfloat16_only_where_the_processor_multiplies_it() -> None:
    cpu = torch.device("cpu")
    path = Path("/proc/cpuinfo")
    words = path.read_text().split() if path.exists() else []
    fast = any(flag in words for flag in ("avx512_bf16", "amx_bf16", "bf16"))
    assert resolve_dtype("auto", cpu) is (torch.bfloat16 if fast else torch.float32)
    assert resolve_dtype("float16", cpu) is torch.float16


# The output head.

SMALL = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
HEADS: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Qwen2": {"tie_word_embeddings": True},
    "Gemma2": {"final_logit_softcapping": 0.5, "head_dim": 4},
    "Granite": {"logits_scaling": 8.0},
    "Cohere": {"logit_scale": 0.25},
    "Phi": {},  # its head has a bias
}


@pytest.mark.parametrize("family", HEADS)
def test_the_head_gives_the_models_own_logits(family: str) -> None:
    model = _small(family)
    head = output_head(model)
    ids = torch.tensor([[5, 9, 2, 60, 33]])
    with torch.no_grad():
        hidden = backbone(model)(input_ids=ids).last_hidden_state[0]
        ours = head.finish(hidden @ head.weight.T)
        own = model(input_ids=ids).logits[0]
    assert torch.allclose(ours, own, atol=1e-5)
    # The claim would be empty if scale, bias and softcap did nothing.
    if family in {"Gemma2", "Granite", "Cohere", "Phi"}:
        assert not torch.allclose(hidden @ head.weight.T, own, atol=1e-2)


def test_a_head_cut_to_the_common_vocabulary_gives_the_first_logits() -> None:
    model = _small("Phi")
    head = output_head(model)
    hidden = torch.randn(3, 16)
    whole = head.finish(hidden @ head.weight.T)
    part = head.first(7)
    assert torch.allclose(part.finish(hidden @ part.weight.T), whole[:, :7], atol=1e-5)


def test_logits_that_the_head_cannot_explain_are_refused() -> None:
    model = _small("Llama")
    own = model.lm_head.forward
    model.lm_head.forward = lambda hidden: own(hidden).square()
    assert error_of(output_head, model).startswith("LlamaForCausalLM: its logits are not head(")


# A real file.


def test_two_processes_that_begin_with_one_gguf_file_convert_it_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second waits and takes what the first has made; what a killed one left is gone."""
    target, left = cache / "converted/tiny", cache / "converted/.tiny.1.tmp"
    left.mkdir(parents=True)
    (file := tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    second = threading.Thread(target=gguf.convert, args=(file, target), kwargs={"weights": True})
    made = []

    def convert(*args: object, **settings: object) -> None:
        made.append(next(target.parent.glob(".tiny.*.tmp")))
        (made[0] / "config.json").touch()
        second.start()
        time.sleep(0.3)
        assert not target.exists()

    monkeypatch.setattr(gguf, "in_child", convert)
    gguf.convert(file, target, weights=True)
    second.join()
    assert len(made) == 1 and made[0] != left
    assert [one.name for one in target.parent.iterdir()] == ["tiny"]
    assert [one.name for one in target.iterdir()] == ["config.json"]
    said = capsys.readouterr().err
    assert said.count("converting") == said.count("waiting for another leaf process") == 1


@pytest.mark.long
@pytest.mark.real
@pytest.mark.skipif(not SMOL.is_file(), reason=f"{SMOL.name}: run tools/offline_models.py first")
def test_a_gguf_file_is_converted_once_to_a_folder_that_loads(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = find(section(SMOL))
    assert capsys.readouterr().err.startswith(f"converting {SMOL} once to {source.folder}")
    assert source.folder.parent == cache / "converted"
    assert find(section(SMOL)) == source
    assert capsys.readouterr().err == ""
    # A folder says the same as the file; its name comes from the content.
    copy = Source(name="copy", files=source.folder, fingerprint="")
    loaded = load(section(source.folder, dtype="bfloat16"), copy)
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) == 134_515_008
    ids = torch.tensor([loaded.tokenizer("The capital of France is")["input_ids"]])
    with torch.no_grad():
        next_token = loaded.model(input_ids=ids).logits[0, -1].argmax()
    assert loaded.tokenizer.decode([int(next_token)]) == " Paris"
    output_head(loaded.model)
    release_memory()


def _small(family: str) -> Any:
    config = getattr(transformers, f"{family}Config")(**SMALL, **HEADS[family])
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    if family == "Phi":
        torch.nn.init.normal_(model.lm_head.bias)
    return model


# The context.


@pytest.mark.parametrize(
    ("kind", "settings", "context"),
    [
        ("gemma3", {"text_config": {"max_position_embeddings": 4096}}, 4096),
        ("llama4", {"text_config": {"max_position_embeddings": 512}}, 512),
        ("mpt", {"max_seq_len": 1024}, 1024),
        ("gpt2", {"n_positions": 256}, 256),
        ("mamba", {}, 2**31),
    ],
)
def test_the_context_is_the_models_real_limit(
    kind: str, settings: dict[str, Any], context: int
) -> None:
    assert context_of(transformers.CONFIG_MAPPING[kind](**settings)) == context


def test_no_family_that_names_a_limit_is_taken_for_one_without() -> None:
    """Every causal family of the library: where its file names a length, that is the context."""
    names = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    without = set()
    for kind in names:
        with contextlib.suppress(Exception):  # a few cannot be made without arguments
            config = transformers.CONFIG_MAPPING[kind]()
            if context_of(config) == 2**31:
                without.add(kind)
    no_limit = {"bloom", "cpmant", "falcon_mamba", "mamba", "mamba2", "recurrent_gemma", "xlstm"}
    assert without <= no_limit
