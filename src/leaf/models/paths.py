"""Which ways to run a model are right, as its rehearsal found (`leaf.models.rehearsal`).

*packed*: rows side by side as one sequence, by attention of our own; *padded*: the model's own
forward over a batch; *alone*: its own forward, one row at a time. Each is slower than the one
before, and all that a family computes otherwise is left to the next.
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from leaf.errors import ModelError

if TYPE_CHECKING:
    from leaf.models.padding import Batch

Way = Literal["packed", "padded", "alone"]

USES = ("sensitivity", "ablation", "generation", "training")
"""What a model is run for: gradients of embeddings; losses of many alike; answers; learning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """What is right of one model."""

    packs: bool
    """Rows as one sequence: hidden states and gradients."""
    shares: bool
    """A cache that is cut and forked: hidden states, next tokens."""
    pads: bool
    """Rows padded on their right."""
    answers_padded: bool
    """The library's own loop over prompts padded on their left."""
    learns_packed: bool
    """Packed as well while it learns; not where attention has dropout."""
    border: int | None = None
    """Rows of more tokens than this are computed otherwise, so never beside shorter ones."""
    bounded: bool = False
    """A row of more tokens than there are positions cannot run: they are a table, as if learned."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Field above to why it is not so."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Use to why no way is right."""

    def way(self, use: str) -> Way:
        """Return how a model runs for a use, unless that is refused."""
        fast, plain = _FACTS[use]
        if all(getattr(self, name) for name in fast):
            return "packed"
        return "padded" if getattr(self, plain) else "alone"

    def slower(self, use: str) -> str:
        """Return why a use does not take the fastest way; "" where it does."""
        fast, plain = _FACTS[use]
        way = self.way(use)
        names = [] if way == "packed" else fast if way == "padded" else (plain, *fast)
        return next((self.why[name] for name in names if name in self.why), "")

    def check(self, use: str, name: str) -> None:
        """Refuse a use of the model `name` that no way is right for.

        Raises:
            ModelError: says why.
        """
        if use in self.refused:
            raise ModelError(f"{name}: {use} cannot be right: {self.refused[use]}")

    def parts(self, lengths: Sequence[int], *, together: bool | None = None) -> list[list[int]]:
        """Return which rows of so many tokens may stand side by side.

        Args:
            lengths: Tokens of each row.
            together: Whether any may; None: padded on their right.
        """
        if not (self.pads if together is None else together):
            return [[row] for row in range(len(lengths))]
        border = self.border
        if border is None:
            return [list(range(len(lengths)))]
        short = [row for row, length in enumerate(lengths) if length <= border]
        long = [[row] for row, length in enumerate(lengths) if length > border]
        return [short, *long] if short else long

    def past_border(self, batch: "Batch") -> bool:
        """Whether a batch has a row of more tokens than the border."""
        return self.border is not None and int(batch.mask_BT.sum(dim=1).max()) > self.border

    @property
    def slow(self) -> bool:
        """Whether any use does not take the fastest way."""
        return bool(self.refused) or any(self.way(use) != "packed" for use in USES)

    @property
    def line(self) -> str:
        """Say which ways the uses take, and why no faster one."""
        return "; ".join(self._told())

    def _told(self) -> Iterator[str]:
        told: dict[str, list[str]] = {}
        for use in USES:
            if use in self.refused:
                line = f"refused: {self.refused[use]}"
            else:
                reason = self.slower(use)
                line = f"{self.way(use)} ({reason})" if reason else self.way(use)
            told.setdefault(line, []).append(use)
        for line, uses in told.items():
            yield f"{', '.join(uses)}: {line}"
        if self.border is not None:
            yield f"rows past {self.border} tokens: alone ({self.why['border']})"


_FACTS: dict[str, tuple[tuple[str, ...], str]] = {
    "sensitivity": (("packs",), "pads"),
    "ablation": (("shares",), "pads"),
    "generation": (("shares",), "answers_padded"),
    "training": (("packs", "learns_packed"), "pads"),
}
"""What must hold for a use to run packed, and to run padded."""

_FOUND: "weakref.WeakKeyDictionary[Any, Paths]" = weakref.WeakKeyDictionary()
"""Of models that are in memory."""


def paths_of(model: Any, fingerprint: str | None = None) -> Paths:
    """Return what a model's rehearsal found; it is made now where it was not made before.

    Args:
        model: A causal language model, whole on one device.
        fingerprint: Names its content, by which the verdict is kept; None: for this object alone.
    """
    if model not in _FOUND:
        from leaf.models.rehearsal import rehearse  # it runs what goes by its verdict

        _FOUND[model] = rehearse(model, fingerprint)
    return _FOUND[model]


def forget(model: Any) -> None:
    """Let a model forget rows past its border: rotation stays as the longest of them made it.

    A row of one token makes it what it was.
    """
    inputs = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    with torch.no_grad():
        model.base_model(input_ids=inputs, use_cache=False)
