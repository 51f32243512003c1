"""Tabulate where a convolution's numbers lie: places, taps and channels, for its three products.

Places that meet the same taps form a class, so what would meet only padding is left out. Along an axis, forward, output place o
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

    def turned(self) -> Geometry:
        """With what is read and what is written exchanged, as for the gradient to x."""
        return self._replace(channels=self.outputs, sizes=self.out, outputs=self.channels, out=self.sizes)


class Class(NamedTuple):
    """Places along one axis that meet the same taps: their numbers, the first that each reads, (tap, offset) of each tap."""

    places: list[int]
    firsts: list[int]
    taps: tuple[tuple[int, int], ...]


Classes = tuple[Class, ...]  # one along each axis: places of a map that meet the same taps


class Tables(NamedTuple):
    """Of one kind of product over a batch, `chunk` clips at a time. fame/fast/cpu/products.py says what the first three are."""

    a: Table
    d: Table
    b: Table
    pieces: Table  # (pieces, 4): first of a and d, how many; first of b, how many
    taps: Table  # those that meet anything, in the order in which they are counted here
    chunk: int


def whole(count: int, of: int) -> int:
    """`count`, rounded up to a multiple."""
    return -(-count // of) * of


def kernel_tables(g: Geometry) -> Tables:
    """Tabulate rows of taps and channels of x, with places of y as terms. One more row of sums holds those of rows that fill up."""
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
        read, written = (np.concatenate(part) for part in zip(*[_places(three, g, chunk) for three in piece], strict=True))
        taps, around = _taps(piece[0], g)
        sums = _by_channel(np.searchsorted(met, taps), g.channels) * line
        sums = np.pad(sums, (0, whole(len(sums), ROWS) - len(sums)), constant_values=trash)
        joined.append((_filled(_by_channel(around, g.channels)), sums, pairs(read * g.channels, written * line)))
    return _joined(joined, met, chunk)


def convolving_tables(g: Geometry, backward: bool) -> Tables:
    """Rows are places of y, terms taps and channels of x; with `backward` of the gradients to x and to y."""
    classes = _classes(g, backward)
    g = g.turned() if backward else g
    counts = [_count(three) for three in classes]
    wastes = {m: sum(whole(m * count, ROWS) for count in counts) / (m * sum(counts)) for m in _divisors(g.batch)}
    chunk = next(m for m, waste in wastes.items() if waste <= max(min(wastes.values()), WASTE))
    line, met = whole(g.outputs, LANES), _met(classes, g.kernel)
    joined = []
    for three in classes:
        taps, around = _taps(three, g)
        terms = pairs(_by_channel(around, g.channels), _by_channel(np.searchsorted(met, taps), g.channels) * line)
        read, written = _places(three, g, chunk)
        joined.append((_filled(read) * g.channels, _filled(written) * line, terms))
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


def _classes(g: Geometry, backward: bool) -> list[Classes]:
    """Of the places that are written, along all axes."""
    axes = zip(g.sizes, g.out, g.kernel, g.stride, g.padding, strict=True)
    return list(product(*[list(_along(*axis, backward)) for axis in axes]))


def _along(size: int, out: int, kernel: int, stride: int, padding: int, backward: bool) -> Iterator[Class]:
    def met(place: int) -> list[tuple[int, int]]:
        """Find the taps of a place, each with what it reads."""
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
            own = zip(three, tap, offsets, strict=True)
            found.append(tuple(Class(axis.places, [first + at for first in axis.firsts], ((k, 0),)) for axis, k, at in own))  # type: ignore[operator]
    return found


def _places(three: Classes, g: Geometry, chunk: int) -> tuple[Table, Table]:
    """Numbers of the places of a chunk of clips that are read first, and of those that are written."""

    def numbers(axes: list[list[int]], sizes: Three) -> Table:
        clip, t, h, w = np.ix_(np.arange(chunk), *[np.array(axis, np.int64) for axis in axes])
        found: Table = (((clip * sizes[0] + t) * sizes[1] + h) * sizes[2] + w).ravel()
        return found

    return numbers([axis.firsts for axis in three], g.sizes), numbers([axis.places for axis in three], g.out)


def _taps(three: Classes, g: Geometry) -> tuple[Table, Table]:
    """Numbers of the taps that a class meets, and how many places after the first one each lies."""
    met = list(product(*[axis.taps for axis in three]))
    taps = [(t * g.kernel[1] + h) * g.kernel[2] + w for (t, _), (h, _), (w, _) in met]
    around = [(t * g.sizes[1] + h) * g.sizes[2] + w for (_, t), (_, h), (_, w) in met]
    return np.array(taps, np.int64), np.array(around, np.int64)


def _by_channel(places: Table, channels: int) -> Table:
    found: Table = (places[:, None] * channels + np.arange(channels)).ravel()
    return found


def _divisors(count: int) -> list[int]:
    return [m for m in range(1, count + 1) if count % m == 0]
