"""Normalise batches, add a residual and apply ReLU, forward and backward, in two passes over memory each.

Tiles of several rows, with per-channel factors repeated, vectorise for any number of channels. Sums are 32-bit within a chunk of
rows and 64-bit across; chunks depend on the shape alone, so results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fame.fast.cpu.compiled import FLOAT, INDEX, at, inline, kernel, prange
from fame.fast.unit import Running

TILE = 256  # numbers, about
CHUNK = 128  # tiles

Array = NDArray[Any]


def forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running: Running,
    residual: Tensor | None,
    relu: bool,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """Return x normalised, times weight, plus bias and `residual`, cut at 0 with `relu`; and the moments for `backward`.

    x, residual: float32 (N, C, ...), channels last and dense. weight, bias: float32 (C,).
    """
    out, found = torch.empty_like(x), x.new_empty(4, x.shape[1], dtype=torch.float32)
    *kept, momentum = running
    _statistics(*_addresses(x, weight, bias, *kept, found), x.numel(), x.shape[1], momentum, eps)
    _affine(*_addresses(x, residual, found, out), x.numel(), x.shape[1], relu)
    return out, found


def apply(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running: Running,
    residual: Tensor | None,
    relu: bool,
    eps: float,
) -> Tensor:
    """As `forward`, with the running mean and variance for the batch's, which stay as they are: eval mode."""
    mean, variance, *_ = running
    factor = weight.detach() * (variance + eps).rsqrt()
    found = torch.stack([mean, variance, factor, bias.detach() - mean * factor])
    out = torch.empty_like(x)
    _affine(*_addresses(x, residual, found, out), x.numel(), x.shape[1], relu)
    return out


def backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    y: Tensor,
    found: Tensor,
    relu: bool,
    eps: float,
    added: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return gradients to x, the residual (the same tensor unless `added`), weight and bias. y: the result of `forward`."""
    through = torch.empty_like(x)
    to_x = torch.empty_like(x) if added else through
    to_weight, to_bias = torch.empty_like(weight), torch.empty_like(weight)
    tensors = x, y, gradient, weight, found, through, to_x, to_weight, to_bias
    _backward(*_addresses(*tensors), x.numel(), x.shape[1], relu, eps)
    return to_x, through, to_weight, to_bias


def _addresses(*tensors: Tensor | None) -> list[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


@inline
def _tiled(values: Array) -> Array:
    channels = values.shape[0]
    found = np.empty(channels * max(1, TILE // channels), np.float32)
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
def _statistics(x_at, weight_at, bias_at, mean_at, variance_at, batches_at, found_at, numbers, channels, momentum, eps):  # type: ignore[no-untyped-def]
    """At `found_at`: (4, C), filled with mean, variance, and the factor and term that normalise."""
    x, found = at(x_at, numbers, FLOAT), at(found_at, 4 * channels, FLOAT).reshape((4, channels))
    weight, bias = at(weight_at, channels, FLOAT), at(bias_at, channels, FLOAT)
    running_mean, running_variance = at(mean_at, channels, FLOAT), at(variance_at, channels, FLOAT)
    at(batches_at, 1, INDEX)[0] += 1
    # deviations from the first row: sums of squares of the values themselves would cancel where the mean is far from zero
    first = x[:channels]
    shift = _tiled(first)
    tile = shift.shape[0]
    size = tile * CHUNK
    chunks = (x.shape[0] + size - 1) // size
    partial = np.zeros((chunks, 2, tile), np.float32)
    for chunk in prange(chunks):
        sums, squares = partial[chunk, 0], partial[chunk, 1]
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            part = x[start : min(start + tile, end)]
            for i in range(part.shape[0]):
                away = part[i] - shift[i]
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
def _affine(x_at, residual_at, found_at, out_at, numbers, channels, relu):  # type: ignore[no-untyped-def]
    """out = max(x * factor + term + residual, 0), with rows 2 and 3 of what stands at `found_at`."""
    x, out, found = at(x_at, numbers, FLOAT), at(out_at, numbers, FLOAT), at(found_at, 4 * channels, FLOAT)
    factor, term = _tiled(found[2 * channels : 3 * channels]), _tiled(found[3 * channels :])
    add = residual_at != 0
    residual = at(residual_at, numbers, FLOAT)
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
                    target[i] = max(part[i] * factor[i] + term[i] + extra[i], floor)
            else:
                for i in range(part.shape[0]):
                    target[i] = max(part[i] * factor[i] + term[i], floor)


@kernel
def _backward(
    x_at,
    y_at,
    gradient_at,
    weight_at,
    found_at,
    through_at,
    to_x_at,
    to_weight_at,
    to_bias_at,
    numbers,
    channels,
    relu,
    eps,
):  # type: ignore[no-untyped-def]
    x, y, gradient = at(x_at, numbers, FLOAT), at(y_at, numbers, FLOAT), at(gradient_at, numbers, FLOAT)
    through, to_x = at(through_at, numbers, FLOAT), at(to_x_at, numbers, FLOAT)
    weight = at(weight_at, channels, FLOAT)
    to_weight, to_bias = at(to_weight_at, channels, FLOAT), at(to_bias_at, channels, FLOAT)
    mean, variance = at(found_at, channels, FLOAT), at(found_at + 4 * channels, channels, FLOAT)
    in_place = through_at == to_x_at
    middle = _tiled(mean)
    tile = middle.shape[0]
    size = tile * CHUNK
    chunks = (x.shape[0] + size - 1) // size
    zero, floor = np.float32(0), np.float32(0.0 if relu else -np.inf)
    partial = np.zeros((chunks, 2, tile), np.float32)
    for chunk in prange(chunks):
        plain, product = partial[chunk, 0], partial[chunk, 1]
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            stop = min(start + tile, end)
            part, passed, slope, target = x[start:stop], y[start:stop], gradient[start:stop], through[start:stop]
            for i in range(part.shape[0]):
                value = slope[i]
                value = value if passed[i] > floor else zero
                target[i] = value
                plain[i] += value
                product[i] += value * (part[i] - middle[i])
    sums_64 = _by_channel(partial, channels)
    numbers_64 = np.empty((3, channels), np.float64)
    factors, slopes, terms = numbers_64[0], numbers_64[1], numbers_64[2]
    for c in range(channels):
        scale = 1 / np.sqrt(variance[c] + eps)
        share = channels / x.shape[0]
        to_weight[c], to_bias[c] = sums_64[1, c] * scale, sums_64[0, c]
        factors[c] = weight[c] * scale
        slopes[c] = -factors[c] * scale * scale * sums_64[1, c] * share
        terms[c] = -factors[c] * sums_64[0, c] * share - slopes[c] * mean[c]
    by_gradient, by_x, term = _tiled(factors), _tiled(slopes), _tiled(terms)
    for chunk in prange(chunks):
        end = min((chunk + 1) * size, x.shape[0])
        for start in range(chunk * size, end, tile):
            stop = min(start + tile, end)
            part, slope, target = x[start:stop], through[start:stop], to_x[start:stop]
            if in_place:
                for i in range(part.shape[0]):
                    slope[i] = slope[i] * by_gradient[i] + part[i] * by_x[i] + term[i]
            else:
                for i in range(part.shape[0]):
                    target[i] = slope[i] * by_gradient[i] + part[i] * by_x[i] + term[i]
