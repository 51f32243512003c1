"""Batch norm with what follows it (a residual, ReLU) in one operation on a CPU: four passes over memory instead of ten.

In whatever type comes (32-bit or bfloat16); arithmetic is 32-bit. Elsewhere, and for gradients in eval mode, it is torch's own
operations.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torchvision.models.video.resnet import BasicBlock

LAYOUT = torch.channels_last_3d


class BatchNorm(nn.BatchNorm3d):
    """`nn.BatchNorm3d`, reached from one by changing its class; with `relu` it takes over the ReLU behind it."""

    relu: bool = False

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(B, C, T, H, W) -> the same shape and type: normalised, plus `residual` if there is one, cut at 0 with `relu`."""
        if not self._compiled(x):
            plain = super().forward(x)
            plain = plain if residual is None else plain + residual
            return functional.relu(plain, inplace=True) if self.relu else plain
        x = x.contiguous(memory_format=LAYOUT)
        if residual is not None:
            residual = residual.to(x.dtype).contiguous(memory_format=LAYOUT)
        if not self.training:
            from fame.cpu import batch_norm  # Numba's import takes a second: only where it is used

            assert self.running_mean is not None and self.running_var is not None
            return batch_norm.apply(x, self.weight, self.bias, self.running_mean, self.running_var, residual, self.relu, self.eps)
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked += 1
        running = self.running_mean, self.running_var, self.momentum
        y: Tensor = _Normalise.apply(x, self.weight, self.bias, residual, self.relu, self.eps, *running)
        return y

    def _compiled(self, x: Tensor) -> bool:
        usual = self.affine and self.track_running_stats and self.momentum is not None
        known = x.dtype in (torch.float32, torch.bfloat16)
        wanted = self.training or not torch.is_grad_enabled()
        return wanted and usual and known and x.device.type == "cpu" and not torch.compiler.is_compiling()


class Absorbed(nn.ReLU):
    """A ReLU that the batch norm before it has taken over."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Block(BasicBlock):
    """torchvision's residual block, the addition and the last ReLU taken over by the last batch norm."""

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        y = self.conv1(x)
        for part in self.conv2[:-1]:
            y = part(y)
        found: Tensor = self.conv2[-1](y, residual)
        return found


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, relu: bool, eps: float, *running: Any
    ) -> Tensor:
        from fame.cpu import batch_norm

        y, mean, variance = batch_norm.forward(x, weight, bias, residual, relu, eps, *running)
        ctx.relu, ctx.eps, ctx.residual = relu, eps, residual is not None
        ctx.save_for_backward(x, weight, y if relu else x, mean, variance)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from fame.cpu import batch_norm

        x, weight, y, mean, variance = ctx.saved_tensors
        gradient = gradient.to(x.dtype).contiguous(memory_format=LAYOUT)
        to_x, through, to_weight, to_bias = batch_norm.backward(gradient, x, weight, y, mean, variance, ctx.relu, ctx.eps)
        return to_x, to_weight, to_bias, through if ctx.residual else None, *[None] * 5
