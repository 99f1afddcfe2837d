"""The only `from_pretrained`: files that `leaf.models.files` found become a model in memory.

Weights are read from safetensors alone and remote code is never trusted.
"""

import copy
import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from leaf.errors import ModelError
from leaf.models.adapters import put_on
from leaf.models.files import Source, find, readable
from leaf.models.lent import lent
from leaf.models.paths import paths_of
from leaf.models.quiet import quiet
from leaf.models.spread import check_map, check_places, device_of, is_spread, placing
from leaf.models.threads import watch
from leaf.progress import say
from leaf.recipe import ModelSection

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


class Tokenizer(Protocol):
    """The part of a Hugging Face fast tokenizer that LeaF uses."""

    eos_token_id: int | None
    bos_token_id: int | None
    chat_template: Any
    all_special_ids: list[int]
    added_tokens_decoder: dict[int, Any]
    backend_tokenizer: Any

    def __call__(self, text: Any, **options: Any) -> Any: ...  # noqa: D102
    def decode(self, ids: Any, **options: Any) -> str: ...  # noqa: D102
    def apply_chat_template(self, messages: Any, **options: Any) -> Any: ...  # noqa: D102
    def get_chat_template(self) -> str: ...  # noqa: D102
    def get_vocab(self) -> dict[str, int]: ...  # noqa: D102
    def save_pretrained(self, folder: str | Path) -> Any: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A model in memory with its tokenizer, on one device."""

    source: Source
    model: Any
    tokenizer: Tokenizer
    device: torch.device
    dtype: torch.dtype

    @property
    def context(self) -> int:
        """Most tokens that the model was made for, prompt and answer together."""
        return context_of(self.model.config)


def load(
    section: ModelSection, source: Source | None = None, *, dtype: torch.dtype | None = None
) -> Loaded:
    """Load a model for inference: frozen, dropout off; on the best device here, or spread.

    Args:
        section: The model's part of the recipe.
        source: Where it lies, when `find` was asked before.
        dtype: Overrides the recipe's dtype.
    """
    check_places(section)
    source = source or find(section)
    if section.device_map is not None:
        check_map(section, skeleton(source))
    device = best_device()
    dtype = dtype or resolve_dtype(section.dtype, device)
    where = f"{source.name}: cannot be loaded from {source.folder}"
    with quiet(), readable(where), placing(section) as (places, stay):
        model, info = cast(Any, AutoModelForCausalLM).from_pretrained(
            source.folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **places,
        )
        stay(model)
    _refuse_missing(source, info)
    if source.adapter is not None:
        put_on(model, source.adapter, name=section.model)
        to_dtype(model, dtype)
    if section.device_map is not None:  # it has its place, were it only one
        device = device_of(model, source.name)
    else:
        model.to(device)
    model.eval().requires_grad_(False)
    paths_of(model, _content(source, model))
    return Loaded(
        source=source, model=model, tokenizer=load_tokenizer(source), device=device, dtype=dtype
    )


def _content(source: Source, model: Any) -> str:
    """Name what a rehearsal is kept by: what a path is right for on one device may fail on two."""
    if not is_spread(model):
        return source.fingerprint
    return f"{source.fingerprint} on {sorted(model.hf_device_map.items(), key=str)}"


def fits(source: Source, kind: Any = AutoModelForCausalLM) -> set[str]:
    """Hold a folder's weights against its configuration, without reading their numbers.

    Args:
        source: Where they lie.
        kind: The class of transformers that loads them.

    Returns:
        The names of weights that the model has no place for.

    Raises:
        ModelError: it lacks weights, or has them in another shape.
    """
    with quiet(), readable(f"{source.name}: cannot be loaded from {source.folder}"):
        _, info = kind.from_pretrained(
            source.folder,
            device_map={"": "meta"},
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    _refuse_missing(source, info)
    for key, found, wanted in sorted(info["mismatched_keys"])[:1]:
        raise ModelError(
            f"{source.name}: {key} has the shape {list(found)} in {source.folder}, but "
            f"{list(wanted)} by config.json: they are not of one model"
        )
    return set(info["unexpected_keys"])


def _refuse_missing(source: Source, info: Any) -> None:
    missing = info["missing_keys"]
    if missing:
        raise ModelError(
            f"{source.name}: {source.folder} lacks {len(missing)} of the model's weights, such as "
            f"{min(missing)}; they would be random"
        )


def skeleton(source: Source) -> Any:
    """Return a model with every shape and none of its numbers; it takes no memory."""
    config = copy.deepcopy(load_config(source))  # it may be a user's, and gets another dtype
    with readable(f"{source.name}: config.json cannot be used"), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]


@contextmanager
def loaded(section: ModelSection, source: Source) -> Iterator[Loaded]:
    """Load a model for the length of a block, once earlier ones have given their memory back.

    Not at the end of a block: whoever entered it still names the model there. A model that the
    source holds is used as it is, and afterwards is as it was.
    """
    if source.held is not None:
        with quiet(), lent(source.held.model):
            yield source.held
        return
    release_memory()
    model = load(section, source)
    size = size_text(sum(parameter.numel() for parameter in model.model.parameters()))
    say(f"loaded {source.name}: {size} parameters, {dtype_name(model.dtype)}, {model.device}")
    if model.device.type == "cpu":
        _say_when_busy()
    with quiet():
        yield model


_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    "spiece.model", "sentencepiece.bpe.model", "tekken.json",
)  # fmt: skip
"""Files that tokenizers are made of, any of them."""


@cache
def _say_when_busy() -> None:
    """Say once, before the first long work, that other programs need the cores as well."""
    if advice := watch.advice(torch.get_num_threads()):
        say(f"note: {advice}")


def load_tokenizer(source: Source) -> Tokenizer:
    """Load a model's fast tokenizer; raises `ModelError` when it has only a slow one."""
    if source.held is not None:
        return cast(Loaded, source.held).tokenizer
    none = f"{source.name}: no tokenizer in {source.folder}"
    if not any((source.folder / name).is_file() for name in _TOKENIZERS):
        raise ModelError(f"{none}: fetch its tokenizer.json, or save it there with save_pretrained")
    with quiet(), readable(none):
        tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise ModelError(f"{source.name}: has no fast tokenizer, so characters cannot be located")
    check_ids(source.name, tokenizer, load_config(source))
    return cast(Tokenizer, tokenizer)


