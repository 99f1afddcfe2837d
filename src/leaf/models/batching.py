"""Batches by token budget, halved and tried again when memory runs out."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from leaf.errors import OutOfMemoryError
from leaf.models.load import release_memory
from leaf.progress import say

T = TypeVar("T")


def plan_batches(lengths: Sequence[int], *, token_budget: int, max_items: int) -> list[list[int]]:
    """Group indices into batches of like length, longest first, so that padding stays small.

    A batch of n items padded to its longest costs n * longest <= `token_budget` tokens; an item
    that alone exceeds the budget is a batch by itself. Longest first: if memory does not suffice,
    that shows at once and not after hours.

    Args:
        lengths: Tokens of each item.
        token_budget: Most tokens in a batch, padding included.
        max_items: Most items in a batch.
    """
    order = sorted(range(len(lengths)), key=lambda item: (-lengths[item], item))
    batches: list[list[int]] = []
    for item in order:
        batch = batches[-1] if batches else None
        if batch and len(batch) < max_items:
            longest = lengths[batch[0]]
            if (len(batch) + 1) * longest <= token_budget:
                batch.append(item)
                continue
        batches.append([item])
    return batches


def pack_batches(lengths: Sequence[int], *, token_budget: int) -> list[list[int]]:
    """Group indices into batches of at most `token_budget` tokens side by side, longest first.

    As `plan_batches`, for batches that are not padded.
    """
    order = sorted(range(len(lengths)), key=lambda item: (-lengths[item], item))
    batches: list[list[int]] = []
    filled: list[int] = []
    for item in order:
        # Into the first batch with room: nearly as few as there can be.
        fits = (at for at, tokens in enumerate(filled) if tokens + lengths[item] <= token_budget)
        at = next(fits, None)
        if at is None:
            batches.append([item])
            filled.append(lengths[item])
        else:
            batches[at].append(item)
            filled[at] += lengths[item]
    return batches


def run_halving(batch: Sequence[T], run: Callable[[Sequence[T]], None], *, what: str) -> None:
    """Run a batch; when memory runs out, say so and run its two halves instead.

    `run` must leave no trace when it fails. A single item that does not fit raises
    `OutOfMemoryError`.
    """
    try:
        run(batch)
        return
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler, so that the failed attempt's tensors are no longer referenced.
    half = halved(len(batch), what=what)
    run_halving(batch[:half], run, what=what)
    run_halving(batch[half:], run, what=what)


def halved(items: int, *, what: str) -> int:
    """Return how many items to try at a time after memory ran out with so many, and say it.

    Raises:
        OutOfMemoryError: it was one single item.
    """
    release_memory()
    if items == 1:
        raise OutOfMemoryError(
            f"{what}: one single item does not fit in memory; use a smaller model, a shorter limit "
            "or a machine with more memory. What was computed before is kept"
        )
    say(f"{what}: memory ran out with {items} items in a batch; trying again with {items // 2}")
    return items // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device or the host ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
