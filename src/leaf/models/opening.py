"""A stranger's model, opened once in a child process before anything else is done with it.

What is found there is kept by the model's content, so the same files are not opened so again.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open

from leaf.errors import ChatError, ModelError, StoreError
from leaf.models.adapters import fit
from leaf.models.child import MEMORY, SECONDS, Step, in_child
from leaf.models.files import Source, cache_folder, readable
from leaf.models.load import dtype_name, fits, load_config, load_tokenizer, skeleton
from leaf.models.prompt_format import PromptFormat

_VERSION = 3
"""Of what is looked at: a higher one has every model opened again."""

_SECONDS = 3.0
"""Of processor time, for a library's code once it is read: a good model takes a tenth of that."""

_TEXTS_A_SECOND = 3e6
"""Bytes of a tokenizer that are read in a second, at least."""

_WEIGHTS_A_SECOND = 1e8
"""Bytes of weights that are looked through in a second, at least."""

_AT_LEAST_ONE = {
    "num_hidden_layers",
    "n_layer",
    "max_position_embeddings",
    "n_positions",
    "num_attention_heads",
    "n_head",
    "num_key_value_heads",
    "hidden_size",
    "n_embd",
    "vocab_size",
}
"""Counts of a configuration that a model cannot do without, where it names them."""

_RUNS = ("a", "A", "1", " ", "!", "\n", "\u00e9", "\u4e2d")
"""Repeated, these keep an expression busy for ever that goes back over what it has matched."""


def open_first(source: Source, *, weights: bool = True) -> None:
    """Open a model's files where they can do no harm, unless files like these were opened before.

    Args:
        source: A model whose files lie here.
        weights: Whether the folder holds them too.

    Raises:
        ModelError: it cannot be opened, or has numbers that no model has; says what and why.
    """
    what_of = "all" if weights else "without weights"
    if is_opened(source, what_of):
        return
    what = f"{source.name}: cannot be opened"
    small = sum(path.stat().st_size for path in _texts(source))
    in_child(
        partial(_open, source),
        what=what,
        seconds=SECONDS + small / _TEXTS_A_SECOND,
        memory=MEMORY + 40 * small,
    )
    if weights:
        size = sum(path.stat().st_size for path in weight_files(source.folder))
        size += sum(path.stat().st_size for path in _adapter(source))
        in_child(
            partial(_look_through, source),
            what=what,
            seconds=SECONDS + size / _WEIGHTS_A_SECOND,
            memory=MEMORY + 3 * size,  # each file is mapped twice, and one tensor is copied
        )
    note_opened(source, what_of)


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that hold a model's weights, by its index where it has one."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return sorted(folder / Path(name).name for name in names)


def is_opened(source: Source, what: str) -> bool:
    """Whether a model of this content was opened before, `what` of it."""
    mark = _mark(source, what)
    return mark is not None and os.path.exists(mark)  # noqa: PTH110 - Path's may raise


def note_opened(source: Source, what: str) -> None:
    """Keep that a model could be opened; where nothing can be kept it is opened again."""
    mark = _mark(source, what)
    with suppress(OSError):
        if mark:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _mark(source: Source, what: str) -> Path | None:
    """Return the file whose being there says so; None: there is no place for it."""
    decides = [_VERSION, transformers.__version__, source.fingerprint, what]
    name = hashlib.sha256(repr(decides).encode()).hexdigest()[:32]
    try:
        return cache_folder() / "opened" / name
    except StoreError:
        return None


def _texts(source: Source) -> Iterator[Path]:
    for path in source.folder.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            yield path


def _adapter(source: Source) -> list[Path]:
    return sorted(source.adapter.glob("*.safetensors")) if source.adapter else []


def _open(source: Source, step: Step) -> None:
    """Do with the files what a run does first; an error of a library is told by the caller."""
    step("its configuration")
    _check_numbers(source)
    _check_ends(source)
    config = load_config(source)
    if not hasattr(config.get_text_config(), "vocab_size"):
        raise ModelError(
            f"{source.name}: cannot be loaded from {source.folder}: it is a `{config.model_type}`, "
            "which reads no text; name a causal language model"
        )
    step("its tokenizer")
    tokenizer = load_tokenizer(source)
    step("its tokenizer", _SECONDS)
    for text in _RUNS:
        ids = tokenizer(text * 2000 + "!", add_special_tokens=False)["input_ids"]
        tokenizer.decode(ids)
    step("its chat template", _SECONDS)
    # What a template refuses depends on the recipe, and is told by who uses it.
    with suppress(ChatError):
        PromptFormat(tokenizer, name=source.name).render("How many are 2 + 3?")