def check_ids(name: str, tokenizer: Any, config: Any) -> None:
    """Refuse a tokenizer with tokens that a model has no embedding for.

    A token for padding may be one: no text becomes it.

    Raises:
        ModelError: there are such tokens; says how many, and names one.
    """
    rows = config.get_text_config().vocab_size
    beyond = {
        text: number
        for text, number in tokenizer.get_vocab().items()
        if number >= rows and number != tokenizer.pad_token_id
    }
    if beyond:
        raise ModelError(
            f"{name}: its tokenizer has {len(beyond)} tokens beyond the model's {rows} embeddings, "
            f"such as {min(beyond, key=beyond.__getitem__)!r}: resize the embeddings, or take the "
            "tokenizer that the model came with"
        )


def load_config(source: Source) -> Any:
    """Load a model's configuration; raises `ModelError` when transformers cannot use it."""
    if source.held is not None:
        return source.held.model.config
    with quiet(), readable(f"{source.name}: config.json cannot be used"):
        return AutoConfig.from_pretrained(source.folder, trust_remote_code=False)


def best_device() -> torch.device:
    """Return the accelerator of this machine if it has one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """Turn a recipe's dtype into torch's; `auto` is bfloat16 where the hardware multiplies it."""
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and _cpu_multiplies_bfloat16():
        return torch.bfloat16
    return torch.float32


def release_memory() -> None:
    """Give back what deleted models held, to the device and to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim()


def trim() -> None:
    """Give back to the system what C's heap holds free; a few milliseconds.

    glibc keeps freed blocks of up to 32 MiB, which most weights, activations and moments are.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


_CONTEXTS = ("max_position_embeddings", "max_seq_len", "seq_length", "max_target_positions")
"""What configurations call the most tokens: nearly all, MPT and its kin, ChatGLM, Whisper."""

_UNBOUNDED = 2**31
"""The context of a model that has no limit, such as Mamba."""


def context_of(config: Any) -> int:
    """Return how many tokens a model was made for, by the configuration of its text part."""
    text = config.get_text_config(decoder=True)
    limits = (getattr(part, name, None) for part in (text, config) for name in _CONTEXTS)
    return int(next((limit for limit in limits if limit), _UNBOUNDED))


def own_dtype(config: Any) -> torch.dtype:
    """Return the dtype that a model's files say it came in; float32 where they do not say."""
    return config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32


def dtype_of(source: Source) -> torch.dtype:
    """Return the dtype that a model has in memory, or that its files say.

    Whoever casts a model in memory leaves its configuration as it is.
    """
    if source.held is not None:
        return cast(torch.dtype, source.held.dtype)
    return own_dtype(load_config(source))


def to_dtype(model: Any, dtype: torch.dtype) -> Any:
    """Cast a model in place, but for tables that are computed and not saved: rotary frequencies.

    Loading leaves those wide, so a model that is cast equals one that is saved and loaded.
    """
    computed = [
        (module, name, module._buffers[name])
        for module in model.modules()
        for name in module._non_persistent_buffers_set
    ]
    model.to(dtype)
    for module, name, buffer in computed:
        module._buffers[name] = buffer
    return model


def dtype_name(dtype: torch.dtype) -> str:
    """Return a dtype's name as recipes write it."""
    return str(dtype).removeprefix("torch.")


def size_text(parameters: int) -> str:
    """Tell a number of parameters as papers do: `134,208`, `135 M`, `1.54 B`."""
    if parameters < 10**6:
        return f"{parameters:,}"
    billions = parameters >= 999.5e6
    return f"{parameters / 1e9:.3g} B" if billions else f"{parameters / 1e6:.3g} M"


def _cpu_multiplies_bfloat16() -> bool:
    flags = ("avx512_bf16", "amx_bf16", "bf16")
    try:
        with Path("/proc/cpuinfo").open() as file:
            words = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return any(flag in words.split() for flag in flags)
