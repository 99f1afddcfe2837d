"""The only `from_pretrained`: a hub name, a local folder or a GGUF file becomes a loaded model.

Weights are read from safetensors alone and remote code is never trusted. A GGUF file is
dequantised once into a safetensors folder in the cache (`$LEAF_CACHE`, else `~/.cache/leaf`).
"""

import contextlib
import gc
import hashlib
import io
import json
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from leaf.config import ModelSection
from leaf.errors import ModelError
from leaf.progress import say

transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}

_MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
"""What is fetched from a hub repository: never a pickle, never code."""


class Tokenizer(Protocol):
    """The part of a Hugging Face fast tokenizer that LeaF uses."""

    eos_token: str | None
    bos_token: str | None
    eos_token_id: int | None
    bos_token_id: int | None
    pad_token_id: int | None
    chat_template: Any
    all_special_ids: list[int]

    def __call__(self, text: Any, **options: Any) -> Any: ...  # noqa: D102
    def decode(self, ids: Any, **options: Any) -> str: ...  # noqa: D102
    def apply_chat_template(self, messages: Any, **options: Any) -> Any: ...  # noqa: D102
    def get_chat_template(self) -> str: ...  # noqa: D102
    def get_vocab(self) -> dict[str, int]: ...  # noqa: D102
    def save_pretrained(self, folder: str | Path) -> Any: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A model that is there: where its files lie and what names its content."""

    name: str
    """As the recipe names it."""
    folder: Path
    fingerprint: str
    """Names the content: a hub commit, or a hash over the files."""


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
        return int(getattr(self.model.config, "max_position_embeddings", None) or 2**31)


@dataclass(frozen=True, slots=True)
class Head:
    """The output head: `finish(hidden @ weight.T)` are the logits."""

    weight: Tensor
    """[V, D]."""
    bias: Tensor | None = None
    """[V]."""
    scale: float = 1.0
    softcap: float | None = None

    def finish(self, raw_RV: Tensor) -> Tensor:
        """Turn products with the weight into logits, in at least float32."""
        logits_RV = raw_RV if raw_RV.dtype is torch.float64 else raw_RV.float()
        if self.bias is not None:
            logits_RV = logits_RV + self.bias
        if self.scale != 1.0:
            logits_RV = logits_RV * self.scale
        if self.softcap is not None:
            logits_RV = torch.tanh(logits_RV / self.softcap) * self.softcap
        return logits_RV

    def first(self, vocabulary: int) -> "Head":
        """Return the head cut to its first `vocabulary` entries."""
        bias = None if self.bias is None else self.bias[:vocabulary]
        return Head(self.weight[:vocabulary], bias, self.scale, self.softcap)


def find(section: ModelSection) -> Source:
    """Bring a model's files onto this machine (download, conversion) without loading it.

    Raises:
        ModelError: no such model, or one without safetensors weights.
    """
    name = section.model
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _find_gguf(name, path)
    if path.is_dir():
        return _find_folder(name, path)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"{name}: no such model folder or GGUF file")
    return _find_on_hub(section)


def load(
    section: ModelSection, source: Source | None = None, *, dtype: torch.dtype | None = None
) -> Loaded:
    """Load a model for inference on the best device here: frozen, dropout off.

    Args:
        section: The model's part of the recipe.
        source: Where it lies, when `find` was asked before.
        dtype: Overrides the recipe's dtype.
    """
    source = source or find(section)
    device = best_device()
    dtype = dtype or resolve_dtype(section.dtype, device)
    with _readable(f"{source.name}: cannot be loaded from {source.folder}"):
        found: Any = AutoModelForCausalLM.from_pretrained(
            source.folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    model, info = found
    if info["missing_keys"]:
        raise ModelError(
            f"{source.name}: {source.folder} lacks {len(info['missing_keys'])} of the model's "
            f"weights, such as {min(info['missing_keys'])}; they would be random"
        )
    model.to(device).eval().requires_grad_(False)
    return Loaded(
        source=source, model=model, tokenizer=load_tokenizer(source), device=device, dtype=dtype
    )


@contextmanager
def loaded(section: ModelSection, source: Source) -> Iterator[Loaded]:
    """Load a model for the length of a block and give its memory back."""
    model = load(section, source)
    size = sum(parameter.numel() for parameter in model.model.parameters())
    say(
        f"loaded {source.name}: {size / 1e6:.0f} M parameters, {_name(model.dtype)}, {model.device}"
    )
    try:
        yield model
    finally:
        del model
        release_memory()


def load_tokenizer(source: Source) -> Tokenizer:
    """Load a model's fast tokenizer; raises `ModelError` when it has only a slow one."""
    with _readable(f"{source.name}: no tokenizer in {source.folder}"):
        tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise ModelError(f"{source.name}: has no fast tokenizer, so characters cannot be located")
    return cast(Tokenizer, tokenizer)


def load_config(source: Source) -> Any:
    """Load a model's configuration; raises `ModelError` when transformers cannot use it."""
    with _readable(f"{source.name}: config.json cannot be used"):
        return AutoConfig.from_pretrained(source.folder, trust_remote_code=False)


def check_same_tokenizer(student: Tokenizer, teacher: Tokenizer, names: tuple[str, str]) -> None:
    """Raise `ModelError` unless both tokenizers give every token the same id."""
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours == theirs:
        return
    both = ours.keys() & theirs.keys()
    same = sum(ours[token] == theirs[token] for token in both)
    raise ModelError(
        f"the student {names[0]} and the teacher {names[1]} have different tokenizers "
        f"({same} of {max(len(ours), len(theirs))} tokens agree); distillation across tokenizers "
        "is not there yet: choose a teacher of the student's family"
    )


