"""Causal attention of one sequence on a CPU, with a backward that is not slower than it must be.

PyTorch's kernel works in tiles, which pays for long sequences alone: at 184 tokens forward and
backward take it 1.3 (9 heads) to 2 times (14 heads) as long as the few matrix products below.

Axes: H heads of queries, G heads of keys, S = H / G, N queries, M keys (the last N are those of the
queries), W width of a head, V width of a value (W but in latent attention).
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

_CHANGES = ("dropout", "softcap", "sliding_window", "s_aux")
"""Options of attention that change its result, and that ours does not know."""

LONGEST = 320
"""Up to so many keys the whole matrix of weights is kept for the backward."""


def check_plain(mask: Any, options: Mapping[str, Any]) -> None:
    """Refuse attention that is more than softmax(scale q k) v over all positions before.

    Raises:
        TypeError: a mask of the model's own, or an option that would be lost; names it.
    """
    lost = [name for name in _CHANGES if not _is_off(options.get(name))]
    if mask is not None:
        lost.append("a mask of its own")
    if lost:
        raise TypeError(f"its attention has {' and '.join(lost)}")


def causal_attention(
    query_HNW: Tensor, key_GMW: Tensor, value_GMV: Tensor, scale: float | None = None
) -> Tensor:
    """Return softmax(scale q k + mask) v for each query [H, N, V]; differentiable, once.

    Args:
        query_HNW: Queries, of the last N positions.
        key_GMW: Keys of all positions; each serves S heads of queries.
        value_GMV: Their values.
        scale: None: 1 / sqrt(W).
    """
    scale = query_HNW.shape[2] ** -0.5 if scale is None else scale
    if key_GMW.shape[1] <= LONGEST:
        found: Tensor = _Short.apply(  # type: ignore[no-untyped-call]
            query_HNW, key_GMW, value_GMV, scale
        )
        return found
    # Queries for the first positions, looked at by nobody, make the square that the kernel wants.
    before = key_GMW.shape[1] - query_HNW.shape[1]
    square = F.pad(query_HNW, (0, 0, before, 0))
    return F.scaled_dot_product_attention(
        square[None], key_GMW[None], value_GMV[None], is_causal=True, scale=scale, enable_gqa=True
    )[0, :, before:]


def _is_off(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and value == 0)


class _Short(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query_HNW: Tensor, key_GMW: Tensor, value_GMV: Tensor, scale: float
    ) -> Tensor:
        _, queries, width = query_HNW.shape
        groups, keys, _ = key_GMW.shape
        rows_GRW = (query_HNW * scale).reshape(groups, -1, width)  # R = S N
        weights_GRM = torch.bmm(rows_GRW, key_GMW.mT)
        later_NM = torch.full((queries, keys), -torch.inf, dtype=query_HNW.dtype)
        later_NM.triu_(1 + keys - queries)
        weights_GRM.view(groups, -1, queries, keys).add_(later_NM)
        weights_GRM = torch.softmax(weights_GRM, dim=-1)
        found_GRV = torch.bmm(weights_GRM, value_GMV)
        ctx.save_for_backward(rows_GRW, key_GMW, value_GMV, weights_GRM, found_GRV)
        ctx.scale = scale
        return found_GRV.view(*query_HNW.shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows_GRW, key_GMW, value_GMV, weights_GRM, found_GRV = ctx.saved_tensors
        shape = (*gradients[0].shape[:2], rows_GRW.shape[2])
        given_GRV = gradients[0].reshape(found_GRV.shape)
        value_gradient = torch.bmm(weights_GRM.mT, given_GRV)
        # d softmax: w (dw - sum w dw), and sum w dw is the product of output and its gradient.
        inner_GR1 = (given_GRV * found_GRV).sum(dim=-1, keepdim=True)
        slopes_GRM = torch.bmm(given_GRV, value_GMV.mT).sub_(inner_GR1).mul_(weights_GRM)
        query_gradient = torch.bmm(slopes_GRM, key_GMW).mul_(ctx.scale).view(shape)
        return query_gradient, torch.bmm(slopes_GRM.mT, rows_GRW), value_gradient, None
