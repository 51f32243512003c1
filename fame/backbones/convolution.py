"""3-D convolutions on a CPU as what they amount to: products, or 2-D convolutions where a kernel spans only space or only time.

Mathematics and parameters are `nn.Conv3d`'s. With channels last, the frames of a clip are a batch of images (kernels 1 x k x k),
and frames by places are an image of their own (kernels k x 1 x 1): no number is moved, and the library's 2-D code is up to four
times faster than its 3-D code, above all in the kernels' gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

LAYOUT = torch.channels_last_3d


class Convolution(nn.Conv3d):
    """`nn.Conv3d`, reached from one by changing its class."""

    def forward(self, x: Tensor) -> Tensor:
        plain = self.groups == 1 and set(self.dilation) == {1} and not isinstance(self.padding, str) and self.bias is None
        if x.device.type != "cpu" or not plain or torch.compiler.is_compiling():
            return super().forward(x)
        weight, stride, padding = self.weight, list(self.stride), [int(pad) for pad in self.padding]
        for axis, (size, kernel) in enumerate(zip(x.shape[2:], self.kernel_size, strict=True)):
            if size == 1 and kernel == 2 * padding[axis] + 1:  # all taps but the middle one meet nothing but padding
                weight = weight.narrow(2 + axis, padding[axis], 1)
                stride[axis], padding[axis] = 1, 0
        kernel_size = weight.shape[2:]
        # a kernel of one tap reads every stride-th place only: those are taken out first
        steps = tuple(s if k == 1 and p == 0 else 1 for s, k, p in zip(stride, kernel_size, padding, strict=True))
        x = x.contiguous(memory_format=LAYOUT)
        if max(steps) > 1:
            x = _Subsampled.apply(x, steps)
            stride = [s // step for s, step in zip(stride, steps, strict=True)]
        batch, channels, frames, height, width = x.shape
        rows = x.permute(0, 2, 3, 4, 1)  # a view: (B, T, H, W, C)
        if kernel_size == (1, 1, 1):
            return functional.linear(rows, weight.flatten(1)).permute(0, 4, 1, 2, 3)
        if kernel_size[0] == 1:
            images = rows.reshape(batch * frames, height, width, channels).permute(0, 3, 1, 2)
            y = _exact(functional.conv2d, images, weight[:, :, 0], stride[1:], padding[1:])
            return y.permute(0, 2, 3, 1).unflatten(0, (batch, frames)).permute(0, 4, 1, 2, 3)
        if kernel_size[1:] == (1, 1):
            images = rows.reshape(batch, frames, height * width, channels).permute(0, 3, 1, 2)
            y = _exact(functional.conv2d, images, weight[..., 0], [stride[0], 1], [padding[0], 0])
            return y.permute(0, 2, 3, 1).unflatten(2, (height, width)).permute(0, 4, 1, 2, 3)
        return _exact(functional.conv3d, x, weight, stride, padding)


def _exact(convolve: Any, x: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """The convolution, in 32 bits where the library's bfloat16 gradients of the kernel are wrong."""
    if torch.is_autocast_enabled("cpu") and _wrong_in_bf16(x, weight, stride, padding):
        with torch.autocast("cpu", enabled=False):
            y: Tensor = convolve(x.float(), weight.float(), stride=stride, padding=padding)
        return y.to(torch.get_autocast_dtype("cpu"))
    found: Tensor = convolve(x, weight, stride=stride, padding=padding)
    return found


def _wrong_in_bf16(x: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> bool:
    """Seen with torch 2.15 on processors with AVX512-BF16: kernels' gradients full of rests of memory, up to not-a-number.

    3-D kernels longer than the clip; and strided kernels whose map is one pixel wide. tests/test_backbones.py goes through
    the shapes of every network.
    """
    if x.dim() == 5 and 1 < weight.shape[2] > x.shape[2]:
        return True
    width = (x.shape[-1] + 2 * padding[-1] - weight.shape[-1]) // stride[-1] + 1
    return width == 1 and stride[-1] > 1


class _Subsampled(torch.autograd.Function):
    """Every `steps`-th frame, row and column, from the first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: tuple[int, int, int]) -> Tensor:
        ctx.steps, ctx.shape = steps, x.shape
        return _every(x, steps).contiguous(memory_format=LAYOUT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found = torch.empty(ctx.shape, dtype=gradient.dtype, memory_format=LAYOUT).zero_()
        _every(found, ctx.steps).copy_(gradient)
        return found, None


def _every(x: Tensor, steps: tuple[int, int, int]) -> Tensor:
    return x[:, :, :: steps[0], :: steps[1], :: steps[2]]