def output_head(model: Any) -> Head:
    """Return a causal language model's output head, checked against the model's own logits.

    Raises:
        ModelError: the architecture does something with its logits that `Head` does not know.
    """
    layer = model.get_output_embeddings()
    config = model.config.get_text_config()
    head = Head(
        weight=layer.weight,
        bias=getattr(layer, "bias", None),
        scale=_logit_scale(config),
        softcap=getattr(config, "final_logit_softcapping", None),
    )
    probe = torch.arange(4, device=layer.weight.device)[None]
    with torch.no_grad():
        hidden = backbone(model)(input_ids=probe).last_hidden_state[0]
        ours = head.finish(hidden @ head.weight.to(hidden.dtype).T)
        own = model(input_ids=probe).logits[0]
    if not torch.allclose(ours.float(), own.float(), rtol=2e-2, atol=2e-2 * float(own.std())):
        raise ModelError(
            f"{type(model).__name__}: its logits are not head(hidden), so it cannot be used here"
        )
    return head


def backbone(model: Any) -> nn.Module:
    """Return the model without its output head: token ids or embeddings to hidden states."""
    return model.base_model  # type: ignore[no-any-return]


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


def cache_folder() -> Path:
    """Return where converted models are kept: `$LEAF_CACHE`, else `~/.cache/leaf`."""
    return Path(os.environ.get("LEAF_CACHE") or Path.home() / ".cache" / "leaf")


def release_memory() -> None:
    """Give back what deleted models held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


_UNREADABLE = (
    AttributeError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    struct.error,
)
"""What transformers, safetensors and gguf raise over damaged or foreign files."""


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn a library's error over damaged or foreign files into one line after `what`."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _UNREADABLE as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{what}: {lines[0].rstrip(' :')}") from error


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _cpu_multiplies_bfloat16() -> bool:
    flags = ("avx512_bf16", "amx_bf16", "bf16")
    try:
        with Path("/proc/cpuinfo").open() as file:
            words = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return any(flag in words.split() for flag in flags)


def _logit_scale(config: Any) -> float:
    """Return what architectures multiply their logits with, under its various names."""
    if getattr(config, "logits_scaling", None):
        return 1.0 / float(config.logits_scaling)
    scale = getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None)
    return float(scale) if scale else 1.0


def _find_folder(name: str, folder: Path) -> Source:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{name}: a model folder must hold config.json, but {folder} does not")
    if not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"{name}: no *.safetensors in {folder}; pickled weights are not loaded: "
            "save them again with save_pretrained"
        )
    return Source(name=name, folder=folder, fingerprint=_hash_files(folder))


def _find_on_hub(section: ModelSection) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = section.model
    try:
        folder = Path(
            snapshot_download(name, revision=section.revision, allow_patterns=_MODEL_FILES)
        )
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{name}: not a local folder or GGUF file, and the hub cannot be reached; "
            "give a local path, or connect once so that the model is cached"
        ) from None
    except (HfHubHTTPError, HFValidationError) as error:
        raise ModelError(f"{name}: the hub refused it: {str(error).splitlines()[0]}") from None
    # The cache lays a snapshot in a folder named by its commit.
    return Source(name=name, folder=folder, fingerprint=f"{name}@{folder.name}")


def _find_gguf(name: str, path: Path) -> Source:
    if not path.is_file():
        raise ModelError(f"{name}: no such GGUF file")
    fingerprint = _hash_files(path)
    folder = cache_folder() / "converted" / f"{path.stem}-{fingerprint.removeprefix('sha256:')}"
    if not folder.is_dir():
        _convert_gguf(path, folder)
    return Source(name=name, folder=folder, fingerprint=fingerprint)


def _convert_gguf(path: Path, folder: Path) -> None:
    """Dequantise a GGUF file into a bfloat16 safetensors folder that appears whole."""
    from transformers import GgufConfig

    say(f"converting {path} once to {folder} (bfloat16 safetensors; a minute or two)")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    aside.mkdir(parents=True)
    try:
        # The library's own progress bar of this cannot be switched off.
        quiet = contextlib.redirect_stderr(io.StringIO())
        with _readable(f"{path}: cannot be converted"), quiet:
            model = AutoModelForCausalLM.from_pretrained(
                path.parent,
                gguf_file=path.name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
                trust_remote_code=False,
            )
            model.save_pretrained(aside)
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            tokenizer.save_pretrained(aside)
            aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    release_memory()


def _hash_files(path: Path) -> str:
    """Return a hash over a file or a folder's model files, remembered by size and time."""
    files = [path] if path.is_file() else sorted(_model_files(path))
    memory = cache_folder() / "fingerprints.json"
    known: dict[str, list[Any]] = {}
    # What is not there yet, or was cut, is computed again.
    with suppress(OSError, ValueError):
        known = json.loads(memory.read_text())
    whole = hashlib.sha256()
    changed = False
    for file in files:
        stamp = [file.stat().st_size, file.stat().st_mtime_ns]
        entry = known.get(str(file.resolve()))
        if entry is None or entry[:2] != stamp:
            with file.open("rb") as data:
                entry = [*stamp, hashlib.file_digest(data, "sha256").hexdigest()]
            known[str(file.resolve())] = entry
            changed = True
        whole.update(f"{file.name if path.is_dir() else ''}:{entry[2]}\n".encode())
    if changed:
        memory.parent.mkdir(parents=True, exist_ok=True)
        aside = memory.with_name(f".{memory.name}.{os.getpid()}.tmp")
        aside.write_text(json.dumps(known))
        aside.replace(memory)
    return f"sha256:{whole.hexdigest()[:16]}"


def _model_files(folder: Path) -> Iterator[Path]:
    for pattern in _MODEL_FILES:
        yield from folder.glob(pattern)
