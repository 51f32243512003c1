"""Tiles under Winograd's transforms and back, of images and of frames in time: the loops of fame/fast/cpu/winograd.py.

Each axis of a tile goes from four results, six numbers read or three of a kernel to six points, or back. What a tile reads beyond
its map is zero, and what it would write there is dropped. All numbers are float32 and channels last.
"""

from __future__ import annotations

from math import prod

import numpy as np
from torch import Tensor

from fame.fast.cpu.compiled import inline, kernel, prange
from fame.fast.cpu.geometry import Three
from fame.fast.cpu.lines import applied

# F(4, 3) with the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray, 2016): y = RESULT ((KERNEL w) * (READ x)). In the gradient
# to the kernel each is replaced by its transpose.
READ = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
RESULT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
POINTS = 6
OF_READ, OF_RESULT, OF_KERNEL = 6, 4, 3  # numbers of a tile along an axis; in kernels each stands for its transform
PARTS = 64  # of the tiles, at most: each has lines of its own
BLOCK = 64  # places that are one item, at most

_from_read, _from_result, _from_kernel = applied(READ), applied(tuple(zip(*RESULT, strict=True))), applied(KERNEL)
_to_result, _to_kernel = applied(RESULT), applied(tuple(zip(*KERNEL, strict=True)))


