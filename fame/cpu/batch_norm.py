"""Batch normalisation with the addition of a residual and ReLU, forward and backward, in two passes over memory each.

For rows of channels (channels last). Loops run over tiles of several rows, with per-channel factors repeated to the tile's length,
so that they vectorise for any number of channels. Sums are 32-bit within a chunk of rows and 64-bit across; chunks depend on the
shape alone, so results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fame.cpu.compiled import inline, kernel, prange
from fame.cpu.floats import flat, load, store

TILE = 256  # numbers, about
CHUNK = 128  # tiles

Array = NDArray[Any]


def forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    relu: bool,
    eps: float,
    running_mean: Tensor,
    running_variance: Tensor,
    momentum: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised x, times weight, plus bias, plus `residual`, cut at 0 with `relu`; and the batch's mean and biased variance.

    x and residual: (B, C, T, H, W), float32 or bfloat16, dense with channels last; so is the result. The rest float32 (C,); the
    running statistics are moved towards the batch's (unbiased) by the share `momentum`.
    """
    found = torch.empty(4, x.shape[1])
    rows, moments = flat(x), found.numpy()
    running = running_mean.numpy(), running_variance.numpy()
    _statistics(rows, weight.detach().numpy(), bias.detach().numpy(), eps, *running, momentum, moments)
    return _applied(x, rows, moments[2], moments[3], residual, relu), found[0], found[1]


def apply(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, residual: Tensor | None, relu: bool, eps: float
) -> Tensor:
    """As `forward` with a given mean and variance, for eval mode; no gradients."""
    factor = (weight / (variance + eps).sqrt()).detach()
    term = (bias - mean * factor).detach()
    return _applied(x, flat(x), factor.numpy(), term.numpy(), residual, relu)


def _applied(x: Tensor, rows: Array, factor: Array, term: Array, residual: Tensor | None, relu: bool) -> Tensor:
    out = torch.empty_like(x)
    _affine(rows, factor, term, rows if residual is None else flat(residual), residual is not None, relu, flat(out))
    return out


