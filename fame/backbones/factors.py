"""The two factors of a (2+1)D convolution, with the gradient of their kernels as plain matrix products on a CPU.

Forward pass and mathematics are `nn.Conv3d`'s. Only the kernels' gradient is computed otherwise: for few channels, or counts that
are no multiple of eight, the library falls back to a path several times slower than the product it amounts to.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

SMALL_MAP = 16  # positions a frame, up to which a spatial kernel's gradient is faster from gathered neighbourhoods


class TemporalConv(nn.Conv3d):
    """(3, 1, 1) with padding 1 and no bias."""

    def __init__(self, given: int, planes: int, stride: int = 1):
        super().__init__(given, planes, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if not _gains(x):
            return super().forward(x)
        y: Tensor = _Convolution.apply(x, self.weight, self.stride, self.padding, _temporal_gradient)
        return y


class SpatialConv(nn.Conv3d):
    """(1, 3, 3) with padding 1 and no bias."""

    def __init__(self, given: int, planes: int, stride: int = 1):
        super().__init__(given, planes, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if not _gains(x) or x.shape[3] * x.shape[4] > SMALL_MAP:
            return super().forward(x)
        y: Tensor = _Convolution.apply(x, self.weight, self.stride, self.padding, _spatial_gradient)
        return y


def _gains(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.is_floating_point() and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Any, padding: Any, kernel_gradient: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.kernel_gradient = list(stride), list(padding), kernel_gradient
        return functional.conv3d(x, weight, stride=stride, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        x, weight = ctx.saved_tensors
        to_x = None
        if ctx.needs_input_grad[0]:
            wanted = [True, False, False]
            ones, zeros = [1, 1, 1], [0, 0, 0]
            to_x = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, ctx.stride, ctx.padding, ones, False, zeros, 1, wanted
            )[0]
        # channels last: (B, T, H, W, C), a view where the layout is already so
        rows, slopes = x.permute(0, 2, 3, 4, 1).contiguous(), gradient.permute(0, 2, 3, 4, 1).contiguous()
        return to_x, ctx.kernel_gradient(rows, slopes, ctx.stride), None, None, None


def _temporal_gradient(x: Tensor, gradient: Tensor, stride: list[int]) -> Tensor:
    """One product a tap, over the frames that tap meets: (out, in, 3, 1, 1)."""
    step, frames = stride[0], gradient.shape[1]
    # the first output meets padding in its first tap; the last one in its third, unless a frame remains
    reach = min(frames, (x.shape[1] - 2) // step + 1)
    met = [
        (gradient[:, 1:], x[:, step - 1 : step * (frames - 1) : step]),
        (gradient, x[:, : step * (frames - 1) + 1 : step]),
        (gradient[:, :reach], x[:, 1 : step * (reach - 1) + 2 : step]),
    ]
    return torch.stack([_product(slopes, rows) for slopes, rows in met], -1)[..., None, None]


def _product(slopes: Tensor, rows: Tensor) -> Tensor:
    """sum over videos, frames and places of the outer products: (out, in)."""
    if slopes.shape[1] == 0:
        return slopes.new_zeros(slopes.shape[-1], rows.shape[-1])
    left, right = slopes.flatten(1, 3), rows.flatten(1, 3)
    if left.is_contiguous() and right.is_contiguous():
        return left.flatten(0, 1).T @ right.flatten(0, 1)
    return torch.bmm(left.transpose(1, 2), right).sum(0)


def _spatial_gradient(x: Tensor, gradient: Tensor, stride: list[int]) -> Tensor:
    """One product of gathered 3 x 3 neighbourhoods with the slopes: (out, in, 1, 3, 3)."""
    batch, frames, height, width, channels = x.shape
    h, w = gradient.shape[2:4]
    padded = functional.pad(x, (0, 0, 1, 1, 1, 1))
    image, line = (height + 2) * (width + 2) * channels, (width + 2) * channels
    size = (batch * frames, h, w, 3, 3 * channels)
    gathered = padded.as_strided(size, (image, stride[1] * line, stride[2] * channels, line, 1)).reshape(-1, 9 * channels)
    product = gradient.reshape(len(gathered), -1).T @ gathered
    return product.view(-1, 3, 3, channels).permute(0, 3, 1, 2)[:, :, None]
