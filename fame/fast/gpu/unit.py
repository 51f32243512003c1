"""Compute units on a GPU, by Triton's batch norms and convolutions in two dimensions where that serves."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fame.fast.gpu import batch_norm
from fame.fast.gpu.convolution import Fold, Geometry, filled, is_taken_apart, taken_apart, widened
from fame.fast.unit import LAST, computed

TYPES = (torch.float32, torch.bfloat16, torch.float16)


def run(
    conv: nn.Conv3d,
    norm: nn.BatchNorm3d,
    relu: bool,
    x: Tensor,
    residual: Tensor | None,
    inner: bool,
    ways: object = None,
) -> Tensor | None:
    """Return the unit's result, (B, C, T, H, W) -> (B, O, T', H', W'), channels last; None where x is of none of `TYPES`.

    With `inner` the result may have empty channels, x always may.
    """
    if x.dtype not in TYPES:
        return None
    kernel, geometry = conv.weight, Geometry.of(conv)
    if is_taken_apart(conv, x):
        x, kernel, geometry = taken_apart(conv, x)
    x = widened(x.contiguous(memory_format=LAST))
    made = filled(conv.out_channels, x.dtype) if inner and residual is None else conv.out_channels
    return computed(x, kernel, norm, relu, residual, Fold.of(geometry, x.shape, made), batch_norm)
