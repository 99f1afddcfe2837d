"""A tiny copy of a model: its own configuration with small numbers, and weights drawn anew.

What a family computes is decided by its code and by the kind of its settings (grouped keys, a
window, a cap, stretched rotation, experts), hardly by their size. So a copy of a few layers, some
64 numbers wide, shows in a second how a model of any size will behave on each of our paths.
"""

import copy
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

WIDTH = 64
HEADS = 4
HEAD = WIDTH // HEADS
VOCABULARY = 160
WINDOW = 8
"""Tokens that a sliding window of the copy sees, and every block, chunk or choice of keys."""
ORIGINAL = 32
"""Positions up to which stretched rotation is not stretched."""
POSITIONS = 64

_LAYERS = 4
"""Layers of a copy whose configuration does not say layer by layer what they are."""

_MOST_LAYERS = 8

_MOST = 128
"""Widest inner layer of a copy."""

_HIDDEN = ("hidden_size", "d_model", "n_embd", "embedding_dim", "emb_dim", "dim")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")

_COUNTS: tuple[tuple[str, int], ...] = (
    (r".*(routed_experts|num_experts|local_experts|zero_expert_num)$", 4),
    (r"(num_experts_per_tok(en)?|moe_?top_?k|moe_k|top_k_experts)$", 2),
    (r"(n_group|num_expert_group|n_groups|.*n_?groups|o_groups)$", 2),
    (r"topk_group$", 1),
    (r".*shared_experts$", 1),
    (r"first_k_dense_replace|num_dense_layers$", 1),
    (r"num_kv_shared_layers$", 1),
    (r"(.*window|.*window_size|.*window_len|sliding_window_size|local_attention)$", WINDOW),
    (r"(.*chunk_size|.*chunk_length|block_size|index_block_size|index_topk)$", WINDOW),
    (r"(attention_chunk_size|floor_scale|rel_extent|log_scaling_n_floor)$", 2 * WINDOW),
    (r"original_max_position_embeddings$", ORIGINAL),
    (r"type_vocab_size$", 2),
    (r"(.*vocab(_size)?|.*vocab_size.*|.*vocab)$", VOCABULARY),
    (r"(attn_layer_period|expert_layer_period|.*layer_interval|layer_group_size)$", 2),
    (r"(attn_layer_offset|expert_layer_offset)$", 1),
    (r"(moe_layer_end_index)$", _LAYERS - 1),
    (r"(state_size|.*d_state|ssm_state_size|.*time_step_rank|mamba_dt_rank)$", 8),
    (r"(split_ngram_parts|make_ngram_vocab_size_divisible_by|block_multiple_of)$", 8),
    (r"mamba_d_ssm$", 2 * WIDTH),
    (r"num_query_groups$", HEADS),
    (r"(attention_head_dim)$", 2 * HEAD),
    (r"(kv_channels|attention_head_size|rotary_dim|d_rel)$", HEAD),
)
"""Names of whole numbers, by their whole, to the most that they are in a copy."""

_POSITIONS = re.compile(
    r"(max_position_embeddings|n_positions|n_ctx|max_seq_len|model_max_length|context_length|"
    r"max_(source|target)_positions|position_bias_max_distance|max_sequence_length)$"
)
"""Names of how many tokens there may be."""

_WIDE = re.compile(
    r".*(_size|_dim|_width|_rank|_lowrank|_inner|dff|dim_ff|d_ff|size_mlp|size_per_layer_input)$"
    r"|.*_dim_.*|hc_lowrank"
)
"""Names of widths, which stay as wide beside the model's own as they were."""

_LENGTHS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_blocks", "encoder_layers",
    "decoder_layers", "num_encoder_layers", "num_decoder_layers", "num_layers_per_stack",
)  # fmt: skip


