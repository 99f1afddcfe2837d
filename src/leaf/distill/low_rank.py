"""A linear layer with an adapter as one operation; see `leaf.distill.lora`.

Axes: R rows of the input, I inputs, O outputs, K rank.
"""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class AdaptedLinear(Linear):
    """PEFT's layer, with W x + b + s B A x and its gradients each written in one place.

    PEFT computes the adapter beside the layer: its input goes to float32 and back, and its output
    is scaled and added in passes of their own. On a CPU these passes take longer than the adapter.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return what PEFT's layer returns."""
        name = self.active_adapters[0]
        plain = isinstance(self.lora_dropout[name], nn.Identity)
        if args or kwargs or self.disable_adapters or self.merged or not plain:
            output: Tensor = super().forward(x, *args, **kwargs)
            return output
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        base = self.base_layer
        found: Tensor = _AdaptedLinear.apply(  # type: ignore[no-untyped-call]
            x,
            base.weight,
            base.bias,
            self.lora_A[name].weight,
            self.lora_B[name].weight,
            self.scaling[name],
        )
        return found


def adapted(layer: nn.Module, name: str, config: Any, **settings: Any) -> AdaptedLinear | None:
    """Make a layer's adapter, if it is plainly a product; None leaves the layer to PEFT."""
    return AdaptedLinear(layer, name, config, **settings) if type(layer) is nn.Linear else None


class _AdaptedLinear(torch.autograd.Function):
    """y = W x + b + s B A x, in the dtype of x; W and b are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        a_KI: Tensor,
        b_OK: Tensor,
        scale: float,
    ) -> Tensor:
        ctx.learnt, ctx.scale, dtype = a_KI.dtype, scale, x.dtype
        x_RI = x.reshape(-1, x.shape[-1])
        weight_OI, a_KI, b_OK = (each.to(dtype) for each in (weight_OI, a_KI, b_OK))
        low_RK = (x_RI @ a_KI.T).mul_(scale)
        bias_O = None if bias_O is None else bias_O.to(dtype)
        output_RO = nn.functional.linear(x_RI, weight_OI, bias_O).addmm_(low_RK, b_OK.T)
        ctx.save_for_backward(x_RI, weight_OI, a_KI, b_OK, low_RK)
        return output_RO.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_RI, weight_OI, a_KI, b_OK, low_RK = ctx.saved_tensors
        gradient_RO = gradient.reshape(-1, gradient.shape[-1])
        low_gradient_RK = (gradient_RO @ b_OK).mul_(ctx.scale)
        x_gradient = None
        if ctx.needs_input_grad[0]:
            x_gradient = (gradient_RO @ weight_OI).addmm_(low_gradient_RK, a_KI)
            x_gradient = x_gradient.view(*gradient.shape[:-1], -1)
        a_gradient_KI = low_gradient_RK.T @ x_RI
        b_gradient_OK = gradient_RO.T @ low_RK
        learnt = (a_gradient_KI.to(ctx.learnt), b_gradient_OK.to(ctx.learnt))
        return x_gradient, None, None, *learnt, None
