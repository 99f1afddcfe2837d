"""What a teacher says, computed once and kept: last hidden states (exact) or likeliest tokens.

A cache's folder holds `part-00000.safetensors ...`, each written whole, and for hidden states the
teacher's output head. Entries are named by content (the token ids and where the response begins),
never by step or place, so that every arm and every later run finds what it shares with others.

Axes: R response positions, D width of the teacher, V its vocabulary, K tokens kept a position.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from leaf.distill.sample import content_key
from leaf.distill.whole import digest
from leaf.errors import MissingError, StoreError
from leaf.models.output_head import Head
from leaf.models.prompt_format import EncodedExample
from leaf.store.store import write_whole

Kind = Literal["hidden", "topk"]

Produce = Callable[[Sequence[EncodedExample]], list[dict[str, Tensor]]]
"""Conversations -> what is kept of each, by field: `FIELDS` of the cache's kind."""

FIELDS: dict[Kind, tuple[str, ...]] = {"hidden": ("states",), "topk": ("ids", "log")}
"""hidden: states [R, D] in the teacher's dtype. topk: ids [R, K] int32 and log-probabilities [R, K]
float32, the likeliest first."""

HEAD = "head.safetensors"
"""Beside the parts: the teacher's output head."""

ROWS_A_PART = 64
"""A kill costs at most so many rows."""


class RowsMissingError(MissingError):
    """Requests about some conversations failed, the last one as the message says."""

    def __init__(self, message: str, entries: Sequence[dict[str, Tensor] | None]) -> None:
        super().__init__(message)
        self.entries = entries
        """What is kept of each conversation; None where its request failed."""


class TeacherCache:
    """The entries of one teacher in one folder; open it again to see what was added."""

    def __init__(self, folder: Path, key: str, kind: Kind) -> None:
        """Read what is there.

        Args:
            folder: Where the parts lie.
            key: What decides the entries besides content: teacher, dtype, number of tokens.
            kind: What is kept.

        Raises:
            StoreError: a part is cut short, or of another teacher or setting.
        """
        self.folder = folder
        self.key = key
        self.kind = kind
        self._parts: dict[str, Any] = {}
        """Name of each tensor to the open part that holds it."""
        self._hashes: dict[str, str] = {}
        """The same, to the SHA-256 of its bytes; parts of earlier versions have none."""
        for path in sorted(folder.glob("part-*.safetensors")):
            self._take(path)

    def missing(self, items: Iterable[EncodedExample]) -> list[EncodedExample]:
        """Return the conversations that have no entry, each once, in their order."""
        found = {content_key(item): item for item in items}
        last = FIELDS[self.kind][-1]
        return [item for name, item in found.items() if f"{name}.{last}" not in self._parts]

    def states(self, items: Sequence[EncodedExample]) -> Tensor:
        """Return the hidden states of all response positions [R, D]."""
        return torch.cat([self._read(item, "states") for item in items])

    def tops(self, items: Sequence[EncodedExample]) -> tuple[Tensor, Tensor]:
        """Return ids [R, K] (int64) and log-probabilities [R, K] of all response positions."""
        ids = torch.cat([self._read(item, "ids") for item in items])
        return ids.long(), torch.cat([self._read(item, "log") for item in items])

    def add(self, items: Sequence[EncodedExample], entries: Sequence[Mapping[str, Tensor]]) -> None:
        """Write the entries of some conversations as one more part."""
        tensors = {
            f"{content_key(item)}.{name}": tensor.cpu().contiguous()
            for item, entry in zip(items, entries, strict=True)
            for name, tensor in entry.items()
        }
        # Not their count: one that was damaged may have been deleted.
        numbers = [int(path.stem[5:]) for path in self.folder.glob("part-*.safetensors")]
        path = self.folder / f"part-{max(numbers, default=-1) + 1:05d}.safetensors"
        about = {"key": self.key, "sha256": {name: digest(one) for name, one in tensors.items()}}
        # One entry: safetensors writes several in any order.
        write_whole(path, save(tensors, metadata={"part": json.dumps(about)}))
        self._take(path)

    def _take(self, path: Path) -> None:
        """Have the entries of a part."""
        part, hashes = _open(path, self.key)
        self._parts |= dict.fromkeys(part.keys(), part)
        self._hashes |= hashes

    def _read(self, item: EncodedExample, name: str) -> Tensor:
        key = f"{content_key(item)}.{name}"
        if key not in self._parts:
            raise StoreError(
                f"{self.folder}: holds nothing of a row of {len(item.ids)} tokens; run the same "
                "command again to compute what is missing"
            )
        tensor: Tensor = self._parts[key].get_tensor(key)
        if len(tensor) != item.response_length:
            raise StoreError(
                f"{self.folder}: has {len(tensor)} positions of a response of "
                f"{item.response_length}; delete the folder to compute it again"
            )
        if key in self._hashes and self._hashes[key] != digest(tensor):
            raise StoreError(
                f"{self.folder}: what it holds of a row of {len(item.ids)} tokens is damaged; "
                "delete the folder to compute it again"
            )
        return tensor


