"""A network's first convolution, of few channels and stride two, as one of stride one on more channels.

Clips have three channels, and products in 16 bits want eight at least: most of a first layer's work would be for empty ones. Along
an axis of stride two, neighbours 2m and 2m + 1 become channels of one place m; a kernel of seven is filled up to eight and taken
apart likewise, to four places. So three channels become twelve (of images) or twenty-four (of volumes), and few or none are empty.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fame.fast.gpu.convolution import Geometry

FEW = 4  # channels, up to which an input is taken apart


def is_taken_apart(conv: nn.Conv3d, x: Tensor) -> bool:
    """Whether `taken_apart` serves: few channels, 16 bits, a stride of two somewhere and of one elsewhere, no gradient to x."""
    strides = set(conv.stride)
    return conv.in_channels <= FEW and x.dtype != torch.float32 and strides <= {1, 2} and 2 in strides and not x.requires_grad


def taken_apart(conv: nn.Conv3d, x: Tensor) -> tuple[Tensor, Tensor, Geometry]:
    """Input, kernel and geometry of a convolution of stride one with the result of `conv` on x (B, C, T, H, W).

    The kernel depends on `conv.weight` by torch's operations, so a gradient to it goes on to the weight.
    """
    given = Geometry.of(conv)
    out = given.out(x.shape[2:])
    around, behind, padding, size, splits = [], [], [], [], []
    for length, kernel, stride, pad, places in zip(x.shape[2:], *given, out, strict=True):
        half = -(-kernel // stride)  # places of the new kernel
        padding.append(pad if stride == 1 else 0)
        around.append((0, 0) if stride == 1 else (pad, stride * (places + half - 1) - length - pad))
        behind.append((0, stride * half - kernel))
        size.append(half)
        splits.append(stride)
    # (T, H, W) each become (places, neighbours); negative numbers of padding cut what no window reaches
    return (
        _apart(functional.pad(x, _last_first(around)), splits),
        _apart(functional.pad(conv.weight, _last_first(behind)), splits),
        Geometry(tuple(size), (1, 1, 1), tuple(padding)),  # type: ignore[arg-type]
    )


def _last_first(pads: list[tuple[int, int]]) -> list[int]:
    """As `functional.pad` is told."""
    return [number for pair in reversed(pads) for number in pair]


def _apart(values: Tensor, splits: list[int]) -> Tensor:
    """(N, C, T, H, W) -> (N, C', T / splits[0], ...), channels last: neighbours along all axes in front of the channels."""
    for axis, split in zip((4, 3, 2), reversed(splits), strict=True):
        values = values.unflatten(axis, (-1, split))
    values = values.permute(0, 2, 4, 6, 3, 5, 7, 1)  # N, places, neighbours, C
    return values.flatten(4).contiguous().permute(0, 4, 1, 2, 3)
