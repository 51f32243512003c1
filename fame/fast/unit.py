"""Compute convolution, batch norm, residual and ReLU as one operation, forward and backward: a unit (fame/backbones/chain.py).

Parameters and buffers are read from modules' dictionaries: attributes take half as long as a narrow network's arithmetic.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LAST = torch.channels_last_3d
Running = tuple[Tensor, Tensor, Tensor, float]  # mean, variance, batches so far, and the share by which the former two move


def computed(x: Tensor, kernel: Any, norm: nn.BatchNorm3d, relu: bool, residual: Tensor | None, way: Any, norms: Any) -> Tensor:
    """Return the unit's result, channels last. ValueError where batch statistics are of one value.

    x: (B, C, T, H, W), channels last. `way` computes the convolution for this shape; `norms` is the device's module of batch norms.
    """
    if residual is not None:
        residual = residual.to(x.dtype).contiguous(memory_format=LAST)
    weight, bias = norm._parameters["weight"], norm._parameters["bias"]
    if torch.is_grad_enabled():
        found: Tensor = _Operation.apply(x, kernel, weight, bias, residual, norm, relu, way, norms)
        return found
    return _forward(x, way.weight(kernel, x.dtype), weight, bias, residual, norm, relu, way, norms)[0]


def _forward(
    x: Tensor,
    kernel: Tensor,
    weight: Any,
    bias: Any,
    residual: Tensor | None,
    norm: nn.BatchNorm3d,
    relu: bool,
    way: Any,
    norms: Any,
) -> tuple[Tensor, ...]:
    """The result; in training, too, the convolution's and the batch's moments, which the backward pass wants."""
    y = way.forward(x, kernel)
    statistics = norm._buffers
    running: Any = statistics["running_mean"], statistics["running_var"], statistics["num_batches_tracked"], norm.momentum
    if not norm.training:
        return (norms.apply(y, weight, bias, running, residual, relu, norm.eps),)
    if y.numel() == y.shape[1]:
        raise ValueError(f"one value a channel, {tuple(y.shape)}: batch statistics need more, so larger clips or batches")
    out, moments = norms.forward(y, weight, bias, running, residual, relu, norm.eps)
    return out, y, moments


class _Operation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Any,
        norm: Any,
        relu: bool,
        way: Any,
        norms: Any,
    ) -> Tensor:
        whole = way.weight(kernel, x.dtype)
        out, y, moments = _forward(x, whole, weight, bias, residual, norm, relu, way, norms)
        ctx.kept = relu, norm.eps, residual is not None, way, norms, kernel.shape, kernel.dtype
        ctx.save_for_backward(x, whole, weight, out, y, moments)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():  # torch's own guard, `once_differentiable`, takes as long as a small layer
            raise RuntimeError(
                "a unit of the fast form has no second derivatives; build the network without `fast_layout` for them"
            )
        x, whole, weight, out, y, moments = ctx.saved_tensors
        relu, eps, added, way, norms, shape, dtype = ctx.kept
        gradient = gradient.to(y.dtype).contiguous(memory_format=LAST)
        to_y, through, to_weight, to_bias = norms.backward(gradient, y, weight, out, moments, relu, eps, added)
        to_x, slope = way.backward(to_y, x, whole, ctx.needs_input_grad[0])
        if slope.shape != shape:  # channels that the layer lacks
            slope = slope[: shape[0], : shape[1]]
        return to_x, slope.to(dtype), to_weight, to_bias, through if added else None, None, None, None, None