def tiny_model(config: Any, *, kind: Any = None, seed: int = 0) -> Any:
    """Return a model of the same family and the same kind of settings, in float32, frozen.

    Its weights are drawn so large that each part of it matters: with those of a fresh model (0.02)
    attention is nearly even and caps are never reached.

    Args:
        config: As the real model has it; stays as it is.
        kind: The model's class; None: as transformers chooses it.
        seed: Of the weights.

    Raises:
        Exception: whatever the family says of a configuration that it does not take.
    """
    small = tiny_config(config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if kind is None:
            auto: Any = AutoModelForCausalLM
            model = auto.from_config(small, dtype=torch.float32, trust_remote_code=False)
        else:
            model = kind._from_config(small, dtype=torch.float32)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in model.named_parameters():
            _draw(name, parameter, generator)
    return model.eval().requires_grad_(False)


def tiny_config(config: Any) -> Any:
    """Return a configuration of the same kind with small numbers."""
    values = config.to_dict()
    small = _small(values)
    for name in getattr(type(config), "sub_configs", {}):
        if isinstance(values.get(name), Mapping):
            small[name] = _small(values[name])
    return type(config).from_dict(small)


def _small(values: Mapping[str, Any]) -> dict[str, Any]:
    small = copy.deepcopy(dict(values))
    small.pop("quantization_config", None)
    hidden = next((values[name] for name in _HIDDEN if isinstance(values.get(name), int)), WIDTH)
    heads = next((values[name] for name in _HEADS if isinstance(values.get(name), int)), HEADS)
    _cut_layers(small)
    for name, value in small.items():
        small[name] = _number(name, value, hidden, heads)
    _fit(small, values, hidden, heads)
    return small


def _number(name: str, value: Any, hidden: int, heads: int) -> Any:
    """Return a setting as a copy has it."""
    if isinstance(value, Mapping) and name not in _NOT_SIZES:
        return {key: _number(key, each, hidden, heads) for key, each in value.items()}
    if isinstance(value, list) and name.endswith("intermediate_size"):
        return [_number(name, each, hidden, heads) for each in value]
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if name.endswith(("token_id", "_index")) or name == "lang_id":
        return value if value < VOCABULARY else VOCABULARY - 1 - value % 8
    if re.match(_POSITIONS, name):
        return POSITIONS  # never fewer, or the rows of a rehearsal would not fit
    most = next((most for pattern, most in _COUNTS if re.match(pattern, name)), None)
    return _width(name, value, hidden, heads) if most is None else min(value, most)


def _width(name: str, value: int, hidden: int, heads: int) -> int:
    """Return a width, or a number of heads, beside the copy's own."""
    if name in _HIDDEN:
        return WIDTH
    if re.match(r".*(heads|n_head)(_per_layer)?$", name) and value > 0:
        return HEADS if value >= heads else 1 if value == 1 else HEADS // 2
    if re.match(r".*(head_dim|dim_head|d_head|d_kv)$", name):
        return HEAD
    if _WIDE.match(name) and value > 0:
        return min(_MOST, max(8, 8 * round(value * WIDTH / hidden / 8)))
    return value


_NOT_SIZES = ("id2label", "label2id", "rope_parameters", "rope_scaling")

_INDICES = re.compile(r".*(_indices|_idxs|only_layers|attention_layers|moe_layers|layer_ids)$")
"""Names of lists that hold the numbers of layers."""


def _cut_layers(small: dict[str, Any]) -> None:
    """Keep two layers of each kind, in order, where lists say what each layer is."""
    key = next((name for name in _LENGTHS if isinstance(small.get(name), int)), None)
    if key is None:
        return
    count = small[key]
    named = {
        name: each
        for name, each in small.items()
        if _INDICES.match(name) and isinstance(each, list) and all(isinstance(n, int) for n in each)
    }
    lists = {
        name: each
        for name, each in small.items()
        if isinstance(each, list) and len(each) == count and name not in named
    }
    apart = small.get("per_layer_config") or {}
    own = {int(at): settings for at, settings in apart.items()}
    kinds = [
        repr([each[at] for each in lists.values()])
        + repr([at in each for each in named.values()])
        + repr(own.get(at))
        for at in range(count)
    ]
    if len(set(kinds)) == 1:
        kept = list(range(min(count, _LAYERS)))
    else:
        kept = sorted(at for at, kind in enumerate(kinds) if kinds[:at].count(kind) < 2)[
            :_MOST_LAYERS
        ]
    for name, each in lists.items():
        small[name] = [each[at] for at in kept]
    for name, each in named.items():
        small[name] = [new for new, old in enumerate(kept) if old in each]
    if apart:
        small["per_layer_config"] = {
            f"{new:02d}": own[old] for new, old in enumerate(kept) if old in own
        }
    for name in _LENGTHS:
        if isinstance(small.get(name), int):
            small[name] = min(small[name], len(kept))


def _fit(small: dict[str, Any], values: Mapping[str, Any], hidden: int, heads: int) -> None:
    """Make settings agree that depend on each other."""
    _fit_heads(small, values, hidden, heads)
    if isinstance(values.get("qk_rope_head_dim"), int):
        small["qk_rope_head_dim"] = HEAD // 2
        if "head_dim" in small:
            small["head_dim"] = small["qk_rope_head_dim"]
        if "qk_head_dim" in small:
            small["qk_head_dim"] = small["qk_rope_head_dim"] + small.get("qk_nope_head_dim", 0)
    for count, width in _STATES:
        if isinstance(values.get(count), int) and width in values:
            small[count], small[width] = 2 * WIDTH // HEAD, HEAD
    if "expand" in values and "num_heads" in values:
        small["num_heads"], small["head_dim"] = 2 * WIDTH // HEAD, HEAD
    for name in ("rope_parameters", "rope_scaling"):
        if isinstance(small.get(name), dict):
            _fit_rope(small[name], small)


def _fit_heads(small: dict[str, Any], values: Mapping[str, Any], hidden: int, heads: int) -> None:
    head = values.get("head_dim")
    if "head_dim" in values and head is None:
        small["head_dim"] = HEAD
    elif isinstance(head, int) and head * heads != hidden and "kv_lora_rank" not in values:
        small["head_dim"] = HEAD + 8
    if "num_key_value_heads" in values and values["num_key_value_heads"] is None:
        small["num_key_value_heads"] = HEADS
    for settings in (small.get("per_layer_config") or {}).values():
        if isinstance(settings.get("head_dim"), int) and head:
            settings["head_dim"] = 2 * small["head_dim"]


_STATES = (
    ("mamba_n_heads", "mamba_d_head"),
    ("mamba_num_heads", "mamba_head_dim"),
    ("n_mamba_heads", "mamba_headdim"),
)
"""Names of the heads of state spaces and of their width: together twice the model's."""


def _fit_rope(rope: dict[str, Any], small: Mapping[str, Any]) -> None:
    if any(isinstance(each, dict) for each in rope.values()):
        for each in rope.values():
            if isinstance(each, dict):
                _fit_rope(each, small)
        return
    head = small.get("qk_rope_head_dim") or small.get("head_dim") or HEAD
    share = rope.get("partial_rotary_factor") or small.get("partial_rotary_factor") or 1.0
    half = max(1, int(head * share) // 2)
    for name in ("short_factor", "long_factor"):
        if isinstance(rope.get(name), list):
            rope[name] = _resampled(rope[name], half)
    section = rope.get("mrope_section")
    if isinstance(section, list) and sum(section):
        parts = [max(1, half * each // sum(section)) for each in section]
        rope["mrope_section"] = [half - sum(parts[1:]), *parts[1:]]
    if isinstance(rope.get("original_max_position_embeddings"), int | float):
        rope["original_max_position_embeddings"] = ORIGINAL


def _resampled(factors: list[float], count: int) -> list[float]:
    """Return so many of the factors, from all over them."""
    return [factors[at * len(factors) // count] for at in range(count)]


def _draw(name: str, parameter: nn.Parameter, generator: torch.Generator) -> None:
    """Draw a matrix anew; what is no matrix keeps what its family gave it, a little moved."""
    if parameter.ndim < 2:
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data += 0.1 * noise.to(parameter.dtype)
        return
    fan = parameter[0].numel() if parameter.ndim == 2 else parameter.shape[-1]
    scale = 1.0 if "embed" in name or "wte" in name else 1.5 / math.sqrt(fan)
    noise = torch.randn(parameter.shape, generator=generator)
    parameter.data = (scale * noise).to(parameter.dtype)
