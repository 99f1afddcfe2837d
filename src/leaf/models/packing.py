"""A batch through a model as one sequence: no padding, and a shared beginning computed once.

The tokens of all rows go through the model side by side, each at its own position; only attention
sees them row by row. What all rows begin with (the template before the question) needs no gradient
and sees nothing of what follows, so its keys and values are computed once and kept.

    a batch, padded                 as one sequence, its beginning b kept
    b b x x .                       x x y y y z     positions 2 3 2 3 4 2
    b b y y y                       keys of each: b b x x, b b y y y, b b z
    b b z . .

Axes: B rows, T tokens of the longest (right-padded), N tokens fed in one pass, K keys of all rows
(the beginning again before each), R response positions, H heads of queries, G heads of keys, W
width of a head, D width of a hidden state.
"""

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor
from transformers import AttentionInterface

from leaf.models.attention import causal_attention, check_plain
from leaf.models.output_head import attention_by, backbone, embedding_as
from leaf.models.padding import Batch
from leaf.models.paths import Paths, forget, paths_of


class Packer:
    """Runs batches through one model, with gradients for embeddings or parameters.

    Which way they run is what the model's rehearsal found right (`leaf.models.paths`): as one
    sequence, padded, or one row at a time, to the same result.
    """

    def __init__(
        self, model: Any, dtype: torch.dtype | None = None, paths: Paths | None = None
    ) -> None:
        """Run `model`, which computes in `dtype` (under autocast; None: its own).

        `paths` are which of its paths are right; None: as its rehearsal finds.
        """
        self.model = model
        self._dtype = dtype or model.dtype
        self._given = paths
        self._beginning: list[int] = []
        self._kept = _Kept()
        """Keys and values of the beginning's tokens."""

    @cached_property
    def paths(self) -> Paths:
        """Which of the model's paths are right."""
        return self._given or paths_of(self.model)

    @cached_property
    def packs(self) -> bool:
        """Whether batches run as one sequence."""
        return self.paths.packs and attends_by_rows(self.model, self._dtype)

    def hidden_states(self, batch: Batch, embeddings_BTD: Tensor | None = None) -> Tensor:
        """Return the last hidden states before each response token [R, D], differentiable.

        `embeddings_BTD` stand for the batch's tokens, if given. Where the batch runs as one
        sequence, its first `shared` tokens have a gradient of zero: a model in training must get
        batches that share none.
        """
        if self.packs and not self.paths.past_border(batch):
            return self._side_by_side(batch, embeddings_BTD)
        return padded_states(self.model, self.paths, batch, embeddings_BTD)

    def _side_by_side(self, batch: Batch, embeddings_BTD: Tensor | None) -> Tensor:
        shared = batch.shared
        device = self.model.device
        self._begin(batch.ids_BT[0, :shared].tolist())
        fed_BT = batch.mask_BT.bool()
        fed_BT[:, :shared] = False
        places_BT = fed_BT.flatten().cumsum(0).view_as(fed_BT) - 1
        positions_N = torch.arange(fed_BT.shape[1]).expand_as(fed_BT)[fed_BT]
        embeddings = None if embeddings_BTD is None else embeddings_BTD[fed_BT.to(device)][None]
        pack = _Pack.of(fed_BT.sum(dim=1).tolist(), shared, self._kept, device)
        with attention_by(self.model, "leaf_packed"), embedding_as(self.model, embeddings):
            hidden_1ND: Tensor = backbone(self.model)(
                input_ids=batch.ids_BT[fed_BT][None].to(device),
                position_ids=positions_N[None].to(device),
                use_cache=False,
                leaf_pack=pack,
            ).last_hidden_state
        return hidden_1ND[0][places_BT[batch.rows_R, batch.positions_R].to(device)]

    def _begin(self, ids: list[int]) -> None:
        """Compute the keys and values of a beginning, unless they are there."""
        if ids == self._beginning:
            return
        self._kept = _Kept()
        if ids:
            device = self.model.device
            pack = _Pack.of([len(ids)], 0, self._kept, device, keeps=True)
            with torch.no_grad(), attention_by(self.model, "leaf_packed"):
                backbone(self.model)(
                    input_ids=torch.tensor([ids], device=device),
                    position_ids=torch.arange(len(ids), device=device)[None],
                    use_cache=False,
                    leaf_pack=pack,
                )
        self._beginning = ids


def padded_states(
    model: Any, paths: Paths, batch: Batch, embeddings_BTD: Tensor | None = None
) -> Tensor:
    """Return what `Packer.hidden_states` does by the model's own forward.

    Rows that may not stand side by side (`Paths.parts`) go one part after another.
    """
    device = model.device
    lengths_B = batch.mask_BT.sum(dim=1)
    found: list[Tensor] = []
    places: list[Tensor] = []
    for rows in paths.parts(lengths_B.tolist()):
        width = int(lengths_B[rows].max())
        mine_P = torch.isin(batch.rows_R, torch.tensor(rows)).nonzero()[:, 0]
        row_P = torch.searchsorted(torch.tensor(rows), batch.rows_R[mine_P])
        if paths.border is not None:
            forget(model)
        part = None if embeddings_BTD is None else embeddings_BTD[rows, :width]
        with embedding_as(model, part):
            hidden_BTD = backbone(model)(
                input_ids=batch.ids_BT[rows, :width].to(device),
                attention_mask=batch.mask_BT[rows, :width].to(device),
                use_cache=False,
            ).last_hidden_state
        found.append(hidden_BTD[row_P.to(device), batch.positions_R[mine_P].to(device)])
        places.append(mine_P)
    if len(found) == 1:
        return found[0]
    return torch.cat(found)[torch.cat(places).argsort().to(device)]


