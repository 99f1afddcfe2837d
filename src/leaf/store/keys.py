"""What names a stage's result: a hash of all that it depends on."""

import dataclasses
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from leaf.records import STORED_AS


def stage_key(stage: str, version: int, settings: Mapping[str, Any], inputs: Sequence[str]) -> str:
    """Return the 16 hex digits that name a stage's result.

    Args:
        stage: Name of the stage.
        version: Raised when the stage's code changes its result.
        settings: The part of the recipe that the result depends on (JSON values).
        inputs: Keys of the stages before, and fingerprints of models.
    """
    return digest({"stage": stage, "version": version, "settings": settings, "inputs": inputs})


def digest(value: Any) -> str:
    """Return 16 hex digits of the SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(_canonical(value)).hexdigest()[:16]


def plain(value: Any) -> Any:
    """Turn records, or sequences of them, into JSON values that name a result.

    Fields marked `leaf.records.UNNAMED` are left out at their default, so that records which do not
    use them have the names that they had before; those marked `NEVER_NAMED` are left out always.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {}
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            unused = "unnamed" in field.metadata and item == field.default
            if not unused and "never_named" not in field.metadata:
                named[stored_name(field)] = plain(item)
        return named
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def stored_name(field: "dataclasses.Field[object]") -> str:
    """Return what a field of a record is called in files and in what names a result."""
    name: str = field.metadata.get(STORED_AS, field.name)
    return name


def user_code_digest(made: Callable[..., Any]) -> dict[str, str]:
    """Return what names a result that a user's function decides: `code`, its file's content.

    Nothing for a function of this package, whose stages have versions. One that was typed at a
    prompt has no file: its name stands for it.
    """
    while isinstance(made, partial):
        made = made.func
    if made.__module__.partition(".")[0] == __package__.partition(".")[0]:
        return {}
    try:
        module = sys.modules[made.__module__]
        # A plugin's text as it was run: the file may have changed since.
        text = module.__dict__.get("__text__") or inspect.getsource(module)
    except (OSError, TypeError):
        text = f"{made.__module__}.{getattr(made, '__qualname__', '')}"
    return {"code": digest(text)}


def digest_of(values: Iterable[Any]) -> str:
    """Return `digest(list(values))`; only one of the JSON values is in memory at a time."""
    found = hashlib.sha256(b"[")
    for at, value in enumerate(values):
        found.update(b"," if at else b"")
        found.update(_canonical(value))
    found.update(b"]")
    return found.hexdigest()[:16]


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return text.encode()
