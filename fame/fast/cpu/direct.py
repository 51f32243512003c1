"""Convolve narrow layers, forward and backward, as products over tables of places and taps, in float32 and channels last.

With 8 to 32 channels the library's convolutions reach a third of the processor's rate.
"""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from fame.fast.cpu.compiled import FLOAT, INDEX, at, inline, kernel, prange
from fame.fast.cpu.geometry import Geometry, Tables, convolving_tables, kernel_tables
from fame.fast.cpu.products import LANES, product

PARTS = 8  # of a batch, at most: each has its own sums for the kernel's gradient
TERMS = 1024  # of such a sum, at least
FIELDS = 16  # that a kernel is handed


class Direct:
    """One convolution, for one shape of input. Tables are made when they are first wanted; kernels get them by one address."""

    def __init__(self, geometry: Geometry):
        self.geometry = g = geometry
        frames, height, width = g.out
        steps = frames * height * width * g.outputs, 1, height * width * g.outputs, width * g.outputs, g.outputs
        self.result = (g.batch, g.outputs, *g.out), steps  # shape and strides

    def weight(self, kernel: Tensor, dtype: torch.dtype) -> Tensor:
        """A convolution's kernel in `dtype`, channels last."""
        return kernel.to(dtype).contiguous(memory_format=torch.channels_last_3d)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """(B, C, T, H, W) and (O, C, t, h, w) -> (B, O, T', H', W')."""
        y = torch.empty_strided(*self.result, dtype=torch.float32, device="cpu")
        _convolve(x.data_ptr(), weight.data_ptr(), y.data_ptr(), self._forward.address)
        return y

    def backward(self, gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool) -> tuple[Tensor | None, Tensor]:
        """Gradients to x, where it is asked for, and to the kernel, from that to the result."""
        slope = torch.empty_like(weight)
        _correlate(x.data_ptr(), gradient.data_ptr(), slope.data_ptr(), self._kernel.address)
        if not to_x:
            return None, slope
        found = torch.empty_like(x)
        _convolve(gradient.data_ptr(), weight.data_ptr(), found.data_ptr(), self._backward.address)
        return found, slope

    @cached_property
    def _forward(self) -> Handed:
        return Handed(convolving_tables(self.geometry, False), self.geometry)

    @cached_property
    def _backward(self) -> Handed:
        return Handed(convolving_tables(self.geometry, True), self.geometry, True)

    @cached_property
    def _kernel(self) -> Handed:
        return Handed(kernel_tables(self.geometry), self.geometry)


