"""Compute convolution, batch norm, ReLU and the addition of a residual as one operation, forward and backward.

Arithmetic is 32-bit or, under autocast on a GPU, bfloat16 or float16 with 32-bit statistics. Where fame/fast/ has no unit for
device, type and shape, and for gradients in eval mode, torch's own operations compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.video.resnet import BasicBlock

from fame.fast import choose


class Unit:
    """One convolution with its batch norm and, with `relu`, the ReLU behind it. Holds the modules, owns no parameter."""

    def __init__(self, conv: nn.Conv3d, norm: nn.BatchNorm3d):
        self.conv, self.norm, self.relu = conv, norm, False
        self.ways: dict[Any, Any] = {}  # on a CPU: how the convolution is computed, by shape

    def __call__(self, x: Tensor, residual: Tensor | None = None, inner: bool = False) -> Tensor:
        """Map (B, C, T, H, W) to (B, O, T', H', W'); where `inner`, empty channels may stand behind the O."""
        run, kind = choose("unit", x, residual), x.device.type
        if run is not None and (self.norm.training or not torch.is_grad_enabled()):
            dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
            found: Tensor | None = run(self.conv, self.norm, self.relu, x.to(dtype), residual, inner, self.ways)
            if found is not None:
                return found
        y = self.norm(self._plain(x[:, : self.conv.in_channels]))
        y = y if residual is None else y + residual
        return functional.relu(y) if self.relu else y

    def _plain(self, x: Tensor) -> Tensor:
        conv, padding = self.conv, self.conv.padding
        if x.device.type != "cpu":
            found: Tensor = conv(x)
            return found
        # torch's gradients are not safe where a 3-D kernel is stored channels last, or reaches beyond the clip (torch 2.15: a
        # kernel of 7 frames, stride 2, 5 frames): the process dies of them. So the zeros are put there beforehand.
        if any(k > n for k, n in zip(conv.kernel_size, x.shape[2:], strict=True)):
            x = functional.pad(x, [pad for p in reversed(conv.padding) for pad in (p, p)])  # type: ignore[misc]
            padding = (0, 0, 0)
        return torch.conv3d(x.contiguous(), conv.weight.contiguous(), None, conv.stride, padding)


class Chain(nn.Sequential):
    """`nn.Sequential` of convolutions, each with a batch norm and perhaps a ReLU, nested or not."""

    @cached_property
    def units(self) -> list[Unit]:
        return paired(self) or []

    def forward(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        """`residual` and, with `relu`, one more ReLU go to the last unit."""
        *first, last = self.units
        for unit in first:
            x = unit(x, inner=True)
        last.relu = last.relu or relu
        return last(x, residual)


class Block(BasicBlock):
    """torchvision's residual block; the addition and the last ReLU belong to its last unit."""

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        found: Tensor = self.conv2(self.conv1(x), residual, True)
        return found


def paired(parts: nn.Module) -> list[Unit] | None:
    """The units that a (nested) sequence consists of, or None where it consists of anything else."""
    found: list[Unit] = []
    waiting: nn.Conv3d | None = None
    for part in leaves(parts):
        if waiting is not None and isinstance(part, nn.BatchNorm3d) and _usual(waiting, part):
            found.append(Unit(waiting, part))
            waiting = None
        elif waiting is None and isinstance(part, nn.Conv3d):
            waiting = part
        elif waiting is None and isinstance(part, nn.ReLU) and found and not found[-1].relu:
            found[-1].relu = True
        else:
            return None
    return found if found and waiting is None else None


def _usual(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> bool:
    plain = conv.groups == 1 and set(conv.dilation) == {1} and conv.bias is None and not isinstance(conv.padding, str)
    return plain and norm.affine and norm.track_running_stats and norm.momentum is not None


def leaves(parts: nn.Module) -> Iterator[nn.Module]:
    """The modules of nested `nn.Sequential`s, in the order in which they are called."""
    for part in parts.children():
        nested = type(part).forward in (nn.Sequential.forward, Chain.forward)
        yield from leaves(part) if nested else [part]
