"""Batch normalisation with the addition of a residual and ReLU on a GPU, forward and backward, in two passes over memory each.

As fame/cpu/batch_norm.py, which has the same functions for a CPU. Arithmetic is 32-bit whatever the type of the numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fame.gpu import batch_norm_kernels as kernels
from fame.gpu.serving import OPTIONS, on

TILE = 4096  # numbers at once
WIDE = 64  # channels of a program, at most: 128 bytes of a row in 16 bits
FEW = 32  # channels of a program that sums chunks
MANY = 64  # chunks at once
SUMMING = 8  # warps of a program that sums: with four, its registers leave few programs a multiprocessor
PROGRAMS = 1056  # of one pass of sums, about: eight for each of an H200's multiprocessors

Running = tuple[Tensor, Tensor, Tensor, float]  # mean, variance, batches so far, and the share by which the former two move


def forward(
    x: Tensor, weight: Tensor, bias: Tensor, running: Running, residual: Tensor | None, relu: bool, eps: float
) -> tuple[Tensor, Tensor]:
    """Normalised x, times weight, plus bias, plus `residual`, cut at 0 with `relu`; and the batch's moments for `backward`.

    x, residual and the result: float32, bfloat16 or float16, (N, C', ...) channels last and dense in memory. weight, bias: float32
    (C,), C <= C'; channels beyond C hold zeros. `running` is moved towards the batch's, and counts it.
    """
    rows, channels = _matrix(x)
    each, chunks = _chunks(rows, channels)
    out, found, partial = torch.empty_like(x), _floats(x, 4, channels), _floats(x, chunks, 2, channels)
    mean, variance, tracked, momentum = running
    with on(x):
        kernels.moments[(chunks, _blocks(channels))](x, partial, rows, channels, each, **_tile(channels, SUMMING))
        kernels.normaliser[(_blocks(channels, FEW),)](
            x,
            partial,
            weight,
            bias,
            mean,
            variance,
            tracked,
            found,
            rows,
            channels,
            len(weight),
            chunks,
            momentum,
            eps,
            **_over_chunks(),
        )
        _affine(x, residual, out, found, relu)
    return out, found


def apply(x: Tensor, weight: Tensor, bias: Tensor, running: Running, residual: Tensor | None, relu: bool, eps: float) -> Tensor:
    """As `forward`, with the running mean and variance for the batch's, which stay as they are: eval mode."""
    _, channels = _matrix(x)
    out, found = torch.empty_like(x), _floats(x, 4, channels)
    mean, variance, _, _ = running
    with on(x):
        kernels.running_normaliser[(_blocks(channels),)](
            weight, bias, mean, variance, found, channels, len(weight), eps, WIDE=_wide(channels), **OPTIONS
        )
        _affine(x, residual, out, found, relu)
    return out


def backward(
    gradient: Tensor, x: Tensor, weight: Tensor, out: Tensor | None, found: Tensor, relu: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients to x; to what came out of the addition, so to the residual; to weight and bias (2, C).

    out: the result of `forward` where a residual was added and cut by ReLU. Where it is None, the second result is the `gradient`.
    """
    rows, channels = _matrix(x)
    each, chunks = _chunks(rows, channels)
    added = out is not None
    written = added and relu
    through = torch.empty_like(x) if written else gradient
    to_x, partial, factors = torch.empty_like(x), _floats(x, chunks, 2, channels), _floats(x, 3, channels)
    to_norm = _floats(x, 2, len(weight))
    given = x if out is None else out  # a kernel's argument that it does not look at must be a tensor all the same
    with on(x):
        kernels.slopes[(chunks, _blocks(channels))](
            gradient, x, given, through, found, partial, rows, channels, each, ADDED=added, RELU=relu, **_tile(channels, SUMMING)
        )
        kernels.slopes_of_norm[(_blocks(channels, FEW),)](
            partial, weight, found, to_norm, factors, rows, channels, len(weight), chunks, eps, **_over_chunks()
        )
        kernels.slope_of_x[(-(-rows // _rows(channels)), _blocks(channels))](
            through, x, found, factors, to_x, rows, channels, MASKED=relu and not added, **_tile(channels)
        )
    return to_x, through, to_norm


def _affine(x: Tensor, residual: Tensor | None, out: Tensor, found: Tensor, relu: bool) -> None:
    rows, channels = _matrix(x)
    added = residual is not None
    kernels.affine[(-(-rows // _rows(channels)), _blocks(channels))](
        x, residual if added else x, out, found, rows, channels, ADDED=added, RELU=relu, **_tile(channels)
    )


def _matrix(x: Tensor) -> tuple[int, int]:
    """Rows and channels."""
    return x.numel() // x.shape[1], x.shape[1]


def _wide(channels: int) -> int:
    """Channels of a program, a power of two."""
    return min(WIDE, 1 << (channels - 1).bit_length())


def _rows(channels: int) -> int:
    """Rows of a program at once."""
    return TILE // _wide(channels)


def _tile(channels: int, warps: int = 4) -> dict[str, Any]:
    return {"ROWS": _rows(channels), "WIDE": _wide(channels), "num_warps": warps, **OPTIONS}


def _over_chunks() -> dict[str, Any]:
    return {"MANY": MANY, "WIDE": FEW, **OPTIONS}


def _chunks(rows: int, channels: int) -> tuple[int, int]:
    """Rows of a chunk, a multiple of a program's, and the number of chunks. A function of the shape alone."""
    wanted, at_once = max(1, PROGRAMS // _blocks(channels)), _rows(channels)
    each = -(-rows // (wanted * at_once)) * at_once
    return each, -(-rows // each)


def _blocks(channels: int, wide: int = 0) -> int:
    return -(-channels // (wide or _wide(channels)))


def _floats(x: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=x.device)
