"""Compute convolution, batch norm, residual and ReLU as one operation on a CPU: what fame/backbones/chain.py calls a unit.

Parameters and buffers are read from modules' dictionaries: attributes take half as long as a narrow network's arithmetic.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from fame.fast.cpu import batch_norm
from fame.fast.cpu.direct import Direct
from fame.fast.cpu.geometry import Geometry

LAST = torch.channels_last_3d
CLIP = 1 << 16  # numbers of a clip, read or written, up to which the direct form beats the library
KERNEL = 1 << 17  # and those of the kernel


def run(
    conv: nn.Conv3d,
    norm: nn.BatchNorm3d,
    relu: bool,
    x: Tensor,
    residual: Tensor | None,
    inner: bool,
    ways: dict[Any, Any],
) -> Tensor | None:
    """Return the unit's result, (B, C, T, H, W) -> (B, O, T', H', W') float32, channels last; None for plain torch to compute.

    `ways`: how this convolution is computed, by shape, filled here. ValueError where batch statistics are of one value.
    """
    if x.dtype != torch.float32:
        return None
    way = ways[x.shape] if x.shape in ways else ways.setdefault(x.shape, direct(conv, x.shape))
    if way is None:
        return None
    x = x.contiguous(memory_format=LAST)
    if residual is not None:
        residual = residual.to(x.dtype).contiguous(memory_format=LAST)
    kernel, weight, bias = conv._parameters["weight"], norm._parameters["weight"], norm._parameters["bias"]
    if torch.is_grad_enabled():
        found: Tensor = _Operation.apply(x, kernel, weight, bias, residual, norm, relu, way)
        return found
    return _forward(x, kernel, weight, bias, residual, norm, relu, way)[0]


def direct(conv: nn.Conv3d, shape: torch.Size) -> Direct | None:
    """Return the direct form of `conv` for an input (B, C, T, H, W); None where the library's is faster, and can be trusted."""
    axes: list[Any] = [tuple(part) for part in (shape[2:], conv.kernel_size, conv.stride, conv.padding)]
    sizes, kernel, stride, padding = axes
    out: Any = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True))
    g = Geometry(shape[0], shape[1], sizes, conv.out_channels, out, kernel, stride, padding)
    small = max(g.channels * prod(sizes), g.outputs * prod(out)) <= CLIP and conv.weight.numel() <= KERNEL
    # torch 2.15 with AVX2: some of the library's gradients write beyond their memory, and the process dies of it
    longer = any(k > n and step > 1 for n, k, step in zip(sizes, kernel, stride, strict=True))
    corrupts = longer or (prod(kernel) == 1 < prod(stride) and g.channels % 8 > 0)
    return Direct(g) if small or corrupts else None


def _forward(
    x: Tensor,
    kernel: Any,
    weight: Any,
    bias: Any,
    residual: Tensor | None,
    norm: nn.BatchNorm3d,
    relu: bool,
    way: Any,
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
        ctx: Any,
        x: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Any,
        norm: Any,
        relu: bool,
        way: Any,
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
