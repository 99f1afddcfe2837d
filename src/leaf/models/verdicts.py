"""What rehearsals found, kept by content: in this process, and in the cache on disk."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from leaf.errors import StoreError
from leaf.models.files import cache_folder
from leaf.models.paths import Paths
from leaf.store.store import write_whole

_FOUND: dict[str, Paths] = {}
"""Of this process, by key."""

_NO_MATTER = ("_name_or_path", "transformers_version", "dtype")
"""Settings that say where a model comes from, not what it computes."""


def kept(key: str, find: Callable[[], Paths]) -> Paths:
    """Return what was found, or find it now and keep it."""
    paths = known(key)
    if paths is None:
        paths = _FOUND[key] = find()
        with suppress(OSError, StoreError):  # a cache that cannot be written costs seconds
            file = _file(key)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(asdict(paths)).encode())
    return paths


def known(key: str) -> Paths | None:
    """Return what was found; None: nothing yet."""
    if key not in _FOUND:
        # What is not there, or was cut, is found again.
        with suppress(OSError, ValueError, TypeError, StoreError):
            _FOUND[key] = Paths(**json.loads(_file(key).read_text(encoding="utf-8")))
    return _FOUND.get(key)


def copy_key(config: Any, kind: str | None) -> str:
    """Name what a tiny copy shows, by the model's configuration and class."""
    settings: dict[str, Any] = config.to_dict()
    return _key([{k: v for k, v in settings.items() if k not in _NO_MATTER}, kind])


def own_key(fingerprint: str, dtype: torch.dtype, device: torch.device) -> str:
    """Name what a model's own weights show, by their content and where they compute in what."""
    return _key([fingerprint, str(dtype), device.type])


def _key(of: Any) -> str:
    text = json.dumps([_tried(), of], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@cache
def _tried() -> list[str]:
    """Name what is tried, and what it is held against: our own code and the libraries."""
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return [code.hexdigest(), version("torch"), version("transformers")]


def _file(key: str) -> Path:
    return cache_folder() / "rehearsals" / f"{key}.json"
