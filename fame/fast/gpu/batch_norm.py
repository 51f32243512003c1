"""Normalise batches on a GPU as fame/fast/cpu/batch_norm.py does on a CPU, in 32-bit arithmetic whatever the numbers' type."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fame.fast.gpu import batch_norm_kernels as kernels
from fame.fast.unit import Running

TILE = 4096  # numbers at once
WIDE = 128  # columns of a program, at most
FEW = 32  # channels of a program that sums chunks
MANY = 128  # chunks at once
SUMMING = 8  # warps of a program that sums: with four, its registers leave few programs a multiprocessor
# products and sums are rounded together in some releases of Triton by default, in others not
OPTIONS = {"enable_fp_fusion": True}
OVER_CHUNKS = {"MANY": MANY, "WIDE": FEW, "num_warps": 8, **OPTIONS}
PROGRAMS = 1056  # of one pass of sums, about: eight for each of an H200's multiprocessors


def forward(
    x: Tensor, weight: Tensor, bias: Tensor, running: Running, residual: Tensor | None, relu: bool, eps: float
) -> tuple[Tensor, Tensor]:
    """Return x normalised, times weight, plus bias and `residual`, cut at 0 with `relu`; and the moments for `backward`.

    x, residual: 32 or 16 bits, (N, C', ...) channels last and dense. weight, bias: float32 (C,); channels beyond C hold zeros.
    """
    matrix = _Matrix.of(x)
    rows, channels, (each, chunks) = x.numel() // x.shape[1], x.shape[1], matrix.chunks()
    parts = chunks * matrix.side
    out, found, partial = torch.empty_like(x), _floats(x, 4, channels), _floats(x, parts, 2, channels)
    mean, variance, tracked, momentum = running
    counts = rows, channels, len(weight), parts
    with _on(x):
        kernels.moments[(chunks, matrix.blocks)](x, partial, *matrix[:3], each, **matrix.tile(SUMMING))
        kernels.normaliser[(-(-channels // FEW),)](
            x, partial, weight, bias, mean, variance, tracked, found, *counts, momentum, eps, **OVER_CHUNKS
        )
        _affine(x, residual, out, found, relu)
    return out, found


def apply(x: Tensor, weight: Tensor, bias: Tensor, running: Running, residual: Tensor | None, relu: bool, eps: float) -> Tensor:
    """As `forward`, with the running mean and variance for the batch's, which stay as they are: eval mode."""
    channels = x.shape[1]
    out, found = torch.empty_like(x), _floats(x, 4, channels)
    mean, variance, _, _ = running
    with _on(x):
        kernels.running_normaliser[(-(-channels // FEW),)](
            weight, bias, mean, variance, found, channels, len(weight), eps, WIDE=FEW, **OPTIONS
        )
        _affine(x, residual, out, found, relu)
    return out


def backward(
    gradient: Tensor, x: Tensor, weight: Tensor, out: Tensor, found: Tensor, relu: bool, eps: float, added: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return gradients to x, the residual, weight and bias. out: `forward`'s result, read where ReLU cut a residual (`added`)."""
    matrix = _Matrix.of(x)
    rows, channels, (each, chunks) = x.numel() // x.shape[1], x.shape[1], matrix.chunks()
    parts, added = chunks * matrix.side, added and relu
    through = torch.empty_like(x) if added else gradient
    to_x, partial, factors = torch.empty_like(x), _floats(x, parts, 2, channels), _floats(x, 3, channels)
    to_norm = _floats(x, 2, len(weight))
    with _on(x):
        kernels.slopes[(chunks, matrix.blocks)](
            gradient,
            x,
            out,
            through,
            found,
            partial,
            *matrix[:3],
            each,
            ADDED=added,
            RELU=relu,
            **matrix.tile(SUMMING),
        )
        kernels.slopes_of_norm[(-(-channels // FEW),)](
            partial, weight, found, to_norm, factors, rows, channels, len(weight), parts, eps, **OVER_CHUNKS
        )
        kernels.slope_of_x[matrix.grid](through, x, found, factors, to_x, *matrix[:3], MASKED=relu and not added, **matrix.tile())
    return to_x, through, to_norm[0], to_norm[1]


def _affine(x: Tensor, residual: Tensor | None, out: Tensor, found: Tensor, relu: bool) -> None:
    matrix, added = _Matrix.of(x), residual is not None
    kernels.affine[matrix.grid](x, residual if added else x, out, found, *matrix[:3], ADDED=added, RELU=relu, **matrix.tile())


class _Matrix(NamedTuple):
    """How kernels see numbers (N, C, ...), channels last: `side` rows of channels beside each other in one of `width` numbers."""

    rows: int
    width: int
    channels: int
    side: int
    wide: int  # columns of a program, a power of two
    blocks: int  # programs beside each other

    @classmethod
    def of(cls, x: Tensor) -> _Matrix:
        channels = x.shape[1]
        rows, side = x.numel() // channels, WIDE // math.gcd(WIDE, channels)
        while rows % side:
            side //= 2
        wide = min(WIDE, 1 << (side * channels - 1).bit_length())
        return cls(rows // side, side * channels, channels, side, wide, -(-side * channels // wide))

    @property
    def grid(self) -> tuple[int, int]:
        """Programs that take a tile each."""
        return -(-self.rows * self.wide // TILE), self.blocks

    def tile(self, warps: int = 4) -> dict[str, Any]:
        return {"ROWS": TILE // self.wide, "WIDE": self.wide, "num_warps": warps, **OPTIONS}

    def chunks(self) -> tuple[int, int]:
        """Rows of a chunk, a multiple of a tile's, and the number of chunks. A function of the shape alone."""
        at_once = TILE // self.wide
        each = -(-self.rows // (max(1, PROGRAMS // self.blocks) * at_once)) * at_once
        return each, -(-self.rows // each)


def _floats(x: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=x.device)


def _on(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context in which kernels are launched on the GPU of `tensor`: Triton takes the current one otherwise."""
    if tensor.device.type == "cuda" and tensor.device.index != torch.cuda.current_device():
        return torch.cuda.device(tensor.device)
    return nullcontext()
