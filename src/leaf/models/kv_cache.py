"""Sequences side by side in one cache: fed, forked, taken back, each of its own length.

A token's slot in the cache is its position, so a row forgets its last tokens by being shorter: what
comes next is written over them. The rows' new tokens go through the model side by side as one
sequence without padding; only attention, which costs little, sees them row by row.

Axes: N tokens fed in one pass, B rows, K tokens of the row with most, T slots, H heads of queries,
G heads of keys, D width of a hidden state, W width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor
from transformers import AttentionInterface, Cache
from transformers.cache_utils import DynamicLayer

from leaf.models.attention import check_plain
from leaf.models.output_head import attention_by, backbone

_STEP = 64
"""Slots are added so many at a time: every addition copies the cache."""

_WIDEST = 256
"""Most tokens of a row in one pass, so that attention's mask stays small."""


class RaggedCache:
    """Token sequences side by side in one model's cache, each of its own length."""

    def __init__(self, model: Any, count: int) -> None:
        """Open `count` empty rows of a model that `shares` (`leaf.models.paths`)."""
        self.model = model
        self.lengths = [0] * count
        """Tokens of each row that the cache holds and attention sees; may be made less."""
        self.hidden = [(0, 0)] * count
        """Of each row the slots (first, and behind the last) that what comes after does not see."""
        layers = model.config.get_text_config().num_hidden_layers
        self._layers = [_Layer() for _ in range(layers)]

    def feed(self, tokens: Sequence[Sequence[int]]) -> list[Tensor]:
        """Append tokens to every row (some may get none); return the last hidden states of each.

        Forward only. `feed(tokens)[i]` is [len(tokens[i]), D].
        """
        widest = max(len(row) for row in tokens)
        parts = [
            self._pass([row[at : at + _WIDEST] for row in tokens])
            for at in range(0, widest, _WIDEST)
        ]
        return [torch.cat(states) for states in zip(*parts, strict=True)]

    def _pass(self, tokens: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
        device = self.model.device
        counts = [len(row) for row in tokens]
        now = _Pass.of(self.lengths, counts, self.hidden, device)
        for layer in self._layers:
            layer.now = now
        ids_1N = torch.tensor([[token for row in tokens for token in row]], device=device)
        with torch.no_grad(), attention_by(self.model, "leaf_rows"):
            hidden_1ND = backbone(self.model)(
                input_ids=ids_1N,
                position_ids=now.slots_N[None],
                past_key_values=Cache(layers=list(self._layers)),
                use_cache=True,
                leaf_pass=now,
            ).last_hidden_state
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        return hidden_1ND[0].split(counts)  # type: ignore[no-any-return]

    def fork(
        self,
        parents: Sequence[int],
        lengths: Sequence[int],
        hidden: Sequence[tuple[int, int]] | None = None,
    ) -> "RaggedCache":
        """Return new rows: row i is a copy of the first `lengths[i]` tokens of row `parents[i]`.

        `hidden[i]` are slots (first, and behind the last) that what row i is fed does not see.
        """
        for parent, length in zip(parents, lengths, strict=True):
            if not 0 <= length <= self.lengths[parent]:
                raise ValueError(
                    f"`length` must lie in 0 to {self.lengths[parent]} (row {parent}), not {length}"
                )
        forked = RaggedCache(self.model, len(parents))
        forked.lengths = list(lengths)
        forked.hidden = list(hidden or [self.hidden[parent] for parent in parents])
        index_B = torch.tensor(parents, device=self.model.device)
        for child, parent_layer in zip(forked._layers, self._layers, strict=True):
            child.copy(parent_layer, index_B, max(lengths))
        return forked

    def place(self, other: "RaggedCache", rows: Sequence[int], targets: Sequence[int]) -> None:
        """Copy rows of another cache over rows here: empty ones, or new ones at the end."""
        if not rows:
            return
        more = max(targets) + 1 - len(self.lengths)
        self.lengths += [0] * more
        self.hidden += [(0, 0)] * more
        for row, target in zip(rows, targets, strict=True):
            self.lengths[target] = other.lengths[row]
            self.hidden[target] = other.hidden[row]
        reach = max(other.lengths[row] for row in rows)
        rows_B, targets_B = (torch.tensor(at, device=self.model.device) for at in (rows, targets))
        for layer, other_layer in zip(self._layers, other._layers, strict=True):
            layer.place(other_layer, rows_B, targets_B, len(self.lengths), reach)

    def keep(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these; they are numbered anew in this order."""
        self.lengths = [self.lengths[row] for row in rows]
        self.hidden = [self.hidden[row] for row in rows]
        index_B = torch.tensor(rows, device=self.model.device)
        for layer in self._layers:
            # Layer by layer, so that only one layer is there twice at a time.
            layer.copy(layer, index_B, max(self.lengths))


@dataclass(frozen=True, slots=True)
class _Pass:
    """Which rows the tokens of one pass belong to."""

    rows_N: Tensor
    places_N: Tensor
    """Number of each token among its row's new ones: 0 to K - 1."""
    slots_N: Tensor
    sees_BKT: Tensor
    """True for the slots up to each token's own; padding sees the first alone, and is not read."""
    masks: dict[int, Tensor] = field(default_factory=dict)
    """What `mask` made: the same in every layer that has as many heads to a key."""

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        counts: Sequence[int],
        hidden: Sequence[tuple[int, int]],
        device: torch.device,
    ) -> "_Pass":
        """Plan to append `counts[i]` tokens to row i (`lengths[i]` long), blind to `hidden[i]`."""
        rows_N = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        places_N = torch.cat([torch.arange(count) for count in counts])
        slots_N = torch.tensor(lengths)[rows_N] + places_N
        slots_BK = torch.zeros(len(counts), max(counts), dtype=torch.long)
        slots_BK[rows_N, places_N] = slots_N
        sees_BKT = torch.arange(int(slots_N.max()) + 1) <= slots_BK[:, :, None]
        for row, (first, behind) in enumerate(hidden):
            if first < behind:
                sees_BKT[row, slots_BK[row] >= behind, first:behind] = False
        return cls(rows_N.to(device), places_N.to(device), slots_N.to(device), sees_BKT.to(device))

    def mask(self, share: int) -> Tensor:
        """Return which slots each query sees [B, 1, K x `share`, T]: a token has `share` heads."""
        if share not in self.masks:
            self.masks[share] = self.sees_BKT.repeat_interleave(share, dim=1)[:, None]
        return self.masks[share]


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer [B, G, T, W], written by slot."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: tuple[Tensor, Tensor] | None = None
        self.now: _Pass | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_options: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new tokens' keys and values [1, G, N, W]; return all slots of all rows."""
        assert self.now  # noqa: S101 - `RaggedCache` says where before each pass
        batch, _, reach = self.now.sees_BKT.shape
        kept = self.kept or tuple(
            new.new_zeros(batch, new.shape[1], 0, new.shape[3])
            for new in (key_states, value_states)
        )
        keys, values = (
            whole if whole.shape[2] >= reach else _longer(whole, reach + _STEP) for whole in kept
        )
        # Two index tensors around a slice put the indexed axis first: [N, G, W].
        keys[self.now.rows_N, :, self.now.slots_N] = key_states[0].transpose(0, 1)
        values[self.now.rows_N, :, self.now.slots_N] = value_states[0].transpose(0, 1)
        self.kept = keys, values
        return keys, values

    def place(
        self, other: "_Layer", rows_B: Tensor, targets_B: Tensor, batch: int, reach: int
    ) -> None:
        """Take the first slots of another layer's rows over rows of `batch` rows."""
        assert other.kept  # noqa: S101 - its rows were fed
        news = [whole[:, :, :reach].index_select(0, rows_B) for whole in other.kept]
        olds = self.kept or [new[:0] for new in news]
        placed = []
        for old, new in zip(olds, news, strict=True):
            slots = max(old.shape[2], reach)
            if old.shape[0] < batch or old.shape[2] < slots:
                whole = old.new_zeros(batch, old.shape[1], slots + _STEP, old.shape[3])
                whole[: old.shape[0], :, : old.shape[2]] = old
                old = whole  # noqa: PLW2901 - the same rows with more room
            old[targets_B, :, :reach] = new
            placed.append(old)
        self.kept = placed[0], placed[1]

    def copy(self, other: "_Layer", rows_B: Tensor, reach: int) -> None:
        """Become the first slots of another layer's rows."""
        if other.kept:
            keys, values = (whole[:, :, :reach].index_select(0, rows_B) for whole in other.kept)
            self.kept = _longer(keys, reach + _STEP), _longer(values, reach + _STEP)


def _attend(
    _module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    leaf_pass: _Pass,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend from packed queries [1, H, N, W] to each one's own row [B, G, T, W].

    The H / G heads that share a key become so many more queries, which copies no key.
    """
    check_plain(attention_mask, options)
    _, heads, _, width = query.shape
    batch, groups, _, _ = key.shape
    share = heads // groups
    rows_N, places_N, sees_BKT = leaf_pass.rows_N, leaf_pass.places_N, leaf_pass.sees_BKT
    widest = sees_BKT.shape[1]
    padded = query.new_zeros(batch, widest, heads, width)
    padded[rows_N, places_N] = query[0].transpose(0, 1)
    padded = padded.view(batch, widest, groups, share, width).transpose(1, 2)
    reach = sees_BKT.shape[2]
    states = F.scaled_dot_product_attention(
        padded.reshape(batch, groups, widest * share, width),
        key[:, :, :reach],
        value[:, :, :reach],
        attn_mask=leaf_pass.mask(share),
        scale=scaling,
    )
    states = states.view(batch, groups, widest, share, -1).transpose(1, 2)
    return states.reshape(batch, widest, heads, -1)[rows_N, places_N][None], None


AttentionInterface.register("leaf_rows", _attend)


def _longer(whole: Tensor, slots: int) -> Tensor:
    """Add empty slots. They are zeros: masked values still count as 0 x value, so never as NaN."""
    return F.pad(whole, (0, 0, 0, slots - whole.shape[2]))