class Handed:
    """Hold what a kernel wants to know, `FIELDS` numbers at one address. Parts depend on the shape alone, not on threads."""

    def __init__(self, tables: Tables, g: Geometry, backward: bool = False):
        self.tables = tables  # held: an address keeps nothing alive
        # of the kernel, from one channel that is read to the next, from output to output
        steps = 1, prod(g.kernel) * g.channels
        step, g, steps = (g.channels, g.turned(), steps[::-1]) if backward else (g.channels, g, steps)
        chunks, places = g.batch // tables.chunk, prod(g.out)
        parts = max(1, min(PARTS, chunks, g.batch * places // TERMS))
        addresses = [table.ctypes.data for table in (tables.a, tables.d, tables.b, tables.pieces, tables.taps)]
        counts = chunks, tables.chunk * prod(g.sizes) * g.channels, tables.chunk * places, g.channels, g.outputs
        self.numbers = np.array([*addresses, *counts, len(tables.pieces), len(tables.taps), step, *steps, parts], np.int64)
        self.address = self.numbers.ctypes.data


@kernel
def _convolve(source_at, weight_at, target_at, handed_at):  # type: ignore[no-untyped-def]
    a, d, b, pieces_at, taps_at, chunks, read, places, channels, outputs, pieces, taps, step, by_channel, by_output, parts = at(
        handed_at, FIELDS, INDEX
    )
    padded = (outputs + LANES - 1) // LANES * LANES
    matrix = _matrix(weight_at, at(taps_at, taps, INDEX), step, channels, by_channel, outputs, by_output, padded)
    table = at(pieces_at, 4 * pieces, INDEX)
    for part in prange(parts):
        beside = np.empty(places * padded if padded != outputs else 0, np.float32)
        for index in range(part * chunks // parts, (part + 1) * chunks // parts):
            target = target_at + 4 * index * places * outputs
            y = np.int64(beside.ctypes.data) if padded != outputs else target
            for piece in range(0, 4 * pieces, 4):
                row, rows, term, terms = table[piece], table[piece + 1], table[piece + 2], table[piece + 3]
                if terms == 0:  # no tap meets these places
                    for place in at(d + 8 * row, rows, INDEX):
                        at(y + 4 * place, padded, FLOAT)[:] = 0
                source = source_at + 4 * index * read
                left = source, a + 8 * row, rows, b + 8 * term, terms
                product(*left, np.int64(matrix.ctypes.data), y, d + 8 * row, padded // LANES, 0)
            if padded != outputs:
                _copy(beside, padded, at(target, places * outputs, FLOAT), outputs)


@kernel
def _correlate(x_at, gradient_at, weight_at, handed_at):  # type: ignore[no-untyped-def]
    a, d, b, pieces_at, taps_at, chunks, read, places, channels, outputs, pieces, taps, step, _, by_output, parts = at(
        handed_at, FIELDS, INDEX
    )
    padded = (outputs + LANES - 1) // LANES * LANES
    table = at(pieces_at, 4 * pieces, INDEX)
    lines = taps * channels
    partial = np.zeros((parts, (lines + 1) * padded), np.float32)
    for part in prange(parts):
        sums = partial[part]
        beside = np.zeros(places * padded if padded != outputs else 0, np.float32)
        for index in range(part * chunks // parts, (part + 1) * chunks // parts):
            slopes = gradient_at + 4 * index * places * outputs
            if padded != outputs:
                _copy(at(slopes, places * outputs, FLOAT), outputs, beside, padded)
                slopes = np.int64(beside.ctypes.data)
            x = x_at + 4 * index * read
            for piece in range(0, 4 * pieces, 4):
                row, rows, term, terms = table[piece], table[piece + 1], table[piece + 2], table[piece + 3]
                left = x, a + 8 * row, rows, b + 8 * term, terms
                product(*left, slopes, np.int64(sums.ctypes.data), d + 8 * row, padded // LANES, 1)
    total = partial[0]
    for part in range(1, parts):
        for i in range(partial.shape[1]):
            total[i] += partial[part, i]
    weight = at(weight_at, outputs * by_output, FLOAT)
    if lines < by_output:
        weight[:] = 0  # taps that meet nothing
    for index, tap in enumerate(at(taps_at, taps, INDEX)):
        for o in range(outputs):
            for channel in range(channels):
                weight[o * by_output + tap * step + channel] = total[(index * channels + channel) * padded + o]


@inline
def _copy(source, source_line, target, target_line):  # type: ignore[no-untyped-def]
    for line in range(source.shape[0] // source_line):
        for i in range(min(source_line, target_line)):
            target[line * target_line + i] = source[line * source_line + i]


@inline
def _matrix(weight_at, taps, step, channels, by_channel, outputs, by_output, padded):  # type: ignore[no-untyped-def]
    """The kernel with a line of outputs for each tap and channel, zeros where there is no output."""
    last = (taps[-1] if len(taps) else 0) * step + (channels - 1) * by_channel + (outputs - 1) * by_output
    weight = at(weight_at, last + 1, FLOAT)
    found = np.zeros(len(taps) * channels * padded, np.float32)
    for index, tap in enumerate(taps):
        for channel in range(channels):
            source, target = tap * step + channel * by_channel, (index * channels + channel) * padded
            for o in range(outputs):
                found[target + o] = weight[source + o * by_output]
    return found
