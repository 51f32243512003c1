"""Compute units on a CPU, those of narrow layers: by products over tables."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from fame.fast.cpu import batch_norm
from fame.fast.cpu.direct import Direct
from fame.fast.cpu.geometry import Geometry
from fame.fast.unit import LAST, computed

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

    `ways`: how this convolution is computed, by shape, filled here.
    """
    if x.dtype != torch.float32:
        return None
    way = ways[x.shape] if x.shape in ways else ways.setdefault(x.shape, direct(conv, x.shape))
    if way is None:
        return None
    return computed(x.contiguous(memory_format=LAST), conv._parameters["weight"], norm, relu, residual, way, batch_norm)


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
