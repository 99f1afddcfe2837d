"""A GGUF file becomes a folder of bfloat16 safetensors: every tensor of it, or none."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers.modeling_gguf_pytorch_utils as by_gguf
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

from leaf.errors import ModelError, StoreError, first_of
from leaf.models.child import MEMORY, Step, in_child
from leaf.models.quiet import quiet
from leaf.progress import say
from leaf.store.disk import locked

_SECONDS = 60.0
"""Of processor time, for the smallest file: vocabularies of 150,000 entries take most of it."""

_BYTES_A_SECOND = 1e6
"""Of a file, that are converted in a second at least."""

_AS_MUCH = 24
"""Times its own size that a file of one bit a weight takes while it is converted."""

_NAMED = 5
"""Tensors that an error names."""

_PUBLISHED = "from where it was published"

_WAY_OUT = f"take the file {_PUBLISHED}, or the model's folder of safetensors"


def convert(path: Path, folder: Path, *, weights: bool) -> None:
    """Turn a GGUF file into a folder that appears whole.

    Nothing else is looked at than the file itself, whatever lies beside it.

    Args:
        path: The file.
        folder: Where the model goes.
        weights: Whether they go there; False: the tokenizer and the configuration alone.

    Raises:
        ModelError: it is damaged, of a kind that is not known, or has other tensors than its
            configuration says.
        StoreError: the folder cannot be made.
    """
    what = "bfloat16 safetensors; a minute or two" if weights else "its tokenizer; half a minute"
    with ExitStack() as held:
        try:
            # Two processes of one user often begin with the same file.
            held.enter_context(locked(folder.parent, "converts a model", tidy=True, wait=True))
            if folder.is_dir():
                return
            aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
            aside.mkdir()
            held.callback(shutil.rmtree, aside, ignore_errors=True)
        except OSError as error:
            raise StoreError(
                f"{folder.parent}: cannot be written ({error.strerror}), so {path} cannot be "
                "converted; set LEAF_CACHE to a folder that can"
            ) from None
        say(f"converting {path} once to {folder} ({what})")
        _convert_aside(path, aside, weights)
        aside.replace(folder)


def _convert_aside(path: Path, aside: Path, weights: bool) -> None:
    size = path.stat().st_size
    try:
        in_child(
            partial(_convert, path, aside, weights),
            what=f"{path}: cannot be converted",
            seconds=_SECONDS + size / _BYTES_A_SECOND,
            memory=MEMORY + _AS_MUCH * size,
        )
    except ModelError as error:
        if _PUBLISHED in str(error):
            raise
        # The folder that it lies in meanwhile says nothing to anybody.
        said = re.sub(rf"{re.escape(str(aside))}/[^/]*/", "", str(error))
        raise ModelError(f"{said.rstrip('.')}; {_WAY_OUT}") from None


def _convert(path: Path, folder: Path, weights: bool, step: Step) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as alone, quiet():
        (Path(alone) / path.name).symlink_to(path.absolute())
        own: dict[str, Any] = {"gguf_file": path.name, "trust_remote_code": False}
        if weights:
            step("its weights")
            _convert_weights(path, alone, own).save_pretrained(folder)
        else:
            step("its configuration")
            AutoConfig.from_pretrained(alone, **own).save_pretrained(folder)
        step("its tokenizer")
        AutoTokenizer.from_pretrained(alone, **own).save_pretrained(folder)


def _convert_weights(path: Path, alone: str, own: dict[str, Any]) -> Any:
    with _noting_what_is_left_out() as left_out:
        found: Any = AutoModelForCausalLM.from_pretrained(
            alone,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **own,
        )
    model, info = found
    lists = {
        "lacks": info["missing_keys"],
        "has, beyond what its configuration asks for,": left_out | set(info["unexpected_keys"]),
        "has in another shape": {str(key[0]) for key in info["mismatched_keys"]},
    }
    for says, names in lists.items():
        if names:
            named = first_of(sorted(names), _NAMED)
            raise ModelError(f"{path}: {says} {len(names)} tensors: {named}; {_WAY_OUT}")
    return model


@contextmanager
def _noting_what_is_left_out() -> Iterator[set[str]]:
    """Yield the names of a file's tensors that the library passes over without a word."""
    left_out: set[str] = set()

    class Noting(dict[str, str]):
        def __contains__(self, name: object) -> bool:
            there = super().__contains__(name)
            if not there and name is not None:
                left_out.add(str(name))
            return there

    inner = by_gguf.get_gguf_hf_weights_map

    def noting(*args: Any, **options: Any) -> Noting:
        return Noting(inner(*args, **options))

    # Not from outside: the library asks this for the name of every tensor, and for nothing else.
    by_gguf.get_gguf_hf_weights_map = noting
    try:
        yield left_out
    finally:
        by_gguf.get_gguf_hf_weights_map = inner
