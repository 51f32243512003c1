"""Where a convolution's numbers lie: tables of places, taps and channels, for its three products.

Places that meet the same taps form a class, so that no zeros are laid around a map and what would meet nothing but padding is left
out: on 4 x 4 pixels a third of a 3 x 3 kernel's products, on 2 x 2 more than half. Along one axis, forward, the output place o
meets tap k at the input o * stride + k - padding; backward, the input place i meets tap k at the output (i + padding - k) / stride.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fame.fast.cpu.products import LANES, ROWS, pairs

ENOUGH = 64  # terms that a sum over places should have
WASTE = 1.1  # rows with those that fill up, over rows
Table = NDArray[np.int64]
Three = tuple[int, int, int]


class Geometry(NamedTuple):
    """Of one convolution; sizes, taps and steps along time, height and width."""

    batch: int
    channels: int
    sizes: Three
    outputs: int
    out: Three
    kernel: Three
    stride: Three
    padding: Three


class Class(NamedTuple):
    """Places along one axis that meet the same taps: their numbers, the first that each reads, (tap, offset) of each tap."""

    places: list[int]
    firsts: list[int]
    taps: tuple[tuple[int, int], ...]


Classes = tuple[Class, ...]  # one along each axis: places of a map that meet the same taps


class Tables(NamedTuple):
    """Of one kind of product over a batch, `chunk` clips at a time. fame/fast/cpu/products.py says what the first four are."""

    a: Table
    d: Table
    b: Table
    pieces: Table  # (pieces, 4): first of a and d, how many; first of b, how many
    taps: Table  # those that meet anything, in the order in which they are counted here
    chunk: int


def whole(count: int, of: int) -> int:
    """`count`, rounded up to a multiple."""
    return -(-count // of) * of


def forward_tables(g: Geometry) -> Tables:
    """Rows are places of y, terms taps and channels of x."""
    return _convolving(g.batch, _classes(g, backward=False), g.kernel, g.sizes, g.channels, g.out, g.outputs)


def backward_tables(g: Geometry) -> Tables:
    """Rows are places of the gradient to x, terms taps and channels of that to y."""
    return _convolving(g.batch, _classes(g, backward=True), g.kernel, g.out, g.outputs, g.sizes, g.channels)


def kernel_tables(g: Geometry) -> Tables:
    """Rows are taps and channels of x, terms places of y. One more row of sums than there are holds those of rows that fill up.

    Where channels fill rows, a piece is one tap with all its places; else a class of places with all its taps.
    """
    classes, line = _classes(g, backward=False), whole(g.outputs, LANES)
    met = _met(classes, g.kernel)
    trash = len(met) * g.channels * line
    alike = [[three] for three in classes]
    if g.channels % ROWS == 0 and len(met):
        alike = [_of_tap(classes, tap) for tap in zip(*np.unravel_index(met, g.kernel), strict=True)]
    mean = sum(_count(three) for piece in alike for three in piece) / len(alike)
    chunk = next(m for m in _divisors(g.batch) if m * mean >= ENOUGH or m == g.batch)
    joined = []
    for piece in alike:
        places = [(_read(three, g.sizes, chunk) * g.channels, _written(three, g.out, chunk) * line) for three in piece]
        taps, around = _taps(piece[0], g.kernel, g.sizes)
        rows = _by_channel(around * g.channels, g.channels)
        sums = _by_channel(np.searchsorted(met, taps) * g.channels, g.channels) * line
        sums = np.pad(sums, (0, whole(len(sums), ROWS) - len(sums)), constant_values=trash)
        joined.append((_filled(rows), sums, pairs(*[np.concatenate(part) for part in zip(*places, strict=True)])))
    return _joined(joined, met, chunk)


def _convolving(
    batch: int, classes: list[Classes], kernel: Three, read: Three, channels: int, written: Three, outputs: int
) -> Tables:
    counts = [_count(three) for three in classes]

    def waste(chunk: int) -> float:
        return sum(whole(chunk * count, ROWS) for count in counts) / (chunk * sum(counts))

    best = min(waste(m) for m in _divisors(batch))
    chunk = next(m for m in _divisors(batch) if waste(m) <= max(best, WASTE))
    line, met = whole(outputs, LANES), _met(classes, kernel)
    joined = []
    for three in classes:
        taps, around = _taps(three, kernel, read)
        terms = pairs(_by_channel(around * channels, channels), _by_channel(np.searchsorted(met, taps) * channels, channels) * line)
        rows = _filled(_read(three, read, chunk)) * channels, _filled(_written(three, written, chunk)) * line
        joined.append((*rows, terms))
    return _joined(joined, met, chunk)


def _joined(pieces: list[tuple[Table, Table, Table]], met: Table, chunk: int) -> Tables:
    a, d, b = (np.ascontiguousarray(np.concatenate(part), np.int64) for part in zip(*pieces, strict=True))
    sizes = np.array([(len(rows), len(terms)) for rows, _, terms in pieces], np.int64)
    firsts = np.cumsum(sizes, 0) - sizes
    table = np.ascontiguousarray(np.stack([firsts[:, 0], sizes[:, 0], firsts[:, 1], sizes[:, 1]], 1))
    return Tables(a, d, b, table, met, chunk)


def _filled(rows: Table) -> Table:
    """Up to a multiple of ROWS; the last row is computed again."""
    return np.pad(rows, (0, whole(len(rows), ROWS) - len(rows)), mode="edge")


# ---------------------------------------------------------------- classes of places


def _classes(g: Geometry, backward: bool) -> list[Classes]:
    """Of the places that are written, along all axes."""
    axes = zip(g.sizes, g.out, g.kernel, g.stride, g.padding, strict=True)
    return list(product(*[list(_along(*axis, backward)) for axis in axes]))


def _along(size: int, out: int, kernel: int, stride: int, padding: int, backward: bool) -> Iterator[Class]:
    """Of one axis."""

    def met(place: int) -> list[tuple[int, int]]:
        """The taps of a place, each with what it reads."""
        if backward:
            found = [(k, divmod(place + padding - k, stride)) for k in range(kernel)]
            return [(k, at) for k, (at, rest) in found if not rest and 0 <= at < out]
        return [(k, place * stride + k - padding) for k in range(kernel) if 0 <= place * stride + k - padding < size]

    found: dict[tuple[tuple[int, int], ...], tuple[list[int], list[int]]] = {}
    for place in range(size if backward else out):
        taps = met(place)
        first = min((at for _, at in taps), default=0)
        places, firsts = found.setdefault(tuple((tap, at - first) for tap, at in taps), ([], []))
        places.append(place)
        firsts.append(first)
    return (Class(places, firsts, taps) for taps, (places, firsts) in found.items())


def _count(three: Classes) -> int:
    return prod(len(axis.places) for axis in three)


def _met(classes: list[Classes], kernel: Three) -> Table:
    """The taps that any class meets."""
    met = [taps for three in classes for taps in product(*[axis.taps for axis in three])]
    return np.unique(np.array([np.ravel_multi_index(tuple(k for k, _ in taps), kernel) for taps in met], np.int64))


def _of_tap(classes: list[Classes], tap: tuple[int, ...]) -> list[Classes]:
    """The classes that meet a tap, as if it were their only one."""
    found = []
    for three in classes:
        offsets = [dict(axis.taps).get(k) for axis, k in zip(three, tap, strict=True)]
        if None not in offsets:
            found.append(
                tuple(
                    Class(axis.places, [first + offset for first in axis.firsts], ((k, 0),))  # type: ignore[operator]
                    for axis, k, offset in zip(three, tap, offsets, strict=True)
                )
            )
    return found


# ---------------------------------------------------------------- numbers of places, of a chunk of clips


def _read(three: Classes, sizes: Three, chunk: int) -> Table:
    return _numbers([axis.firsts for axis in three], sizes, chunk)


def _written(three: Classes, sizes: Three, chunk: int) -> Table:
    return _numbers([axis.places for axis in three], sizes, chunk)


def _numbers(axes: list[list[int]], sizes: Three, chunk: int) -> Table:
    clip, t, h, w = np.ix_(np.arange(chunk), *[np.array(axis, np.int64) for axis in axes])
    found: Table = (((clip * sizes[0] + t) * sizes[1] + h) * sizes[2] + w).ravel()
    return found


def _taps(three: Classes, kernel: Three, sizes: Three) -> tuple[Table, Table]:
    """Numbers of the taps that a class meets, and how many places after the first one each lies."""
    met = list(product(*[axis.taps for axis in three]))
    taps = [(t * kernel[1] + h) * kernel[2] + w for (t, _), (h, _), (w, _) in met]
    around = [(t * sizes[1] + h) * sizes[2] + w for (_, t), (_, h), (_, w) in met]
    return np.array(taps, np.int64), np.array(around, np.int64)


def _by_channel(places: Table, channels: int) -> Table:
    found: Table = (places[:, None] + np.arange(channels)).ravel()
    return found


def _divisors(count: int) -> list[int]:
    return [m for m in range(1, count + 1) if count % m == 0]
