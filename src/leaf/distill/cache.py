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
from leaf.errors import StoreError
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
        for path in sorted(folder.glob("part-*.safetensors")):
            part = _open(path, key)
            self._parts |= dict.fromkeys(part.keys(), part)

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
        write_whole(path, save(tensors, metadata={"key": self.key}))
        part = _open(path, self.key)
        self._parts |= dict.fromkeys(tensors, part)

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
        return tensor


def fill(
    cache: TeacherCache,
    items: Sequence[EncodedExample],
    produce: Produce,
    tick: Callable[[int], None],
) -> None:
    """Compute and write what the cache lacks of some conversations, part by part."""
    missing = cache.missing(items)
    for start in range(0, len(missing), ROWS_A_PART):
        part = missing[start : start + ROWS_A_PART]
        cache.add(part, produce(part))
        tick(len(part))


def write_head(folder: Path, head: Head) -> None:
    """Keep a teacher's output head, so that training needs nothing else of it."""
    tensors = {"weight": head.weight.detach()}
    if head.bias is not None:
        tensors["bias"] = head.bias.detach()
    shape = json.dumps({"scale": head.scale, "softcap": head.softcap})
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(folder / HEAD, save(whole, metadata={"head": shape}))


def read_head(folder: Path, device: torch.device) -> Head:
    """Read the output head that `write_head` kept."""
    path = folder / HEAD
    try:
        with safe_open(path, framework="pt") as file:
            shape = json.loads(file.metadata()["head"])
            tensors = {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118
        return Head(tensors["weight"], tensors.get("bias"), shape["scale"], shape["softcap"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _unusable(path, f"damaged ({error})") from None


def _open(path: Path, key: str) -> Any:
    try:
        part = safe_open(path, framework="pt")
        found = (part.metadata() or {}).get("key")  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        raise _unusable(path, f"damaged or cut short ({error})") from None
    if found != key:
        raise _unusable(path, "of another teacher or setting")
    return part


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(f"{path}: {why}; delete it and run the same command to compute it again")