def fill(
    cache: TeacherCache,
    items: Sequence[EncodedExample],
    produce: Produce,
    tick: Callable[[int], None],
) -> None:
    """Compute and write what the cache lacks of some conversations, part by part.

    Raises:
        MissingError: requests failed, all of a part or any in the end; what came is kept.
    """
    missing = cache.missing(items)
    failed, last = 0, ""
    for start in range(0, len(missing), ROWS_A_PART):
        part = missing[start : start + ROWS_A_PART]
        found: Sequence[dict[str, Tensor] | None]
        try:
            found = produce(part)
        except RowsMissingError as error:
            found, last = error.entries, str(error)
        kept = [(item, entry) for item, entry in zip(part, found, strict=True) if entry is not None]
        if kept:
            cache.add([item for item, _ in kept], [entry for _, entry in kept])
        failed += len(part) - len(kept)
        tick(len(kept))
        if not kept:
            break
    if failed:
        are = "request" if failed == 1 else "requests"
        raise MissingError(
            f"{failed} {are} of {len(missing)} rows failed, the last: {last}; run the same command "
            "again: what came is kept"
        )


def write_head(folder: Path, head: Head) -> None:
    """Keep a teacher's output head, so that training needs nothing else of it."""
    tensors = {"weight": head.weight.detach()}
    if head.bias is not None:
        tensors["bias"] = head.bias.detach()
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    shape = {"scale": head.scale, "softcap": head.softcap, "sha256": digest(*whole.values())}
    write_whole(folder / HEAD, save(whole, metadata={"head": json.dumps(shape)}))


def read_head(folder: Path, device: torch.device) -> Head:
    """Read the output head that `write_head` kept."""
    path = folder / HEAD
    try:
        with safe_open(path, framework="pt") as file:
            shape = json.loads(file.metadata()["head"])
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys(), reverse=True)}
        found = digest(*tensors.values())
        if shape.get("sha256", found) != found:
            raise ValueError("not as it was written")
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        return Head(tensors["weight"], tensors.get("bias"), shape["scale"], shape["softcap"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _unusable(path, f"damaged ({error})") from None


def _open(path: Path, key: str) -> tuple[Any, dict[str, str]]:
    """Open a part; return it with the hash of each entry, which earlier versions did not write."""
    try:
        part = safe_open(path, framework="pt")
        about = part.metadata() or {}  # type: ignore[no-untyped-call]
        about = json.loads(about["part"]) if "part" in about else about
        found, hashes = about.get("key"), about.get("sha256", {})
    except (OSError, SafetensorError, ValueError, AttributeError) as error:
        raise _unusable(path, f"damaged or cut short ({error})") from None
    if found != key:
        raise _unusable(path, "of another teacher or setting")
    return part, hashes


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(f"{path}: {why}; delete it and run the same command to compute it again")