def backward(
    gradient: Tensor, x: Tensor, weight: Tensor, y: Tensor, mean: Tensor, variance: Tensor, relu: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients to x, to what came out of the addition (so to the residual), to weight and to bias; y is the forward result."""
    through, to_x = torch.empty_like(x), torch.empty_like(x)
    found = torch.empty(2, x.shape[1])
    moments = mean.numpy(), variance.numpy()
    _backward(
        flat(x), flat(y), flat(gradient), weight.detach().numpy(), *moments, relu, eps, flat(through), flat(to_x), found.numpy()
    )
    return to_x, through, found[0], found[1]


@inline
def _tile(channels: int) -> int:
    return channels * max(1, TILE // channels)


@inline
def _tiled(values: Array) -> Array:
    channels = values.shape[0]
    found = np.empty(_tile(channels), np.float32)
    for start in range(0, found.shape[0], channels):
        for c in range(channels):
            found[start + c] = values[c]
    return found


@inline
def _by_channel(partial: Array, channels: int) -> Array:
    """(chunks, 2, tile) -> float64 (2, channels)."""
    found = np.zeros((2, channels), np.float64)
    for chunk in range(partial.shape[0]):
        for which in range(2):
            for start in range(0, partial.shape[2], channels):
                for c in range(channels):
                    found[which, c] += partial[chunk, which, start + c]
    return found


@kernel
def _statistics(
    x: Array, weight: Array, bias: Array, eps: float, running_mean: Array, running_variance: Array, momentum: float, found: Array
) -> None:
    """found: (4, C), filled with mean, variance, and the factor and term that normalise."""
    channels = weight.shape[0]
    tile = _tile(channels)
    size = tile * CHUNK
    chunks = (x.shape[0] + size - 1) // size
    # deviations from the first row: sums of squares of the values themselves would cancel where the mean is far from zero
    first = np.empty(channels, np.float32)
    for c in range(channels):
        first[c] = load(x[c])
    shift = _tiled(first)
    partial = np.zeros((chunks, 2, tile), np.float32)
    for chunk in prange(chunks):
        sums, squares = partial[chunk, 0], partial[chunk, 1]
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            part = x[start : min(start + tile, end)]
            for i in range(part.shape[0]):
                away = load(part[i]) - shift[i]
                sums[i] += away
                squares[i] += away * away
    sums_64 = _by_channel(partial, channels)
    count = x.shape[0] // channels
    for c in range(channels):
        away_64 = sums_64[0, c] / count
        mean = first[c] + away_64
        variance = max(sums_64[1, c] / count - away_64 * away_64, 0.0)
        factor = weight[c] / np.sqrt(variance + eps)
        found[0, c], found[1, c], found[2, c], found[3, c] = mean, variance, factor, bias[c] - mean * factor
        running_mean[c] += momentum * (mean - running_mean[c])
        running_variance[c] += momentum * (variance * count / max(count - 1, 1) - running_variance[c])


@kernel
def _affine(x: Array, factors: Array, terms: Array, residual: Array, add: bool, relu: bool, out: Array) -> None:
    """out = max(x * factor + term + residual, 0); factors and terms (C,)."""
    factor, term = _tiled(factors), _tiled(terms)
    tile = factor.shape[0]
    size = tile * CHUNK
    floor = np.float32(0.0 if relu else -np.inf)
    for chunk in prange((x.shape[0] + size - 1) // size):
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            stop = min(start + tile, end)
            part, target = x[start:stop], out[start:stop]
            if add:
                extra = residual[start:stop]
                for i in range(part.shape[0]):
                    target[i] = store(max(load(part[i]) * factor[i] + term[i] + load(extra[i]), floor), target[i])
            else:
                for i in range(part.shape[0]):
                    target[i] = store(max(load(part[i]) * factor[i] + term[i], floor), target[i])


@kernel
def _backward(
    x: Array,
    y: Array,
    gradient: Array,
    weight: Array,
    mean: Array,
    variance: Array,
    relu: bool,
    eps: float,
    through: Array,
    to_x: Array,
    sums: Array,
) -> None:
    """sums: (2, C), filled with the gradients to weight and bias."""
    channels = weight.shape[0]
    tile = _tile(channels)
    size = tile * CHUNK
    chunks = (x.shape[0] + size - 1) // size
    middle = _tiled(mean)
    zero = np.float32(0)
    partial = np.zeros((chunks, 2, tile), np.float32)
    for chunk in prange(chunks):
        plain, product = partial[chunk, 0], partial[chunk, 1]
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            stop = min(start + tile, end)
            part, passed, slope, target = x[start:stop], y[start:stop], gradient[start:stop], through[start:stop]
            if relu:
                for i in range(part.shape[0]):
                    value = load(slope[i])
                    value = value if load(passed[i]) > zero else zero
                    target[i] = store(value, target[i])
                    plain[i] += value
                    product[i] += value * (load(part[i]) - middle[i])
            else:
                for i in range(part.shape[0]):
                    value = load(slope[i])
                    target[i] = slope[i]
                    plain[i] += value
                    product[i] += value * (load(part[i]) - middle[i])
    sums_64 = _by_channel(partial, channels)
    factors, slopes, terms = np.empty(channels, np.float64), np.empty(channels, np.float64), np.empty(channels, np.float64)
    for c in range(channels):
        scale = 1 / np.sqrt(variance[c] + eps)
        share = channels / x.shape[0]
        sums[0, c], sums[1, c] = sums_64[1, c] * scale, sums_64[0, c]
        factors[c] = weight[c] * scale
        slopes[c] = -factors[c] * scale * scale * sums_64[1, c] * share
        terms[c] = -factors[c] * sums_64[0, c] * share - slopes[c] * mean[c]
    by_gradient, by_x, term = _tiled(factors), _tiled(slopes), _tiled(terms)
    for chunk in prange(chunks):
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            stop = min(start + tile, end)
            part, slope, target = x[start:stop], through[start:stop], to_x[start:stop]
            for i in range(part.shape[0]):
                target[i] = store(load(slope[i]) * by_gradient[i] + load(part[i]) * by_x[i] + term[i], target[i])
