"""Gradients of temporal convolutions of wide layers as matrix products: with channels last, frames side by side are one matrix.

Tap k of a kernel k x 1 x 1 takes frame t + k - padding to frame t, so its gradients are products over all frames that it meets,
places by channels. Nothing is moved. On a processor with AVX2 the library's own reach a tenth of its products' rate. In 32 bits,
all tensors channels last.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from fame.fast.cpu.geometry import Geometry


def serves(g: Geometry) -> bool:
    """Whether it is a temporal kernel that takes every place of a frame."""
    return g.kernel[0] > 1 == prod(g.kernel[1:]) == prod(g.stride[1:]) and not any(g.padding[1:])


def gradients(g: Geometry, gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool) -> tuple[Tensor | None, Tensor]:
    """To x (B, C, T, H, W), where it is asked for, and to the kernel (O, C, t, 1, 1), from that to the result (B, O, T', H, W)."""
    slope, found = torch.zeros_like(weight), torch.zeros_like(x) if to_x else None
    clips = _places(x, prod(g.sizes)), _places(gradient, prod(g.out))
    for tap, before, after in _met(g):
        for source, slopes in zip(*clips, strict=True):
            _tap(slope, tap).addmm_(slopes[after].T, source[before])
        if found is not None:
            for target, slopes in zip(_places(found, prod(g.sizes)), clips[1], strict=True):
                target[before].addmm_(slopes[after], _tap(weight, tap))
    return found, slope


def _met(g: Geometry) -> Iterator[tuple[int, slice, slice]]:
    """Each tap that meets frames, with the places of x and of the result that it brings together; with steps, frame by frame."""
    frame, step = prod(g.sizes[1:]), g.stride[0]
    for tap in range(g.kernel[0]):
        shift = tap - g.padding[0]
        met = [after for after in range(g.out[0]) if 0 <= after * step + shift < g.sizes[0]]
        runs = [met] if step == 1 and met else [[after] for after in met]
        for after in runs:
            before = after[0] * step + shift
            yield tap, slice(before * frame, (before + len(after)) * frame), slice(after[0] * frame, (after[-1] + 1) * frame)


def _places(x: Tensor, places: int) -> Tensor:
    """(B, places, C), a view."""
    channels = x.shape[1]
    return x.as_strided((len(x), places, channels), (places * channels, channels, 1))


def _tap(weight: Tensor, tap: int) -> Tensor:
    """(O, C), a view."""
    outputs, channels, taps = weight.shape[:3]
    return weight.as_strided((outputs, channels), (taps * channels, 1), weight.storage_offset() + tap * channels)
