"""How a CPU computes one 3-D convolution fastest: as a gathered product, a product, a 2-D convolution, or as it stands.

Mathematics and parameters are `nn.Conv3d`'s. With channels last, the frames of a clip are a batch of images (kernels 1 x k x k),
and frames by places are an image of their own (kernels k x 1 x 1): no number is moved, and the library's 2-D code is up to four
times faster than its 3-D code, above all in the kernels' gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fame.cpu import gathered

LAST = torch.channels_last_3d
FEW = 4  # places a frame, up to which gathering beats the library's convolution
MANY = 1 << 20  # numbers that may be gathered


@dataclass(frozen=True)
class Layout:
    """For one convolution and one shape of input. `taps` cut the kernel to what meets more than padding."""

    kind: str  # gathered, images (one a frame), sheets (frames by places), volumes
    taps: tuple[slice, ...]
    stride: tuple[int, int, int]
    padding: tuple[int, int, int]
    geometry: gathered.Geometry
    exact: bool  # in 32 bits also under bfloat16

    @classmethod
    def of(cls, conv: nn.Conv3d, shape: torch.Size, dtype: torch.dtype) -> Layout:
        """Of `conv` for an input (B, C, T, H, W), computed in `dtype`."""
        stride, padding, taps = list(conv.stride), [int(pad) for pad in conv.padding], [slice(None)] * 3
        sizes, kernel = tuple(shape[2:]), list(conv.kernel_size)
        for axis in range(3):
            if sizes[axis] == 1 and kernel[axis] == 2 * padding[axis] + 1:  # all taps but the middle one meet nothing but padding
                taps[axis] = slice(padding[axis], padding[axis] + 1)
                stride[axis], kernel[axis], padding[axis] = 1, 1, 0
        out = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True)]
        geometry = gathered.Geometry(*shape[:2], *sizes, conv.out_channels, *out, *kernel, *stride, *padding)  # type: ignore[call-arg]
        kind = "volumes"
        small = geometry.rows * geometry.taps * geometry.channels <= MANY
        if dtype == torch.float32 and small and (out[1] * out[2] <= FEW or max(stride[1:]) > 1) and kernel[1] <= 3:
            kind = "gathered"
        elif kernel[0] == 1 and stride[0] == 1:
            kind = "images"
        elif kernel[1:] == [1, 1] and stride[1:] == [1, 1]:
            kind = "sheets"
        wrong = dtype == torch.bfloat16 and _wrong_in_bf16(kind, sizes, kernel, stride, out)
        return cls(kind, tuple(taps), tuple(stride), tuple(padding), geometry, wrong)  # type: ignore[arg-type]

    def output(self, x: Tensor) -> Tensor:
        """An empty result (B, O, T', H', W') of the type of x, channels last."""
        g = self.geometry
        shape = (g.batch, g.out_frames, g.out_height, g.out_width, g.outputs)
        return torch.empty(shape, dtype=x.dtype).permute(0, 4, 1, 2, 3)

    def forward(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution, channels last, and what `backward` wants of x. x and weight: of one type, channels last."""
        weight = self._cut(weight)
        if self.kind == "gathered":
            y = self.output(x)
            return y, gathered.forward(x, weight, self.geometry, y)
        if self.exact:
            with torch.autocast("cpu", enabled=False):
                y = torch.conv3d(x.float(), weight.float(), None, self.stride, self.padding)
            return y.to(x.dtype).contiguous(memory_format=LAST), x
        y = self._convolve(self._flat(x), self._flat_kernel(weight), None, *self._flat_steps())
        return self._unflat(y), x

    def backward(self, gradient: Tensor, kept: Tensor, weight: Tensor, to_x: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Gradients to x (None where `to_x`, an empty tensor like it, is not given) and to the kernel, in its own shape."""
        cut = self._cut(weight)
        if self.kind == "gathered":
            slope = gathered.backward(gradient, kept, cut, self.geometry, to_x)
        else:
            wanted = [to_x is not None, True, False]
            flat = not self.exact
            tensors = (gradient, kept, cut) if flat else (gradient.float(), kept.float(), cut.float())
            if flat:
                tensors = self._flat(tensors[0], out=True), self._flat(tensors[1]), self._flat_kernel(tensors[2])
            stride, padding = self._flat_steps() if flat else (self.stride, self.padding)
            ones, zeros = [1] * len(stride), [0] * len(stride)
            backward = torch.ops.aten.convolution_backward
            found, slope, _ = backward(*tensors, None, stride, padding, ones, False, zeros, 1, wanted)
            if to_x is not None:
                to_x = (self._unflat(found, out=False) if flat else found).to(to_x.dtype).contiguous(memory_format=LAST)
            slope = slope.reshape(cut.shape)
        if cut.shape == weight.shape:
            return to_x, slope
        whole = torch.zeros_like(weight)
        whole[:, :, *self.taps] = slope
        return to_x, whole

    # ---------------------------------------------------------------- two dimensions for three

    def _cut(self, weight: Tensor) -> Tensor:
        whole = all(taps == slice(None) for taps in self.taps)
        return (weight if whole else weight[:, :, *self.taps]).contiguous(memory_format=LAST)

    @property
    def _convolve(self) -> Any:
        return torch.conv3d if self.kind == "volumes" else torch.conv2d

    def _flat(self, x: Tensor, out: bool = False) -> Tensor:
        g = self.geometry
        channels, frames, height, width = (
            (g.outputs, g.out_frames, g.out_height, g.out_width) if out else (g.channels, g.frames, g.height, g.width)
        )
        if self.kind == "images":
            line, image = width * channels, height * width * channels
            return x.as_strided((g.batch * frames, channels, height, width), (image, 1, line, channels))
        if self.kind == "sheets":
            line = height * width * channels
            return x.as_strided((g.batch, channels, frames, height * width), (frames * line, 1, line, channels))
        return x

    def _unflat(self, y: Tensor, out: bool = True) -> Tensor:
        if self.kind == "volumes":
            return y.contiguous(memory_format=LAST)
        g = self.geometry
        channels, frames, height, width = (
            (g.outputs, g.out_frames, g.out_height, g.out_width) if out else (g.channels, g.frames, g.height, g.width)
        )
        y = y.contiguous(memory_format=torch.channels_last)
        line, image = width * channels, height * width * channels
        return y.as_strided((g.batch, channels, frames, height, width), (frames * image, 1, image, line, channels))

    def _flat_kernel(self, weight: Tensor) -> Tensor:
        return weight.squeeze(2) if self.kind == "images" else weight.squeeze(4) if self.kind == "sheets" else weight

    def _flat_steps(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self.kind == "images":
            return self.stride[1:], self.padding[1:]
        if self.kind == "sheets":
            return (self.stride[0], 1), (self.padding[0], 0)
        return self.stride, self.padding


def _wrong_in_bf16(kind: str, sizes: tuple[int, ...], kernel: list[int], stride: list[int], out: list[int]) -> bool:
    """Seen with torch 2.15 on processors with AVX512-BF16: kernels' gradients full of rests of memory, up to not-a-number.

    3-D kernels longer than the clip; and strided kernels whose map is one pixel wide. tests/test_fast_layout.py goes through
    the shapes of every network.
    """
    return (kind == "volumes" and 1 < kernel[0] > sizes[0]) or (out[2] == 1 and stride[2] > 1)
