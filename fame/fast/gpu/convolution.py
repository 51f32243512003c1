"""Compute one 3-D convolution fast on a GPU: in two dimensions where that moves no number, on channels that fill its units.

With channels last, the frames of a clip are a batch of images (kernels 1 x k x k), and frames by places are an image of their own
(kernels k x 1 x 1). Products in 16 bits want channels in multiples of eight: kernels get zeros for those that a layer lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fame.fast.unit import LAST

LAST_2D = torch.channels_last
# what channels of 16-bit numbers are filled up to: those of a clip, and between layers, where rows are read whole
GIVEN, MADE = 8, 16
FEW = 4  # channels, up to which an input is taken apart

Sizes = tuple[int, int, int]


def filled(channels: int, dtype: torch.dtype, to: int = MADE) -> int:
    """Channels that `channels` are computed as."""
    return channels if dtype == torch.float32 else -(-channels // to) * to


def widened(x: Tensor) -> Tensor:
    """x (B, C, T, H, W) channels last, with empty channels where there are too few of them for 16-bit products."""
    missing = filled(x.shape[1], x.dtype, GIVEN) - x.shape[1]
    x = functional.pad(x, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else x
    return x.contiguous(memory_format=LAST)


class Geometry(NamedTuple):
    """Of a convolution, along T, H and W."""

    kernel: Sizes
    stride: Sizes
    padding: Sizes

    @classmethod
    def of(cls, conv: nn.Conv3d) -> Geometry:
        return cls(conv.kernel_size, conv.stride, conv.padding)  # type: ignore[arg-type]

    def out(self, size: Sequence[int]) -> Sizes:
        """Places of the result, of an input of so many."""
        return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, *self, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class Fold:
    """For one convolution and one shape of input. `given` and `made` count the channels with the empty ones."""

    kind: str  # images (one a frame), sheets (frames by places), volumes
    geometry: Geometry
    batch: int
    size: Sizes
    out: Sizes
    given: int
    made: int

    @classmethod
    def of(cls, geometry: Geometry, shape: torch.Size, made: int) -> Fold:
        """For an input (B, C', T, H, W), C' at least the kernel's own channels, whose result is to have `made` channels."""
        kernel, stride, padding = geometry
        kind = "volumes"
        if kernel[0] == 1 and stride[0] == 1 and padding[0] == 0:
            kind = "images"
        elif kernel[1:] == (1, 1) and stride[1:] == (1, 1) and padding[1:] == (0, 0):
            kind = "sheets"
        size: Sizes = tuple(shape[2:])  # type: ignore[assignment]
        return cls(kind, geometry, shape[0], size, geometry.out(size), shape[1], made)

    def weight(self, kernel: Tensor, dtype: torch.dtype) -> Tensor:
        """A convolution's kernel in `dtype`, channels last, zeros for empty channels."""
        if kernel.shape[:2] == (self.made, self.given):
            return kernel.to(dtype).contiguous(memory_format=LAST)
        whole = torch.zeros((self.made, self.given, *self.geometry.kernel), dtype=dtype, device=kernel.device)
        whole = whole.to(memory_format=LAST)
        whole[: kernel.shape[0], : kernel.shape[1]] = kernel
        return whole

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """(B, given, T, H, W) -> (B, made, T', H', W'), both channels last; weight: from `weight`."""
        stride, padding = self._steps()
        zeros = [0] * len(stride)
        y = torch.convolution(
            self._flat(x, self.given, self.size),
            self._kernel(weight),
            None,
            stride,
            padding,
            [1] * len(stride),
            False,
            zeros,
            1,
        )
        return self._unflat(y, self.made, self.out)

    def backward(self, gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool) -> tuple[Tensor | None, Tensor]:
        """Gradients to x (None unless `to_x`) and to the weight, with its empty channels."""
        stride, padding = self._steps()
        zeros = [0] * len(stride)
        found, slope, _ = torch.ops.aten.convolution_backward(
            self._flat(gradient, self.made, self.out), self._flat(x, self.given, self.size), self._kernel(weight),
            None, stride, padding, [1] * len(stride), False, zeros, 1, [to_x, True, False],
        )  # fmt: skip
        return (self._unflat(found, self.given, self.size) if to_x else None), slope.reshape(weight.shape)

    def _flat(self, x: Tensor, channels: int, size: Sizes) -> Tensor:
        frames, height, width = size
        line, image = width * channels, height * width * channels
        if self.kind == "images":
            return x.as_strided((self.batch * frames, channels, height, width), (image, 1, line, channels))
        if self.kind == "sheets":
            return x.as_strided((self.batch, channels, frames, height * width), (frames * image, 1, image, channels))
        return x

    def _unflat(self, y: Tensor, channels: int, size: Sizes) -> Tensor:
        if self.kind == "volumes":
            return y.contiguous(memory_format=LAST)
        frames, height, width = size
        line, image = width * channels, height * width * channels
        y = y.contiguous(memory_format=LAST_2D)
        return y.as_strided((self.batch, channels, frames, height, width), (frames * image, 1, image, line, channels))

    def _kernel(self, weight: Tensor) -> Tensor:
        return weight.squeeze(2) if self.kind == "images" else weight.squeeze(4) if self.kind == "sheets" else weight

    def _steps(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        _, stride, padding = self.geometry
        if self.kind == "images":
            return stride[1:], padding[1:]
        if self.kind == "sheets":
            return (stride[0], 1), (padding[0], 0)
        return stride, padding


def is_taken_apart(conv: nn.Conv3d, x: Tensor) -> bool:
    """Whether `taken_apart` serves: few channels, 16 bits, a stride of two somewhere and of one elsewhere, no gradient to x."""
    strides = set(conv.stride)
    return conv.in_channels <= FEW and x.dtype != torch.float32 and strides <= {1, 2} and 2 in strides and not x.requires_grad


def taken_apart(conv: nn.Conv3d, x: Tensor) -> tuple[Tensor, Tensor, Geometry]:
    """Make input, kernel and geometry of a convolution of stride one with the result of `conv` on x (B, C, T, H, W).

    Along an axis of stride two, neighbours become channels of one place; a kernel of seven is filled up to eight.
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
