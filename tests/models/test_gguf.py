"""A GGUF file is taken whole or refused; nothing beside it is looked at."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType

from leaf.errors import LeafError, ModelError
from leaf.models.files import find
from leaf.models.load import context_of, load, load_config
from leaf.recipe import ModelSection

WORDS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b"]
WIDTH, HEADS = 32, 4


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tensors(blocks: int = 1) -> dict[str, tuple[int, ...]]:
    """Return the tensors of a Llama with untied head, and their shapes."""
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(WORDS), WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (len(WORDS), WIDTH),
    }
    for block in range(blocks):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"blk.{block}.{name}.weight"] = (WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            found[f"blk.{block}.{name}.weight"] = (2 * WIDTH, WIDTH)
        found[f"blk.{block}.ffn_down.weight"] = (WIDTH, 2 * WIDTH)
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{block}.{name}.weight"] = (WIDTH,)
    return found


def write(path: Path, shapes: Mapping[str, tuple[int, ...]], *, blocks: int = 1) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(blocks)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(WORDS)
    writer.add_token_scores([-float(number) for number in range(len(WORDS))])
    kinds = [TokenType.CONTROL] * 3 + [TokenType.BYTE] * 256 + [TokenType.NORMAL] * 3
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        find(ModelSection(model=str(path)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_file_is_taken_with_its_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.gguf", tensors())
    source = find(ModelSection(model=str(path)))
    assert context_of(load_config(source)) == 64
    model = load(ModelSection(model=str(path)), source, dtype=torch.float32).model
    expected = np.random.default_rng(0).normal(size=(len(WORDS), WIDTH)).astype(np.float32)
    held = model.get_input_embeddings().weight
    assert held.equal(torch.from_numpy(expected).bfloat16().float())


def without(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in tensors().items() if name not in names}


Q, UP = "blk.0.attn_q.weight", "blk.0.ffn_up.weight"


@pytest.mark.parametrize(
    ("shapes", "blocks", "says"),
    [
        (without([Q]), 1, "lacks 1 tensors: model.layers.0.self_attn.q_proj.weight; take the file"),
        (
            {**without([Q]), "blk.0.attn_query.weight": (WIDTH, WIDTH)},
            1,
            "lacks 1 tensors: model.layers.0.self_attn.q_proj.weight",
        ),
        (
            {
                **tensors(),
                "blk.0.attn_q.bias": (WIDTH,),
                "rope_freqs.weight": (WIDTH // HEADS // 2,),
            },
            1,
            "has, beyond what its configuration asks for, 2 tensors: blk.0.attn_q.bias, rope_freqs",
        ),
        (tensors(2), 1, "has, beyond what its configuration asks for, 9 tensors: blk.1.attn_k.w"),
        (tensors(1), 2, "lacks 9 tensors: model.layers.1.input_layernorm.weight"),
        ({**tensors(), UP: (WIDTH, WIDTH)}, 1, "model.layers.0.mlp.up_proj.weight"),
        (without(["token_embd.weight"]), 1, "lacks 1 tensors: model.embed_tokens.weight"),
    ],
)
def test_a_file_with_other_tensors_than_it_says_is_refused_by_name(
    tmp_path: Path, cache: Path, shapes: Mapping[str, tuple[int, ...]], blocks: int, says: str
) -> None:
    path = write(tmp_path / "tiny.gguf", shapes, blocks=blocks)
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert not (cache / "converted").exists()


def test_nothing_beside_the_file_is_looked_at(tmp_path: Path) -> None:
    """A tokenizer_config.json there once had its code asked about, and run."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    path = write(folder / "tiny.gguf", tensors())
    (folder / "own.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_name('ran').touch()"
    )
    classes = {"AutoTokenizer": ["own.T", "own.T"], "AutoConfig": "own.C"}
    values: dict[str, Any] = {
        "auto_map": classes,
        "chat_template": "{{ 1/0 }}",
        "model_type": "own",
    }
    for name in ("tokenizer_config.json", "config.json", "generation_config.json"):
        (folder / name).write_text(json.dumps(values))
    (folder / "chat_template.jinja").write_text("other")
    source = find(ModelSection(model=str(path)))
    assert not (folder / "ran").exists()
    assert "auto_map" not in (source.folder / "tokenizer_config.json").read_text()
    assert not list(source.folder.glob("*.jinja"))


def test_a_place_that_cannot_be_written_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "tiny.gguf", tensors())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        LeafError, match=r"converted: cannot be written .* set LEAF_CACHE to a folder"
    ):
        find(ModelSection(model=str(path)))


@pytest.mark.parametrize("at", [8, 16])
def test_absurd_counts_are_one_line(tmp_path: Path, at: int) -> None:
    """Of tensors (byte 8) and of keys (byte 16): each a number of 64 bits."""
    path = write(tmp_path / "tiny.gguf", tensors())
    data = bytearray(path.read_bytes())
    data[at : at + 8] = (2**62).to_bytes(8, "little")
    path.write_bytes(data)
    line = refused(path)
    assert line.startswith(f"{path}: cannot be converted, its weights: ")
    assert "; take the file from where it was published" in line