def tiles(results: int) -> int:
    """How many cover an axis."""
    return -(-results // OF_RESULT)


class Images:
    """The tiles of 4 x 4 results of every frame; of a batch of kernels 1 x 3 x 3 each is one tile. An item is a tile."""

    points, rows = POINTS * POINTS, 1

    def __init__(self, batch: int, result: Three):
        self.grid = tiles(result[1]), tiles(result[2])
        self.items = batch * result[0] * prod(self.grid)

    def spread(self, x: Tensor, side: int, padding: int, out: Tensor, first: int, count: int, turned: bool = False) -> None:
        """Items `first` to `first + count` of x (B, C, T, H, W) to `out` (36, count, C). `turned`: each by half a turn."""
        channels, height, width = x.shape[1], *x.shape[3:]
        of = x.data_ptr(), height, width, channels, *self.grid
        _spread_images(*of, padding, turned, side, out.data_ptr(), first, count)

    def gather(self, sums: Tensor, side: int, out: Tensor, first: int, count: int) -> None:
        """Sums (36, count, C) to items `first` to `first + count` of `out` (B, C, T, H, W)."""
        channels, height, width = out.shape[1], *out.shape[3:]
        _gather_images(sums.data_ptr(), side, first, count, out.data_ptr(), height, width, channels, *self.grid)


class Frames:
    """The tiles of 4 results in time; of a batch of kernels 3 x 1 x 1 each is one. An item is `rows` places of a tile."""

    points = POINTS

    def __init__(self, batch: int, result: Three):
        places = prod(result[1:])
        self.rows = next(rows for rows in range(min(places, BLOCK), 0, -1) if places % rows == 0)
        self.grid = tiles(result[0]), places // self.rows
        self.items = batch * prod(self.grid)

    def spread(self, x: Tensor, side: int, padding: int, out: Tensor, first: int, count: int, turned: bool = False) -> None:
        """Items `first` to `first + count` of x (B, C, T, H, W) to `out` (6, count * rows, C). `turned`: each backwards."""
        of = x.data_ptr(), x.shape[2], self.rows * x.shape[1], *self.grid
        _spread_frames(*of, padding, turned, side, out.data_ptr(), first, count)

    def gather(self, sums: Tensor, side: int, out: Tensor, first: int, count: int) -> None:
        """Sums (6, count * rows, C) to items `first` to `first + count` of `out` (B, C, T, H, W)."""
        _gather_frames(sums.data_ptr(), side, first, count, out.data_ptr(), out.shape[2], self.rows * out.shape[1], *self.grid)


@kernel
def _spread_images(  # type: ignore[no-untyped-def]
    source, height, width, channels, down, across, padding, turned, side, target, first, count
):
    parts = min(count, PARTS)
    for part in prange(parts):
        zeros, between = np.zeros(channels, np.float32), np.empty(POINTS * side * channels, np.float32)
        given, results = np.empty(POINTS, np.int64), np.empty(POINTS, np.int64)
        nothing, middle, given_at, results_at = _at(zeros), _at(between), _at(given), _at(results)
        for item in range(part * count // parts, (part + 1) * count // parts):
            tile = first + item
            start = source + 4 * (tile // (down * across)) * height * width * channels
            top, left = tile // across % down * OF_RESULT - padding, tile % across * OF_RESULT - padding
            for j in range(side):
                x = left + (side - 1 - j if turned else j)
                for i in range(side):
                    y = top + (side - 1 - i if turned else i)
                    inside = 0 <= y < height and 0 <= x < width
                    given[i] = start + 4 * (y * width + x) * channels if inside else nothing
                for k in range(POINTS):
                    results[k] = middle + 4 * (k * side + j) * channels
                _from(side, given_at, results_at, channels)
            for k in range(POINTS):
                for j in range(side):
                    given[j] = middle + 4 * (k * side + j) * channels
                for i in range(POINTS):
                    results[i] = target + 4 * ((k * POINTS + i) * count + item) * channels
                _from(side, given_at, results_at, channels)


@kernel
def _gather_images(source, side, first, count, target, height, width, channels, down, across):  # type: ignore[no-untyped-def]
    parts = min(count, PARTS)
    for part in prange(parts):
        beyond, between = np.empty(channels, np.float32), np.empty(side * POINTS * channels, np.float32)
        given, results = np.empty(POINTS, np.int64), np.empty(POINTS, np.int64)
        nowhere, middle, given_at, results_at = _at(beyond), _at(between), _at(given), _at(results)
        for item in range(part * count // parts, (part + 1) * count // parts):
            tile = first + item
            start = target + 4 * (tile // (down * across)) * height * width * channels
            top, left = tile // across % down * OF_RESULT, tile % across * OF_RESULT
            for j in range(POINTS):
                for k in range(POINTS):
                    given[k] = source + 4 * ((k * POINTS + j) * count + item) * channels
                for i in range(side):
                    results[i] = middle + 4 * (i * POINTS + j) * channels
                _to(side, given_at, results_at, channels)
            for i in range(side):
                y = top + i
                for k in range(POINTS):
                    given[k] = middle + 4 * (i * POINTS + k) * channels
                for j in range(side):
                    x = left + j
                    results[j] = start + 4 * (y * width + x) * channels if y < height and x < width else nowhere
                _to(side, given_at, results_at, channels)


@kernel
def _spread_frames(source, frames, block, down, across, padding, turned, side, target, first, count):  # type: ignore[no-untyped-def]
    parts = min(count, PARTS)
    for part in prange(parts):
        zeros = np.zeros(block, np.float32)
        given, results = np.empty(POINTS, np.int64), np.empty(POINTS, np.int64)
        for item in range(part * count // parts, (part + 1) * count // parts):
            number = first + item
            start = source + 4 * block * (number // (down * across) * frames * across + number % across)
            for i in range(side):
                t = number // across % down * OF_RESULT - padding + (side - 1 - i if turned else i)
                given[i] = start + 4 * t * across * block if 0 <= t < frames else _at(zeros)
            for k in range(POINTS):
                results[k] = target + 4 * (k * count + item) * block
            _from(side, _at(given), _at(results), block)


@kernel
def _gather_frames(source, side, first, count, target, frames, block, down, across):  # type: ignore[no-untyped-def]
    parts = min(count, PARTS)
    for part in prange(parts):
        beyond = np.empty(block, np.float32)
        given, results = np.empty(POINTS, np.int64), np.empty(POINTS, np.int64)
        for item in range(part * count // parts, (part + 1) * count // parts):
            number = first + item
            start = target + 4 * block * (number // (down * across) * frames * across + number % across)
            for k in range(POINTS):
                given[k] = source + 4 * (k * count + item) * block
            for i in range(side):
                t = number // across % down * OF_RESULT + i
                results[i] = start + 4 * t * across * block if t < frames else _at(beyond)
            _to(side, _at(given), _at(results), block)


@inline
def _at(numbers):  # type: ignore[no-untyped-def]
    return np.int64(numbers.ctypes.data)


@inline
def _from(side, given, results, length):  # type: ignore[no-untyped-def]
    if side == OF_READ:
        _from_read(given, results, length)
    elif side == OF_RESULT:
        _from_result(given, results, length)
    else:
        _from_kernel(given, results, length)


@inline
def _to(side, given, results, length):  # type: ignore[no-untyped-def]
    if side == OF_RESULT:
        _to_result(given, results, length)
    else:
        _to_kernel(given, results, length)