def _check_numbers(source: Source) -> None:
    """Refuse counts below one, which libraries take and fall over later."""
    with readable(f"{source.name}: config.json cannot be used"):
        values = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
        text = values.get("text_config")
        parts = [values, text if isinstance(text, dict) else {}]
    for part in parts:
        for name in sorted(_AT_LEAST_ONE & part.keys()):
            if isinstance(part[name], int | float) and part[name] < 1:
                raise ModelError(
                    f"{source.name}: config.json is damaged: `{name}` must be at least 1, but is "
                    f"{part[name]}; take the model from where it was published"
                )


def _check_ends(source: Source) -> None:
    """Refuse an end of texts that is no token, which an exported student could not keep."""
    path = source.folder / "generation_config.json"
    values = {}
    with suppress(OSError, ValueError):  # what is no JSON, the library passes over
        values = json.loads(path.read_text(encoding="utf-8"))
    ends = values.get("eos_token_id") if isinstance(values, dict) else None
    listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(type(end) is int for end in listed):
        raise ModelError(
            f"{source.name}: {path.name} is damaged: `eos_token_id` must be a token's number or a "
            f"list of them, but is {ends!r:.60}; take the model from where it was published"
        )


def _check_layers(source: Source, config: Any) -> None:
    """Refuse more layers than there are weights: each has at least one."""
    layers = getattr(config.get_text_config(), "num_hidden_layers", None)
    with readable(f"{source.name}: cannot be loaded from {source.folder}"):
        held = sum(1 for path in weight_files(source.folder) for _ in _keys(path))
    if isinstance(layers, int) and layers > held:
        raise ModelError(
            f"{source.name}: config.json is damaged: `num_hidden_layers` is {layers}, but the "
            f"files hold {held} tensors; take the model from where it was published"
        )


def _check_surplus(source: Source, beyond: set[str]) -> None:
    """Refuse weights of layers that the configuration cuts off; others may be of another part."""
    model = skeleton(source)
    if getattr(model.config.get_text_config(), "num_nextn_predict_layers", None):
        return  # they follow the model's own layers, and guess tokens ahead
    # Names with a number: a head that is tied may be there or not.
    kinds = {re.sub(r"\d+", "*", name) for name in model.state_dict() if re.search(r"\d", name)}
    cut = sorted(name for name in beyond if re.sub(r"\d+", "*", name) in kinds)
    if cut:
        raise ModelError(
            f"{source.name}: config.json has no place for {len(cut)} of the weights in "
            f"{source.folder}, such as {cut[0]}, so it is not theirs: it must count every layer; "
            "take the model from where it was published"
        )


def _keys(path: Path) -> Iterator[str]:
    with safe_open(path, framework="pt") as tensors:
        yield from tensors.keys()


def _look_through(source: Source, step: Step) -> None:
    """Refuse weights that are not the configuration's, or hold a number that is none."""
    step("its layers")
    _check_layers(source, load_config(source))
    _check_surplus(source, fits(source))
    step("its weights")
    with readable(f"{source.name}: cannot be loaded from {source.folder}"):
        for path in (*weight_files(source.folder), *_adapter(source)):
            with safe_open(path, framework="pt") as tensors:
                for key in tensors.keys():  # noqa: SIM118 - no mapping
                    _check_finite(source, path, key, tensors.get_tensor(key))
    if source.adapter is not None:
        step("its adapter")
        # Its settings hold expressions that may never end.
        fit(skeleton(source), source.adapter, name=source.name)


def _check_finite(source: Source, path: Path, key: str, weight: torch.Tensor) -> None:
    if key.endswith(".weight") and weight.dtype.itemsize == 1:
        raise ModelError(
            f"{source.name}: {key} in {path.name} is quantised ({dtype_name(weight.dtype)}), and "
            "config.json does not say how; take the model that it was made of"
        )
    # The sum is quick, and is no number where one of them is none.
    if not weight.is_floating_point() or weight.sum(dtype=torch.float32).isfinite():
        return
    broken = int((~weight.isfinite()).sum())
    if broken:
        raise ModelError(
            f"{source.name}: {broken} of the {weight.numel()} numbers of {key} in {path.name} are "
            "NaN or infinite, so it was saved broken; take the model from where it was published"
        )
