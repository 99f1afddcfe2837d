"""Sequences that share what stands before their difference: one cache, forked, fed and taken back.

Variants of one prompt are alike up to their cut. Its keys and values are computed once, every
variant starts from a copy of them, and goes on by itself:

    prompt = Rows(model, 1)
    prompt.feed([original])                        # once
    rows = prompt.fork([0] * len(cuts), cuts)      # row i starts as the first cuts[i] tokens
    hidden = rows.feed(suffixes)                   # what follows each cut, in one pass

A token's slot in the cache is its position, so a row forgets its last tokens by being shorter: what
comes next is written over them. The rows' new tokens go through the model side by side as one
sequence without padding; only attention, which costs little, sees them row by row.

Axes: N tokens fed in one pass, B rows, K tokens of the row with most, T slots, H heads of queries,
G heads of keys, D width of a hidden state, W width of a head.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor
from transformers import AttentionInterface, Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from leaf.heads import attention_by, backbone

_STEP = 64
"""Slots are added so many at a time: every addition copies the cache."""

_WIDEST = 256
"""Most tokens of a row in one pass, so that attention's mask stays small."""


class Rows:
    """Token sequences side by side in one model's cache, each of its own length."""

    def __init__(self, model: Any, count: int) -> None:
        """Open `count` empty rows; ask `can_share` first."""
        self.model = model
        self.lengths = [0] * count
        """Tokens of each row that the cache holds and attention sees; may be made less."""
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
        now = _Pass.of(self.lengths, counts, device)
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

    def fork(self, parents: Sequence[int], lengths: Sequence[int]) -> "Rows":
        """Return new rows: row i is a copy of the first `lengths[i]` tokens of row `parents[i]`."""
        for parent, length in zip(parents, lengths, strict=True):
            if not 0 <= length <= self.lengths[parent]:
                raise ValueError(
                    f"`length` must lie in 0 to {self.lengths[parent]} (row {parent}), not {length}"
                )
        forked = Rows(self.model, len(parents))
        forked.lengths = list(lengths)
        index_B = torch.tensor(parents, device=self.model.device)
        for ours, theirs in zip(forked._layers, self._layers, strict=True):
            ours.copy(theirs, index_B, max(lengths))
        return forked

    def keep(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these; they are numbered anew in this order."""
        self.lengths = [self.lengths[row] for row in rows]
        index_B = torch.tensor(rows, device=self.model.device)
        for layer in self._layers:
            # Layer by layer, so that only one layer is there twice at a time.
            layer.copy(layer, index_B, max(self.lengths))


@dataclass(frozen=True, slots=True)
class Start:
    """Where a sequence begins that is fed after another one."""

    leader: int
    """The sequence that is fed whole before; the sequence itself where nothing is shared."""
    length: int
    """Tokens taken from it; 0 for a leader, always less than the sequence has."""


def plan_starts(sequences: Sequence[Sequence[int]]) -> list[Start]:
    """Choose leaders, and for every other sequence the leader whose beginning it shares.

    Two sequences come together when at least half of the shorter one is shared, so that prompts
    which have only a template in common do not. No sequence may be empty.
    """
    order = sorted(range(len(sequences)), key=lambda at: list(sequences[at]))
    starts = [Start(at, 0) for at in range(len(sequences))]
    groups: list[list[int]] = []
    for at in order:
        # In alphabetical order, what shares most stands side by side.
        if groups and _near(sequences[groups[-1][-1]], sequences[at]):
            groups[-1].append(at)
        else:
            groups.append([at])
    for group in groups:
        shared = {
            (one, other): common_prefix(sequences[one], sequences[other])
            for one in group
            for other in group
        }
        leader = max(group, key=lambda one: sum(shared[one, other] for other in group))
        for at in group:
            if at != leader:
                starts[at] = Start(leader, min(shared[leader, at], len(sequences[at]) - 1))
    return starts


def feed_shared(model: Any, sequences: Sequence[Sequence[int]]) -> tuple[Rows, Tensor]:
    """Feed sequences so that a shared beginning is computed once: leaders first, then the others.

    Returns:
        One row a sequence, in their order, and the last hidden state of each [B, D].
    """
    starts = plan_starts(sequences)
    leaders = [at for at, start in enumerate(starts) if start.leader == at]
    place = {at: row for row, at in enumerate(leaders)}
    rows = Rows(model, len(leaders))
    last = dict(zip(leaders, rows.feed([sequences[at] for at in leaders]), strict=True))
    if len(leaders) < len(sequences):
        # Leaders come along with nothing more to say, so that all rows end in one cache.
        lengths = [
            len(sequence) if start.leader == at else start.length
            for at, (sequence, start) in enumerate(zip(sequences, starts, strict=True))
        ]
        rows = rows.fork([place[start.leader] for start in starts], lengths)
        rest = rows.feed([row[length:] for row, length in zip(sequences, lengths, strict=True)])
        last = {at: last.get(at, own) for at, own in enumerate(rest)}
    return rows, torch.stack([last[at][-1] for at in range(len(sequences))])


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences share from their first on."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def can_share(model: Any) -> bool:
    """Whether a model's cache can be forked and cut: every layer keeps and sees all positions.

    Not so with sliding windows and recurrent layers, where rotation depends on the longest row
    (`dynamic`, `longrope`), nor where attention is more than softmax(q k) v; a probe shows that.
    """
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in {"dynamic", "longrope"}:
        return False
    layers = DynamicCache(config=config).layers
    if any(type(layer) is not DynamicLayer for layer in layers):
        return False
    ids = [0, 1, 2, 3]
    rows = Rows(model, 2)
    try:
        rows.feed([ids[:2], ids[:3]])
        (ours_KD, _) = rows.feed([ids[2:], []])
    except (TypeError, KeyError, AttributeError, RuntimeError):  # its attention is not replaced
        return False
    with torch.no_grad():
        own_TD = backbone(model)(torch.tensor([ids], device=model.device)).last_hidden_state[0]
    spread = float(own_TD.std())
    return math.isfinite(spread) and torch.allclose(
        ours_KD, own_TD[2:], rtol=5e-2, atol=5e-2 * spread
    )


@dataclass(frozen=True, slots=True)
class _Pass:
    """Which rows the tokens of one pass belong to."""

    rows_N: Tensor
    places_N: Tensor
    """Number of each token among its row's new ones: 0 to K - 1."""
    slots_N: Tensor
    sees_BKT: Tensor
    """True for the slots up to each token's own; padding sees the first alone, and is not read."""

    @classmethod
    def of(cls, lengths: Sequence[int], counts: Sequence[int], device: torch.device) -> "_Pass":
        """Plan to append `counts[i]` tokens to row i, which has `lengths[i]`."""
        rows_N = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        places_N = torch.cat([torch.arange(count) for count in counts])
        slots_N = torch.tensor(lengths)[rows_N] + places_N
        slots_BK = torch.zeros(len(counts), max(counts), dtype=torch.long)
        slots_BK[rows_N, places_N] = slots_N
        sees_BKT = torch.arange(int(slots_N.max()) + 1) <= slots_BK[:, :, None]
        return cls(*(part.to(device) for part in (rows_N, places_N, slots_N, sees_BKT)))


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer [B, G, T, W], written by slot."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: tuple[Tensor, Tensor] | None = None
        self.now: _Pass | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_options: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new tokens' keys and values [1, G, N, W]; return those of all rows."""
        assert self.now  # noqa: S101 - `Rows` says where before each pass
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
        return keys[:, :, :reach], values[:, :, :reach]

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
    _mask: None,
    *,
    leaf_pass: _Pass,
    scaling: float | None = None,
    **_options: Any,
) -> tuple[Tensor, None]:
    """Attend from packed queries [1, H, N, W] to each one's own row [B, G, T, W].

    The H / G heads that share a key become so many more queries, which copies no key.
    """
    _, heads, _, width = query.shape
    batch, groups, _, _ = key.shape
    share = heads // groups
    rows_N, places_N, sees_BKT = leaf_pass.rows_N, leaf_pass.places_N, leaf_pass.sees_BKT
    widest = sees_BKT.shape[1]
    padded = query.new_zeros(batch, widest, heads, width)
    padded[rows_N, places_N] = query[0].transpose(0, 1)
    padded = padded.view(batch, widest, groups, share, width).transpose(1, 2)
    found = F.scaled_dot_product_attention(
        padded.reshape(batch, groups, widest * share, width),
        key,
        value,
        attn_mask=sees_BKT.repeat_interleave(share, dim=1)[:, None],
        scale=scaling,
    )
    found = found.view(batch, groups, widest, share, width).transpose(1, 2)
    return found.reshape(batch, widest, heads, width)[rows_N, places_N][None], None


AttentionInterface.register("leaf_rows", _attend)


def _longer(whole: Tensor, slots: int) -> Tensor:
    """Add empty slots. They are zeros: masked values still count as 0 x value, so never as NaN."""
    batch, heads, there, width = whole.shape
    longer = whole.new_zeros(batch, heads, slots, width)
    longer[:, :, :there] = whole
    return longer


def _near(one: Sequence[int], other: Sequence[int]) -> bool:
    return 2 * common_prefix(one, other) >= min(len(one), len(other))
