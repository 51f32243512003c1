"""How a CPU computes one 3-D convolution fastest: by our own forms, as a 2-D convolution of the library's, or as it stands.

Mathematics and parameters are `nn.Conv3d`'s. In 32 bits, layers whose clips fit a cache are fame/fast/cpu/direct.py. Else, with
channels last, the frames of a clip are a batch of images (kernels 1 x k x k), and frames by places are an image of their own
(kernels k x 1 x 1): no number is moved, and torch's 2-D code is faster than its 3-D code and right where that is not (below).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from fame.fast.cpu.direct import Direct
from fame.fast.cpu.geometry import Geometry, Three

LAST = torch.channels_last_3d
CLIP = 1 << 16  # numbers of a clip, read or written, up to which the direct form beats the library
KERNEL = 1 << 17  # and those of the kernel


def layout(conv: nn.Conv3d, shape: torch.Size, dtype: torch.dtype) -> Direct | Library:
    """Return how `conv` is computed for an input (B, C, T, H, W) in `dtype`: `forward` and `backward`, both for channels last."""
    sizes, kernel, stride, padding = (_three(part) for part in (shape[2:], conv.kernel_size, conv.stride, conv.padding))
    out = _three((n + 2 * p - k) // s + 1 for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True))
    g = Geometry(shape[0], shape[1], sizes, conv.out_channels, out, kernel, stride, padding)
    small = max(g.channels * prod(g.sizes), g.outputs * prod(g.out)) <= CLIP and conv.weight.numel() <= KERNEL
    return Direct(g) if dtype == torch.float32 and (small or _corrupts(g)) else Library.of(g, dtype)


def _three(values: Iterable[Any]) -> Three:
    t, h, w = (int(value) for value in values)
    return t, h, w


@dataclass(frozen=True)
class Library:
    """By the library, in two dimensions where one of the kernel's is 1. `taps` cut the kernel to what meets more than padding."""

    geometry: Geometry
    taps: tuple[slice, ...]
    kind: str  # images (one a frame), sheets (frames by places), volumes
    exact: bool  # in 32 bits also under bfloat16

    @classmethod
    def of(cls, g: Geometry, dtype: torch.dtype) -> Library:
        """The kind that fits."""
        steps, taps = [list(g.kernel), list(g.stride), list(g.padding)], [slice(None)] * 3
        for axis, size in enumerate(g.sizes):
            middle = g.padding[axis]
            if size == 1 and g.kernel[axis] == 2 * middle + 1:  # all taps but the middle one meet nothing but padding
                taps[axis] = slice(middle, middle + 1)
                for values, value in zip(steps, (1, 1, 0), strict=True):
                    values[axis] = value
        g = g._replace(kernel=_three(steps[0]), stride=_three(steps[1]), padding=_three(steps[2]))
        kind = "volumes"
        if g.kernel[0] == 1 and g.stride[0] == 1:
            kind = "images"
        elif g.kernel[1:] == (1, 1) and g.stride[1:] == (1, 1):
            kind = "sheets"
        return cls(g, tuple(taps), kind, dtype == torch.bfloat16 and _wrong_in_bf16(kind, g))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution of x with the kernel, of one type."""
        weight = self._cut(weight)
        if self.exact:
            with torch.autocast("cpu", enabled=False):
                y = torch.conv3d(x.float(), weight.float(), None, self.geometry.stride, self.geometry.padding)
            return y.to(x.dtype).contiguous(memory_format=LAST)
        convolve: Any = torch.conv3d if self.kind == "volumes" else torch.conv2d
        return self._unflat(convolve(self._flat(x), self._flat_kernel(weight), None, *self._flat_steps()), out=True)

    def backward(self, gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool) -> tuple[Tensor | None, Tensor]:
        """Gradients to x, where it is asked for, and to the kernel, from that to the result."""
        cut = self._cut(weight)
        if self.exact:
            tensors, steps = (gradient.float(), x.float(), cut.float()), (self.geometry.stride, self.geometry.padding)
        else:
            tensors = self._flat(gradient, out=True), self._flat(x), self._flat_kernel(cut)
            steps = self._flat_steps()  # type: ignore[assignment]
        ones, zeros = [1] * len(steps[0]), [0] * len(steps[0])
        backward = torch.ops.aten.convolution_backward
        found, slope, _ = backward(*tensors, None, *steps, ones, False, zeros, 1, [to_x, True, False])
        if to_x:
            found = (found if self.exact else self._unflat(found)).to(x.dtype).contiguous(memory_format=LAST)
        slope = slope.reshape(cut.shape)
        if cut.shape != weight.shape:
            whole = torch.zeros_like(weight)
            whole[:, :, *self.taps] = slope
            slope = whole
        return found if to_x else None, slope

    def _cut(self, weight: Tensor) -> Tensor:
        whole = all(taps == slice(None) for taps in self.taps)
        return (weight if whole else weight[:, :, *self.taps]).contiguous(memory_format=LAST)

    # ---------------------------------------------------------------- two dimensions for three

    def _map(self, out: bool) -> tuple[int, Three]:
        """Channels and sizes of what is read, or with `out` written."""
        g = self.geometry
        return (g.outputs, g.out) if out else (g.channels, g.sizes)

    def _flat(self, x: Tensor, out: bool = False) -> Tensor:
        channels, (frames, height, width) = self._map(out)
        batch, line, image = self.geometry.batch, width * channels, height * width * channels
        if self.kind == "images":
            return x.as_strided((batch * frames, channels, height, width), (image, 1, line, channels))
        if self.kind == "sheets":
            return x.as_strided((batch, channels, frames, height * width), (frames * image, 1, image, channels))
        return x

    def _unflat(self, y: Tensor, out: bool = False) -> Tensor:
        if self.kind == "volumes":
            return y.contiguous(memory_format=LAST)
        channels, (frames, height, width) = self._map(out)
        y = y.contiguous(memory_format=torch.channels_last)
        line, image = width * channels, height * width * channels
        return y.as_strided((self.geometry.batch, channels, frames, height, width), (frames * image, 1, image, line, channels))

    def _flat_kernel(self, weight: Tensor) -> Tensor:
        return weight.squeeze(2) if self.kind == "images" else weight.squeeze(4) if self.kind == "sheets" else weight

    def _flat_steps(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        stride, padding = self.geometry.stride, self.geometry.padding
        if self.kind == "images":
            return stride[1:], padding[1:]
        if self.kind == "sheets":
            return (stride[0], 1), (padding[0], 0)
        return stride, padding


def _corrupts(g: Geometry) -> bool:
    """Seen with torch 2.15 on a processor with AVX2: these gradients write beyond their memory, and the process dies of it."""
    return prod(g.kernel) == 1 < prod(g.stride) and g.channels % 8 > 0


def _wrong_in_bf16(kind: str, g: Geometry) -> bool:
    """Seen with torch 2.15 on processors with AVX512-BF16: kernels' gradients full of rests of memory, up to not-a-number.

    3-D kernels longer than the clip; and strided kernels whose map is one pixel wide. tests/backbones/test_fast_layout.py goes
    through
    the shapes of every network.
    """
    return (kind == "volumes" and 1 < g.kernel[0] > g.sizes[0]) or (g.out[2] == 1 and g.stride[2] > 1)
