"""Convolution, batch norm, addition of a residual and ReLU as one operation on a CPU: what fame/backbones/chain.py calls a unit.

Of each only its input, the convolution's result and its own result are kept for the backward pass. A narrow network's step is 37
units, each of a few hundred microseconds with 32 clips: torch's own conveniences (a module's attributes, a counter that a module
is asked for and given back) took half as long as the arithmetic, so they are gone round here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fame.fast.cpu import batch_norm
from fame.fast.cpu.layout import LAST, layout

TYPES = (torch.float32, torch.bfloat16)
Layouts = dict[Any, Any]  # by shape and type of what comes in


def run(conv: nn.Conv3d, norm: nn.BatchNorm3d, relu: bool, x: Tensor, residual: Tensor | None, layouts: Layouts) -> Tensor:
    """(B, C, T, H, W) -> (B, O, T', H', W'), channels last. `layouts`: of this convolution, filled here.

    x is of one of `TYPES`, and the residual is taken in its type. Raises ValueError where batch statistics are of one value.
    """
    x = x.contiguous(memory_format=LAST)
    if residual is not None:
        residual = residual.to(x.dtype).contiguous(memory_format=LAST)
    key = x.shape, x.dtype
    way = layouts.get(key)
    if way is None:
        way = layouts[key] = layout(conv, x.shape, x.dtype)
    kernel, weight, bias = conv._parameters["weight"], norm._parameters["weight"], norm._parameters["bias"]
    if torch.is_grad_enabled():
        found: Tensor = _Operation.apply(x, kernel, weight, bias, residual, norm, relu, way)
        return found
    return _forward(x, kernel, weight, bias, residual, norm, relu, way)[0]


def _forward(
    x: Tensor, kernel: Any, weight: Any, bias: Any, residual: Tensor | None, norm: nn.BatchNorm3d, relu: bool, way: Any
) -> tuple[Tensor, ...]:
    """The result; in training, too, the convolution's and the batch's moments, which the backward pass wants."""
    y = way.forward(x, kernel.to(x.dtype).contiguous(memory_format=LAST))
    statistics = norm._buffers
    running: Any = statistics["running_mean"], statistics["running_var"], norm.momentum
    if not norm.training:
        return (batch_norm.apply(y, weight, bias, running, residual, relu, norm.eps),)
    if y.numel() == y.shape[1]:
        raise ValueError(f"one value a channel, {tuple(y.shape)}: batch statistics need more, so larger clips or batches")
    batches: Any = statistics["num_batches_tracked"]
    out, moments = batch_norm.forward(y, weight, bias, running, batches, residual, relu, norm.eps)
    return out, y, moments


class _Operation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, residual: Any, norm: Any, relu: bool, way: Any
    ) -> Tensor:
        out, y, moments = _forward(x, kernel, weight, bias, residual, norm, relu, way)
        ctx.kept = relu, norm.eps, way, residual is not None
        ctx.save_for_backward(x, kernel, weight, out, y, moments)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():  # torch's own guard, `once_differentiable`, takes as long as a small layer
            raise RuntimeError(
                "a unit of the fast form has no second derivatives; build the network without `fast_layout` for them"
            )
        x, kernel, weight, out, y, moments = ctx.saved_tensors
        relu, eps, way, added = ctx.kept
        gradient = gradient.to(y.dtype).contiguous(memory_format=LAST)
        to_y, through, to_weight, to_bias = batch_norm.backward(gradient, y, weight, out, moments, relu, eps, added)
        to_x, to_kernel = way.backward(to_y, x, kernel.to(x.dtype).contiguous(memory_format=LAST), ctx.needs_input_grad[0])
        return to_x, to_kernel.to(kernel.dtype), to_weight, to_bias, through if added else None, None, None, None
