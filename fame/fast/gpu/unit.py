"""Compute convolution, batch norm, residual and ReLU as one operation on a GPU: what fame/backbones/chain.py calls a unit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fame.fast.gpu import batch_norm
from fame.fast.gpu.convolution import LAST, Fold, Geometry, filled, is_taken_apart, taken_apart, widened

TYPES = (torch.float32, torch.bfloat16, torch.float16)


def run(
    conv: nn.Conv3d,
    norm: nn.BatchNorm3d,
    relu: bool,
    x: Tensor,
    residual: Tensor | None,
    inner: bool,
    ways: object = None,
) -> Tensor | None:
    """Return the unit's result, (B, C, T, H, W) -> (B, O, T', H', W'), channels last; None where x is of none of `TYPES`.

    With `inner` the result may have empty channels, x always may. ValueError where batch statistics are of one value.
    """
    if x.dtype not in TYPES:
        return None
    kernel, geometry = conv.weight, Geometry.of(conv)
    if is_taken_apart(conv, x):
        x, kernel, geometry = taken_apart(conv, x)
    x = widened(x.contiguous(memory_format=LAST))
    if residual is not None:
        residual = residual.to(x.dtype).contiguous(memory_format=LAST)
    made = filled(conv.out_channels, x.dtype) if inner and residual is None else conv.out_channels
    fold = Fold.of(geometry, x.shape, made)
    if norm.training and x.shape[0] * fold.out[0] * fold.out[1] * fold.out[2] == 1:
        raise ValueError(
            f"one value a channel, {(1, conv.out_channels, 1, 1, 1)}: batch statistics need more, so larger clips or batches"
        )
    if torch.is_grad_enabled():
        found: Tensor = _Operation.apply(x, kernel, norm.weight, norm.bias, residual, norm, relu, fold)
        return found
    y = fold.forward(x, fold.weight(kernel, x.dtype))
    if norm.training:
        return batch_norm.forward(y, norm.weight, norm.bias, _running(norm), residual, relu, norm.eps)[0]
    return batch_norm.apply(y, norm.weight, norm.bias, _running(norm), residual, relu, norm.eps)


def _running(norm: nn.BatchNorm3d) -> batch_norm.Running:
    mean, variance, tracked, momentum = (
        norm.running_mean,
        norm.running_var,
        norm.num_batches_tracked,
        norm.momentum,
    )
    assert mean is not None and variance is not None and tracked is not None and momentum is not None
    return mean, variance, tracked, momentum


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
        fold: Fold,
    ) -> Tensor:
        whole = fold.weight(kernel, x.dtype)
        y = fold.forward(x, whole)
        out, found = batch_norm.forward(y, weight, bias, _running(norm), residual, relu, norm.eps)
        ctx.fold, ctx.relu, ctx.eps, ctx.added = fold, relu, norm.eps, residual is not None
        ctx.kernel = kernel.shape, kernel.dtype
        ctx.save_for_backward(x, whole, weight, y, found, out if ctx.added and relu else None)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, whole, weight, y, found, out = ctx.saved_tensors
        gradient = gradient.to(y.dtype).contiguous(memory_format=LAST)
        to_y, through, to_norm = batch_norm.backward(gradient, y, weight, out, found, ctx.relu, ctx.eps)
        to_x, slope = ctx.fold.backward(to_y, x, whole, ctx.needs_input_grad[0])
        shape, dtype = ctx.kernel
        slope = slope[: shape[0], : shape[1]].to(dtype)
        return to_x, slope, to_norm[0], to_norm[1], through if ctx.added else None, None, None, None