@dataclass(slots=True)
class _Kept:
    """Keys and values [G, P, W] of a beginning's P tokens, as attention received them.

    Not as a cache holds them: a family may change them between the two.
    """

    of: dict[int, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    """By the layer's id; some attend more than once."""
    calls: dict[int, int] = field(default_factory=dict)

    def keep(self, module: Any, key_GPW: Tensor, value_GPW: Tensor) -> None:
        """Take in what a layer received."""
        self.of.setdefault(id(module), []).append((key_GPW, value_GPW))

    def next_of(self, module: Any) -> tuple[Tensor, Tensor]:
        """Return what a layer received when it attended for the same time."""
        kept = self.of[id(module)]
        call = self.calls.get(id(module), 0)
        self.calls[id(module)] = call + 1
        return kept[call % len(kept)]


@dataclass(frozen=True, slots=True)
class _Pack:
    """Which tokens of a pass see which keys."""

    lengths: list[int]
    """Tokens of each row."""
    shared: int
    kept: _Kept
    ends_q: Tensor
    """Where rows begin and end among the tokens [B + 1], int32."""
    ends_k: Tensor
    """Where rows begin and end among the keys [B + 1], int32."""
    keeps: bool = False
    """Whether this is the beginning, whose keys and values are to be kept."""

    @classmethod
    def of(
        cls,
        lengths: list[int],
        shared: int,
        kept: _Kept,
        device: torch.device,
        *,
        keeps: bool = False,
    ) -> "_Pack":
        """Plan a pass of rows with so many tokens each after a beginning of `shared` tokens."""
        ends_q = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
        ends_k = ends_q + shared * torch.arange(len(lengths) + 1)
        ends_q, ends_k = (ends.to(device, torch.int32) for ends in (ends_q, ends_k))
        return cls(lengths, shared, kept, ends_q, ends_k, keeps)

    def with_beginning(self, beginning_GPW: Tensor, own_GNW: Tensor) -> Tensor:
        """Put the beginning's keys or values before those of each row: [G, K, W]."""
        rows = torch.split(own_GNW, self.lengths, dim=1)
        return torch.cat([part for row in rows for part in (beginning_GPW, row)], dim=1)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    leaf_pack: _Pack,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend causally from queries [1, H, N, W] to keys [1, G, N, W] of the same row."""
    check_plain(attention_mask, options)
    kind = query.device.type
    # Positions turn queries and keys wide again, and autocast does not know this function.
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype
    # A CPU is faster in float32 than in bfloat16.
    wide = dtype if query.is_cuda else torch.promote_types(dtype, torch.float32)
    query_HNW, key_GKW, value_GKW = (states[0].to(dtype).to(wide) for states in (query, key, value))
    if leaf_pack.keeps:
        leaf_pack.kept.keep(module, key_GKW, value_GKW)
    if leaf_pack.shared:
        keys_GPW, values_GPW = leaf_pack.kept.next_of(module)
        key_GKW = leaf_pack.with_beginning(keys_GPW.to(wide), key_GKW)
        value_GKW = leaf_pack.with_beginning(values_GPW.to(wide), value_GKW)
    attend = _attend_at_once if query.is_cuda else _attend_in_turn
    with torch.autocast(kind, enabled=False):
        return attend(query_HNW, key_GKW, value_GKW, leaf_pack, scaling)[None].to(dtype), None


def _attend_at_once(
    query_HNW: Tensor, key_GKW: Tensor, value_GKW: Tensor, pack: _Pack, scale: float | None
) -> Tensor:
    """Let FlashAttention do all rows: [N, H, W]."""
    from torch.nn.attention.varlen import varlen_attn

    longest = max(pack.lengths)
    states_NHW: Any = varlen_attn(
        query_HNW.transpose(0, 1).contiguous(),
        key_GKW.transpose(0, 1).contiguous(),
        value_GKW.transpose(0, 1).contiguous(),
        pack.ends_q,
        pack.ends_k,
        longest,
        longest + pack.shared,
        scale=scale,
        window_size=(-1, 0),
        enable_gqa=True,
    )
    return states_NHW  # type: ignore[no-any-return]


def _attend_in_turn(
    query_HNW: Tensor, key_GKW: Tensor, value_GKW: Tensor, pack: _Pack, scale: float | None
) -> Tensor:
    """Do one row after another: [N, H, W]."""
    keys = [length + pack.shared for length in pack.lengths]
    rows = zip(
        torch.split(query_HNW, pack.lengths, dim=1),
        torch.split(key_GKW, keys, dim=1),
        torch.split(value_GKW, keys, dim=1),
        strict=True,
    )
    return torch.cat([causal_attention(*row, scale) for row in rows], dim=1).transpose(0, 1)


def attends_by_rows(model: Any, dtype: torch.dtype) -> bool:
    """Whether there is attention for rows of different length here, by hardware and dtype."""
    if model.device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(model.device)
        return major >= 8 and dtype in {torch.bfloat16, torch.float16} and _has_varlen()
    return bool(model.device.type == "cpu")


def _has_varlen() -> bool:
    """Whether this PyTorch's FlashAttention takes rows of different length as we ask it to."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return {"window_size", "enable_gqa", "scale"} <= inspect.signature(
        varlen_attn
    ).parameters.keys()


AttentionInterface.register("leaf_packed", _attend)
