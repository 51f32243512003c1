"""Convolution, batch norm, ReLU and the addition of a residual as one operation each, forward and backward.

A `Chain` is an `nn.Sequential` of such units, reached from one by changing its class; parameters and their names stay. Of each unit
only its input, the convolution's result and its own are kept. Arithmetic is 32-bit or, under autocast, bfloat16 (on a GPU float16,
too) with 32-bit statistics. On a CPU units are computed here, on a GPU by fame/gpu/unit.py. On other devices, for other types, for
gradients in eval mode, and while torch.compile traces, it is torch's own operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torchvision.models.video.resnet import BasicBlock

from fame.gpu.serving import serves

LAST = torch.channels_last_3d


class Unit:
    """One convolution with its batch norm and, with `relu`, the ReLU behind it. Holds the modules, owns no parameter."""

    def __init__(self, conv: nn.Conv3d, norm: nn.BatchNorm3d, relu: bool):
        self.conv, self.norm, self.relu = conv, norm, relu
        plain = conv.groups == 1 and set(conv.dilation) == {1} and conv.bias is None and not isinstance(conv.padding, str)
        self.usual = plain and norm.affine and norm.track_running_stats and norm.momentum is not None
        self.layouts: dict[Any, Any] = {}

    def __call__(self, x: Tensor, residual: Tensor | None = None, inner: bool = False) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', H', W'); `residual` of the latter shape is added before the ReLU.

        `inner`: the result goes to the next unit of a chain alone, so that empty channels may stand behind its own.
        """
        learning, kind = torch.is_grad_enabled(), x.device.type
        if not self.usual or (learning and not self.norm.training) or torch.compiler.is_compiling():
            return self._plain(x, residual)
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        if serves(x, residual):
            from fame.gpu import unit as gpu  # with it comes Triton

            if dtype in gpu.TYPES:
                return gpu.run(self.conv, self.norm, self.relu, x.to(dtype), residual, inner)
        if kind != "cpu" or dtype not in (torch.float32, torch.bfloat16):
            return self._plain(x, residual)
        x = x.to(dtype).contiguous(memory_format=LAST)
        if residual is not None:
            residual = residual.to(dtype).contiguous(memory_format=LAST)
        if learning:
            found: Tensor = _Operation.apply(x, self.conv.weight, self.norm.weight, self.norm.bias, residual, self)
            return found
        return self.forward(x, residual)[0]

    def layout(self, x: Tensor) -> Any:
        """How the convolution is computed for inputs like x."""
        key = x.shape, x.dtype
        found = self.layouts.get(key)
        if found is None:
            from fame.backbones.layout import Layout  # with it comes Numba, whose import takes a second

            found = self.layouts[key] = Layout.of(self.conv, x.shape, x.dtype)
        return found

    def forward(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The result, and what the backward pass wants: of the convolution, its result, the statistics."""
        from fame.cpu import batch_norm

        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
        y, kept = self.layout(x).forward(x, self.conv.weight.detach().to(x.dtype))
        running = norm.running_mean, norm.running_var, norm.momentum
        if not norm.training:
            return batch_norm.apply(y, norm.weight, norm.bias, running, residual, self.relu, norm.eps), ()
        if y.numel() == y.shape[1]:
            raise ValueError(f"one value a channel, {tuple(y.shape)}: batch statistics need more, so larger clips or batches")
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked += 1
        out, statistics = batch_norm.forward(y, norm.weight, norm.bias, running, residual, self.relu, norm.eps)
        return out, (kept, y, statistics)

    def _plain(self, x: Tensor, residual: Tensor | None) -> Tensor:
        y: Tensor = self.norm(self.conv(x[:, : self.conv.in_channels]))
        y = y if residual is None else y + residual
        return functional.relu(y) if self.relu else y


class _Operation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, unit: Unit) -> Tensor:
        out, saved = unit.forward(x, residual)
        ctx.unit, ctx.residual, ctx.shape = unit, residual is not None, (x.shape, x.dtype)
        ctx.save_for_backward(kernel, weight, out, *saved)
        ctx.layout = unit.layout(x)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from fame.cpu import batch_norm

        kernel, weight, out, kept, y, statistics = ctx.saved_tensors
        unit = ctx.unit
        gradient = gradient.to(y.dtype).contiguous(memory_format=LAST)
        to_y, through, to_norm = batch_norm.backward(gradient, y, weight, out, statistics, unit.relu, unit.norm.eps, ctx.residual)
        shape, dtype = ctx.shape
        to_x = torch.empty(shape, dtype=dtype, memory_format=LAST) if ctx.needs_input_grad[0] else None
        to_x, to_kernel = ctx.layout.backward(to_y, kept, kernel.to(dtype), to_x)
        return to_x, to_kernel.to(kernel.dtype), to_norm[0], to_norm[1], through if ctx.residual else None, None


class Chain(nn.Sequential):
    """`nn.Sequential` of convolutions, each with a batch norm and perhaps a ReLU, nested or not."""

    def units(self) -> list[Unit]:
        """Its units, in order; made once."""
        if "_units" not in self.__dict__:
            self.__dict__["_units"] = list(paired(self) or [])
        found: list[Unit] = self.__dict__["_units"]
        return found

    def forward(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        """`residual` and, with `relu`, one more ReLU go to the last unit."""
        *first, last = self.units()
        for unit in first:
            x = unit(x, inner=True)
        last.relu = last.relu or relu
        return last(x, residual)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_units"}  # a copy makes its own


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
        if waiting is not None:
            if not isinstance(part, nn.BatchNorm3d):
                return None
            found.append(Unit(waiting, part, False))
            waiting = None
        elif isinstance(part, nn.Conv3d):
            waiting = part
        elif isinstance(part, nn.ReLU) and found and not found[-1].relu:
            found[-1].relu = True
        else:
            return None
    return found if found and waiting is None else None


def leaves(parts: nn.Module) -> Iterator[nn.Module]:
    """The modules of nested `nn.Sequential`s, in the order in which they are called."""
    for part in parts.children():
        if type(part).forward in (nn.Sequential.forward, Chain.forward):
            yield from leaves(part)
        else:
            yield part
