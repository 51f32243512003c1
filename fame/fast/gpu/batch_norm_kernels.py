"""Normalise batches with residual and ReLU by Triton kernels, for matrices of rows by channels, channels dense in memory.

Several rows stand side by side in one of `width` numbers, so that no column of a program is idle. Sums of chunks are added in their
order, so they come out equal each time. A matrix may have more channels than the norm (`real`): they hold zeros, and stay zero.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def moments(x, partial, rows, width, channels, each, ROWS: tl.constexpr, WIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Fill partial (chunks * width / channels, 2, channels): sums of deviations from the first value, and of their squares."""
    # sums of squares of the values themselves would cancel where the mean is far from zero
    chunk = tl.program_id(0)
    column = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    r = tl.arange(0, ROWS)
    inside = column < width
    first = tl.load(x + column % channels, mask=inside, other=0.0).to(tl.float32)
    sums = tl.full((ROWS, WIDE), 0.0, tl.float32)
    squares = tl.full((ROWS, WIDE), 0.0, tl.float32)
    start = chunk.to(tl.int64) * each
    here = tl.minimum(rows - start, each).to(tl.int32)
    base = x + start * width
    for offset in range(0, here, ROWS):
        row = offset + r
        valid = (row < here)[:, None] & inside[None, :]
        value = tl.load(base + row[:, None] * width + column[None, :], mask=valid, other=0.0).to(tl.float32)
        away = tl.where(valid, value - first[None, :], 0.0)
        sums += away
        squares += away * away
    target = partial + chunk * 2 * width + column // channels * 2 * channels + column % channels
    tl.store(target, tl.sum(sums, axis=0), mask=inside)
    tl.store(target + channels, tl.sum(squares, axis=0), mask=inside)


