"""What a path is that is no model as LeaF reads one, and what to do about it: one line."""

import json
import stat
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from leaf.errors import ModelError

_POINTER = b"version https://git-lfs"
"""Begins what stands for a file that Git LFS has not fetched."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")

_SUFFIXES = {".safetensors", ".json", ".jinja", ".txt", ".model"}

_SAVE = "save it again with save_pretrained"

_KNOWN: tuple[tuple[str, str], ...] = (
    ("recipe.yaml", "is a run folder of leaf; its students are in {path}/student"),
    ("done.json", "is a result of a store; its student is in {path}/model"),
    (
        "adapter_config.json",
        "is an adapter; name its base as the model, and {path} as its `adapter`",
    ),
    ("model_index.json", "is a pipeline of diffusers, and no language model"),
    ("*.gguf", "holds GGUF files; name one of them: {found}"),
    ("*.onnx", "is exported to ONNX; take the model that it was made of"),
    ("*.tflite", "is exported to TensorFlow Lite; take the model that it was made of"),
    (
        "params.json",
        "has weights as Meta publishes them; take the folder for transformers",
    ),
    ("*.safetensors", "has weights and no config.json; fetch the whole model"),
    ("*.nemo", f"is a model of NeMo; convert it for transformers and {_SAVE}"),
)
"""File of a folder to what the folder is, the first that is there."""


def check_regular(name: str, folder: Path) -> None:
    """Refuse a folder with pipes, devices and the like, which would be read for ever."""
    for path in sorted(folder.iterdir()):
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise ModelError(f"{name}: {path} cannot be read: {error.strerror}") from None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ModelError(f"{name}: {path} is no file but a pipe or a device; remove it")
        if stat.S_ISDIR(mode) and path.suffix in _SUFFIXES:
            raise ModelError(f"{name}: {path} is a folder in the place of a file; {_AGAIN}")


def check_sizes(name: str, folder: Path) -> None:
    """Refuse files that are larger than any of their kind, which would take minutes to read."""
    for pattern, most in _LARGEST.items():
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.stat().st_size > most:
                raise ModelError(
                    f"{name}: {path.name} has {path.stat().st_size:,} bytes, and so is none; "
                    f"{_AGAIN}"
                )


def check_pointers(name: str, folder: Path) -> None:
    """Refuse files that Git LFS has not fetched."""
    for path in sorted((*folder.glob("*.safetensors"), *folder.glob("tokenizer*"))):
        if path.is_file() and _begins(path).startswith(_POINTER):
            raise ModelError(f"{name}: {path} stands for a file that is not here: {_FETCH}")


_FETCH = "run `git lfs pull` there, or fetch the model again"


def folder_is(name: str, folder: Path) -> ModelError:
    """Say what a folder is that has no config.json."""
    for pattern, says in _KNOWN:
        found = sorted(folder.glob(pattern))
        if found:
            what = says.format(path=name, found=", ".join(path.name for path in found[:3]))
            return ModelError(f"{name}: a model folder must hold config.json; this one {what}")
    if any(found for pattern in _PICKLES for found in folder.glob(pattern)):
        what = f"holds pickled weights, which are not loaded: {_SAVE}"
        return ModelError(f"{name}: a model folder must hold config.json; this one {what}")
    inner = sorted(path.parent.name for path in folder.glob("*/config.json"))
    is_empty = not any(folder.iterdir())
    what = "is empty" if is_empty else "does not"
    below = f"; a folder below it does: {name}/{inner[0]}" if inner else ""
    return ModelError(f"{name}: a model folder must hold config.json, but {folder} {what}{below}")


def file_is(name: str, path: Path) -> ModelError:
    """Say what a file is that does not end in .gguf."""
    if not path.is_file():
        return ModelError(f"{name}: is a pipe or a device, and no model")
    if _begins(path).startswith(b"GGUF"):
        return ModelError(f"{name}: is a GGUF file; give it a name that ends in .gguf")
    if path.suffix == ".safetensors" or path.name == "config.json":
        return ModelError(f"{name}: is one file of a model; name its folder, {path.parent}")
    return ModelError(
        f"{name}: is a file, and no model; a model is a hub id, a folder with config.json and "
        "*.safetensors, or a GGUF file"
    )


def check_gguf(name: str, path: Path) -> None:
    """Refuse what cannot be a GGUF file by its first bytes and its name."""
    try:
        mode = path.stat().st_mode
    except OSError:
        raise ModelError(f"{name}: no such GGUF file") from None
    if not stat.S_ISREG(mode):
        raise ModelError(f"{name}: is no file but a folder, a pipe or a device")
    begins = _begins(path)
    if begins.startswith(_POINTER):
        raise ModelError(f"{name}: stands for a file that is not here: {_FETCH}")
    if begins[:4] != b"GGUF":
        raise ModelError(
            f"{name}: is not a GGUF file: it begins with {begins[:4]!r}; fetch it again"
        )
    if "-of-0" in path.name:
        raise ModelError(
            f"{name}: is one part of several; join them with `llama-gguf-split --merge`"
        )


def check_config(name: str, folder: Path) -> None:
    """Refuse a config.json that is none, or is of a model that transformers has no code for.

    Raises:
        ModelError: says what it is and what to do.
    """
    path, what = folder / "config.json", f"{name}: config.json cannot be used: "
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{what}it is no JSON ({error!s:.100}); {_AGAIN}") from None
    if not isinstance(values, dict):
        raise ModelError(f"{what}it is no JSON object; {_AGAIN}")
    kind = values.get("model_type")
    if not isinstance(kind, str):
        raise ModelError(f"{what}it names no `model_type`; {_AGAIN}")
    if kind not in CONFIG_MAPPING:
        way_out = (
            "it brings code of its own, which is never run; take a model that transformers knows"
            if "auto_map" in values
            else "install a newer transformers, or take another model"
        )
        known = f"transformers {transformers.__version__} has no model type `{kind:.60}`"
        raise ModelError(f"{what}{known}; {way_out}")
    for part in (values, *(each for each in values.values() if isinstance(each, dict))):
        for key, value in part.items():
            # Such a name has transformers fetch code from the hub, where `kernels` is installed.
            if key.endswith("_implementation") and "/" in str(value):
                raise ModelError(
                    f"{what}`{key}` is {value!r:.60}, which names code of its own, and that is "
                    "never run; take the key out"
                )


def check_index(name: str, folder: Path) -> None:
    """Refuse a list of weights that is none, or names files that are not here."""
    path = folder / "model.safetensors.index.json"
    if not path.is_file():
        return
    what = f"{name}: {path.name} cannot be used: "
    try:
        files = set(json.loads(path.read_bytes())["weight_map"].values())
        missing = sorted(file for file in files if not (folder / file).is_file() or "/" in file)
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise ModelError(f"{what}it is no list of weights and their files; {_AGAIN}") from None
    if missing:
        raise ModelError(f"{what}it names {missing[0]!r:.80}, which is no file there; {_AGAIN}")


_AGAIN = "fetch the model again"

_LARGEST = {
    "config.json": 2**24,
    "*_config.json": 2**24,
    "*.jinja": 2**20,
    "*.json": 2**27,
    "*.txt": 2**27,
    "*.model": 2**27,
}
"""Bytes of a file: configurations with every layer's settings have a thousandth of that, the
largest tokenizers a third."""


def quantised_line(name: str, folder: Path) -> str | None:
    """Say in one line why a model's weights can be neither scored nor trained: quantised."""
    config = _config(folder)
    for part in (config, config.get("text_config")):
        found = isinstance(part, dict) and (
            part.get("quantization_config") or part.get("compression_config")
        )
        if found:
            method = found.get("quant_method", "") if isinstance(found, dict) else found
            return (
                f"{name}: its weights are quantised ({str(method) or 'quantization_config':.40}), "
                "and LeaF scores and trains plain ones; take the model that it was made of, or save"
                " a copy: load it with transformers, `model.dequantize()`, `save_pretrained`, and "
                "leave quantization_config out of its config.json"
            )
    return None


def _config(folder: Path) -> dict[str, Any]:
    """Return what config.json says; nothing where it cannot be read, which is told later."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _begins(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""
