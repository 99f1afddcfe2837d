"""Where a model's files lie: a hub name, a local folder or a GGUF file becomes a folder here.

A name `package:playground/models/student` is a folder inside the installed `leaf` package, whose
files must have the sums that were written when they were made. A GGUF file is dequantised once into
a safetensors folder in the cache (`$LEAF_CACHE`, else `~/.cache/leaf`).
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from leaf.errors import LeafError, ModelError, StoreError, nearest
from leaf.models.quiet import quiet
from leaf.models.strange import (
    check_config,
    check_gguf,
    check_index,
    check_pointers,
    check_regular,
    check_sizes,
    file_is,
    folder_is,
    quantised_line,
)
from leaf.recipe import ModelSection
from leaf.recipe.names import is_path
from leaf.store.disk import sha256_of
from leaf.store.hub import hub_or_cache, unreached
from leaf.store.store import write_whole

_MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
"""What is fetched from a hub repository: never a pickle, never code."""


_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".onnx", ".zip", ".gz", ".tar")
_TABLES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".xlsx", ".xls", ".txt", ".yaml", ".yml")
_FILE_ENDINGS = {*_WEIGHTS, *_TABLES}
"""What ends so is the name of a file, and no hub id."""

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""What a folder with an adapter holds, as PEFT names it."""

PACKAGE = "package:"
"""Starts the name of what lies inside the installed package."""

SUMS = "sums.json"
"""Beside bundled models: `<model>/<file>` to the SHA-256 of that file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A model that is there: where its files lie and what names its content."""

    name: str
    """As the recipe names it."""
    files: Path | None = None
    """The folder of its files; None of a model in memory or on a server."""
    fingerprint: str
    """Names the content: a hub commit, or a hash over the files."""
    adapter: Path | None = None
    """The folder of an adapter that is put onto it."""
    held: Any = field(default=None, repr=False, compare=False)
    """The `leaf.models.load.Loaded` of a model that is in memory already; None: it is loaded."""

    @property
    def folder(self) -> Path:
        """Where its files lie; raises `ModelError` where there are none, so that no others' are."""
        if self.files is None:
            raise ModelError(f"{self.name}: is in memory or on a server, and has no files here")
        return self.files


def find(section: ModelSection, *, weights: bool = True, quantised: bool = False) -> Source:
    """Bring a model's files onto this machine (download, conversion) without loading it.

    Files like these that nobody has opened yet are opened in a process of their own.

    Args:
        section: The model's part of the recipe.
        weights: Whether those of a GGUF file are converted as well; False: its tokenizer and
            configuration alone, for who reads the file itself.
        quantised: Whether weights that are will do, for who alone answers with them.

    Raises:
        ModelError: no such model or adapter, one without safetensors weights, or one that cannot be
            opened.
    """
    from leaf.models.opening import open_first

    source = _find(section, weights=weights)
    if section.adapter is not None:
        source = _with_adapter(source, section.adapter)
    check_config(source.name, source.folder)
    check_index(source.name, source.folder)
    refused = quantised_line(source.name, source.folder)
    if refused and not quantised:
        raise ModelError(refused)
    # What the package brings was held against its sums.
    if section.adapter is not None or not section.model.startswith(PACKAGE):
        open_first(source, weights=weights and not refused)
    return source


def _find(section: ModelSection, *, weights: bool) -> Source:
    name = section.model
    if name.startswith(PACKAGE):
        return find_bundled(name, Path(str(resources.files("leaf"))))
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _find_gguf(name, path, weights=weights)
    # Not the methods of a path, which raise where a name is too long for one.
    if os.path.isdir(path):  # noqa: PTH112
        return _find_folder(name, path)
    if os.path.exists(path):  # noqa: PTH110
        raise file_is(name, path)
    if is_path(name):
        raise ModelError(f"{name}: no such model folder or GGUF file")
    # Before the hub is asked; a name such as Qwen2.5-0.5B has none of these endings.
    if path.suffix.lower() in _FILE_ENDINGS:
        raise ModelError(
            f"{name}: no such file; a model is a hub id, a folder with config.json and "
            "*.safetensors, or a GGUF file"
        )
    return _find_on_hub(section)


def _with_adapter(source: Source, name: str) -> Source:
    folder = Path(name).expanduser()
    for file in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / file).is_file():
            raise ModelError(
                f"{name}: an adapter's folder must hold {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}, "
                f"but {file} is not there; pickled weights are not loaded"
            )
    check_regular(name, folder)
    check_sizes(name, folder)
    fingerprint = f"{source.fingerprint}+{_hash_files(folder)}"
    return replace(source, name=f"{source.name}+{name}", fingerprint=fingerprint, adapter=folder)


def trained(arm: str, folder: Path) -> Source:
    """Return the student that an arm (`kd`, `leaf`) trained, by its stage folder in a store."""
    return Source(
        name=f"student {arm}", files=folder / "model", fingerprint=f"student@{folder.name}"
    )