@triton.jit
def over_chunks(partial, c, inside, channels, chunks, MANY: tl.constexpr, WIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return both sums (WIDE,) of the columns c of partial (chunks, 2, channels)."""
    k = tl.arange(0, MANY)
    first = tl.full((MANY, WIDE), 0.0, tl.float32)
    second = tl.full((MANY, WIDE), 0.0, tl.float32)
    for start in range(0, chunks, MANY):
        chunk = start + k
        valid = (chunk < chunks)[:, None] & inside[None, :]
        place = partial + chunk[:, None] * 2 * channels + c[None, :]
        first += tl.load(place, mask=valid, other=0.0)
        second += tl.load(place + channels, mask=valid, other=0.0)
    return tl.sum(first, axis=0), tl.sum(second, axis=0)


@triton.jit
def store_normaliser(found, c, inside, own, channels, weight, bias, middle, spread, eps):  # type: ignore[no-untyped-def]
    """Fill the columns c of found (4, channels): mean, variance, factor, term."""
    factor = tl.load(weight + c, mask=own, other=0.0) / tl.sqrt(spread + eps)
    tl.store(found + c, middle, mask=inside)
    tl.store(found + channels + c, spread, mask=inside)
    tl.store(found + 2 * channels + c, factor, mask=inside)
    tl.store(found + 3 * channels + c, tl.load(bias + c, mask=own, other=0.0) - middle * factor, mask=inside)


@triton.jit
def normaliser(  # type: ignore[no-untyped-def]
    x, partial, weight, bias, mean, variance, tracked, found, rows, channels, real, chunks, momentum, eps,
    MANY: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """found (4, channels): mean, variance, factor, term. Running statistics move, and the count of batches goes up by one."""
    block = tl.program_id(0)
    c = block * WIDE + tl.arange(0, WIDE)
    inside, own = c < channels, c < real
    sums, squares = over_chunks(partial, c, inside, channels, chunks, MANY, WIDE)
    away = sums / rows
    middle = tl.load(x + c, mask=inside, other=0.0).to(tl.float32) + away
    spread = tl.maximum(squares / rows - away * away, 0.0)
    store_normaliser(found, c, inside, own, channels, weight, bias, middle, spread, eps)
    old_mean, old_variance = tl.load(mean + c, mask=own, other=0.0), tl.load(variance + c, mask=own, other=0.0)
    unbiased = spread * (rows / tl.maximum(rows - 1, 1))
    tl.store(mean + c, old_mean + momentum * (middle - old_mean), mask=own)
    tl.store(variance + c, old_variance + momentum * (unbiased - old_variance), mask=own)
    if block == 0:
        tl.store(tracked, tl.load(tracked) + 1)


@triton.jit
def running_normaliser(weight, bias, mean, variance, found, channels, real, eps, WIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    """found (4, channels) as `normaliser` has it, by the running statistics, which stay."""
    c = tl.program_id(0) * WIDE + tl.arange(0, WIDE)
    inside, own = c < channels, c < real
    middle, spread = tl.load(mean + c, mask=own, other=0.0), tl.load(variance + c, mask=own, other=0.0)
    store_normaliser(found, c, inside, own, channels, weight, bias, middle, spread, eps)


@triton.jit
def affine(  # type: ignore[no-untyped-def]
    x,
    residual,
    out,
    found,
    rows,
    width,
    channels,
    ADDED: tl.constexpr,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    WIDE: tl.constexpr,
):
    """out = x * factor + term (+ residual), cut at 0 with RELU."""
    column = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside, c = column < width, column % channels
    valid = (row < rows)[:, None] & inside[None, :]
    place = row[:, None] * width + column[None, :]
    factor = tl.load(found + 2 * channels + c, mask=inside, other=0.0)
    term = tl.load(found + 3 * channels + c, mask=inside, other=0.0)
    value = tl.load(x + place, mask=valid, other=0.0).to(tl.float32) * factor[None, :] + term[None, :]
    if ADDED:
        value += tl.load(residual + place, mask=valid, other=0.0).to(tl.float32)
    if RELU:
        value = tl.maximum(value, 0.0)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=valid)


@triton.jit
def slopes(  # type: ignore[no-untyped-def]
    gradient, x, out, through, found, partial, rows, width, channels, each,
    ADDED: tl.constexpr, RELU: tl.constexpr, ROWS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Fill partial as `moments` does: sums of what passes the ReLU (ADDED: into `through`), and of it times x less its mean."""
    chunk = tl.program_id(0)
    column = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    r = tl.arange(0, ROWS)
    inside, c = column < width, column % channels
    middle = tl.load(found + c, mask=inside, other=0.0)
    factor = tl.load(found + 2 * channels + c, mask=inside, other=0.0)
    term = tl.load(found + 3 * channels + c, mask=inside, other=0.0)
    sums = tl.full((ROWS, WIDE), 0.0, tl.float32)
    products = tl.full((ROWS, WIDE), 0.0, tl.float32)
    start = chunk.to(tl.int64) * each
    here = tl.minimum(rows - start, each).to(tl.int32)
    first = start * width
    for offset in range(0, here, ROWS):
        row = offset + r
        valid = (row < here)[:, None] & inside[None, :]
        place = row[:, None] * width + column[None, :]
        slope = tl.load(gradient + first + place, mask=valid, other=0.0).to(tl.float32)
        value = tl.load(x + first + place, mask=valid, other=0.0).to(tl.float32)
        if RELU:
            if ADDED:
                passes = tl.load(out + first + place, mask=valid, other=0.0).to(tl.float32) > 0.0
            else:
                passes = value * factor[None, :] + term[None, :] > 0.0
            slope = tl.where(passes, slope, 0.0)
            if ADDED:
                tl.store(through + first + place, slope.to(through.dtype.element_ty), mask=valid)
        sums += slope
        products += slope * tl.where(valid, value - middle[None, :], 0.0)
    target = partial + chunk * 2 * width + column // channels * 2 * channels + c
    tl.store(target, tl.sum(sums, axis=0), mask=inside)
    tl.store(target + channels, tl.sum(products, axis=0), mask=inside)


@triton.jit
def slopes_of_norm(  # type: ignore[no-untyped-def]
    partial,
    weight,
    found,
    to_norm,
    factors,
    rows,
    channels,
    real,
    chunks,
    eps,
    MANY: tl.constexpr,
    WIDE: tl.constexpr,
):
    """to_norm (2, real): gradients to weight and bias. factors (3, channels), for `slope_of_x`: of the gradient, of x, the term."""
    c = tl.program_id(0) * WIDE + tl.arange(0, WIDE)
    inside, own = c < channels, c < real
    total, product = over_chunks(partial, c, inside, channels, chunks, MANY, WIDE)
    middle = tl.load(found + c, mask=inside, other=0.0)
    scale = 1.0 / tl.sqrt(tl.load(found + channels + c, mask=inside, other=0.0) + eps)
    by_gradient = tl.load(weight + c, mask=own, other=0.0) * scale
    by_x = -by_gradient * scale * scale * product / rows
    tl.store(to_norm + c, product * scale, mask=own)
    tl.store(to_norm + real + c, total, mask=own)
    tl.store(factors + c, by_gradient, mask=inside)
    tl.store(factors + channels + c, by_x, mask=inside)
    tl.store(factors + 2 * channels + c, -by_gradient * total / rows - by_x * middle, mask=inside)


@triton.jit
def slope_of_x(  # type: ignore[no-untyped-def]
    gradient,
    x,
    found,
    factors,
    to_x,
    rows,
    width,
    channels,
    MASKED: tl.constexpr,
    ROWS: tl.constexpr,
    WIDE: tl.constexpr,
):
    """to_x = gradient * by_gradient + x * by_x + term; with MASKED the gradient goes through the ReLU of x first."""
    column = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside, c = column < width, column % channels
    valid = (row < rows)[:, None] & inside[None, :]
    place = row[:, None] * width + column[None, :]
    slope = tl.load(gradient + place, mask=valid, other=0.0).to(tl.float32)
    value = tl.load(x + place, mask=valid, other=0.0).to(tl.float32)
    if MASKED:
        factor = tl.load(found + 2 * channels + c, mask=inside, other=0.0)
        term = tl.load(found + 3 * channels + c, mask=inside, other=0.0)
        slope = tl.where(value * factor[None, :] + term[None, :] > 0.0, slope, 0.0)
    by_gradient = tl.load(factors + c, mask=inside, other=0.0)
    by_x = tl.load(factors + channels + c, mask=inside, other=0.0)
    rest = tl.load(factors + 2 * channels + c, mask=inside, other=0.0)
    slope = slope * by_gradient[None, :] + value * by_x[None, :] + rest[None, :]
    tl.store(to_x + place, slope.to(to_x.dtype.element_ty), mask=valid)