def cache_folder() -> Path:
    """Return where converted models are kept: `$LEAF_CACHE`, else `~/.cache/leaf`.

    Raises:
        StoreError: there is neither, as for users of a container that have no home.
    """
    own = os.environ.get("LEAF_CACHE")
    try:
        return Path(own) if own else Path.home() / ".cache" / "leaf"
    except RuntimeError:
        raise StoreError(
            "there is no home folder here, so nothing can be kept; set LEAF_CACHE to a folder"
        ) from None


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn a library's error over damaged or foreign files into one line after `what`."""
    try:
        yield
    except (LeafError, torch.OutOfMemoryError):
        raise
    # What transformers, safetensors, tokenizers and gguf raise has no class of its own.
    except Exception as error:
        raise ModelError(f"{what}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if isinstance(error, KeyError):
        return f"{lines[0]} is not known"
    # Where a first line only announces the second.
    return (
        f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and lines[1:] else lines[0].rstrip(":")
    )


def find_bundled(name: str, package: Path) -> Source:
    """Find a model inside the package and check each of its files; nothing is written there.

    Args:
        name: `package:` and the model's folder in the package.
        package: Folder of the installed package.

    Raises:
        ModelError: there is no such model, or one of its files is missing or damaged: names the
            file, the sum that it must have and the one that it has.
    """
    folder = package / name.removeprefix(PACKAGE)
    sums = folder.parent / SUMS
    if not sums.is_file():
        raise ModelError(f"{name}: there is no such bundled model")
    with readable(f"{name}: {sums} cannot be read"):
        everything = json.loads(sums.read_text(encoding="utf-8")).items()
    expected = {
        file: sha256
        for file, sha256 in everything
        if PurePosixPath(file).parent.name == folder.name
    }
    if not expected:
        beside = name.rpartition("/")[0]
        known = {f"{beside}/{PurePosixPath(file).parent.name}" for file, _ in everything}
        raise ModelError(f"{name}: there is no such bundled model{nearest(name, known)}")
    for file, sha256 in expected.items():
        path = folder.parent / file
        found = sha256_of(path) if path.is_file() else "missing"
        if found != sha256:
            raise ModelError(
                f"{name}: {path} is damaged: its SHA-256 must be {sha256}, but is {found}; "
                "install leaf again"
            )
    return Source(name=name, files=folder, fingerprint=_hash_files(folder))


def _find_folder(name: str, folder: Path) -> Source:
    check_regular(name, folder)
    if not (folder / "config.json").is_file():
        raise folder_is(name, folder)
    if not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"{name}: no *.safetensors in {folder}; pickled weights are not loaded: "
            "save them again with save_pretrained"
        )
    check_pointers(name, folder)
    check_sizes(name, folder)
    return Source(name=name, files=folder, fingerprint=_hash_files(folder))


def _find_on_hub(section: ModelSection) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = section.model
    try:
        with quiet(), hub_or_cache():
            snapshot = snapshot_download(
                name, revision=section.revision, allow_patterns=_MODEL_FILES
            )
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{name}: not a local folder or GGUF file, and {unreached('a local path')}"
        ) from None
    except (HfHubHTTPError, HFValidationError) as error:
        raise ModelError(f"{name}: the hub refused it: {str(error).splitlines()[0]}") from None
    folder = Path(snapshot)
    check_sizes(name, folder)
    # The cache lays a snapshot in a folder named by its commit.
    return Source(name=name, files=folder, fingerprint=f"{name}@{folder.name}")


def _find_gguf(name: str, path: Path, *, weights: bool) -> Source:
    check_gguf(name, path)
    fingerprint = _hash_files(path)
    called = f"{path.stem}-{fingerprint.removeprefix('sha256:')}"
    folder = cache_folder() / "converted" / called
    if not weights and not folder.is_dir():
        folder = cache_folder() / "tokenizers" / called
    if not folder.is_dir():
        from leaf.models.gguf import convert

        convert(path, folder, weights=weights)
    return Source(name=name, files=folder, fingerprint=fingerprint)


def _hash_files(path: Path) -> str:
    """Return a hash over a file or a folder's model files, remembered by size and time."""
    files = [path] if path.is_file() else sorted(_model_files(path))
    known: dict[str, list[Any]] = {}
    # What is not there yet, or was cut, is computed again.
    with suppress(OSError, ValueError, StoreError):
        known = json.loads(_memory().read_text())
    whole = hashlib.sha256()
    changed = False
    for file in files:
        stamp = [file.stat().st_size, file.stat().st_mtime_ns]
        entry = known.get(str(file.resolve()))
        if entry is None or entry[:2] != stamp:
            entry = [*stamp, sha256_of(file)]
            known[str(file.resolve())] = entry
            changed = True
        whole.update(f"{file.name if path.is_dir() else ''}:{entry[2]}\n".encode())
    # Where nothing can be kept, each process reads the files again.
    with suppress(OSError, StoreError):
        if changed:
            _memory().parent.mkdir(parents=True, exist_ok=True)
            write_whole(_memory(), json.dumps(known).encode())
    return f"sha256:{whole.hexdigest()[:16]}"


def _memory() -> Path:
    return cache_folder() / "fingerprints.json"


def _model_files(folder: Path) -> Iterator[Path]:
    for pattern in _MODEL_FILES:
        yield from folder.glob(pattern)
