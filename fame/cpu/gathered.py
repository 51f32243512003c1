"""Convolutions of small maps as one matrix product: each place's neighbourhood is gathered into a row (im2col).

A call of the library's convolution costs 60 to 150 microseconds before it computes anything, more than the arithmetic of a layer
of a few places a frame. The neighbourhoods are kept for the kernel's gradient. The products are torch's: a BLAS called from
inside a kernel brings threads of its own, which beside torch's made a step eight times as slow on two cores.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fame.cpu.compiled import inline, kernel, prange
from fame.cpu.floats import FLOAT, at


class Geometry(NamedTuple):
    """Of one convolution; counts of places and taps along time, height and width."""

    batch: int
    channels: int
    frames: int
    height: int
    width: int
    outputs: int
    out_frames: int
    out_height: int
    out_width: int
    kernel_t: int
    kernel_h: int
    kernel_w: int
    stride_t: int
    stride_h: int
    stride_w: int
    padding_t: int
    padding_h: int
    padding_w: int

    @property
    def rows(self) -> int:
        return self.batch * self.out_frames * self.out_height * self.out_width

    @property
    def taps(self) -> int:
        return self.kernel_t * self.kernel_h * self.kernel_w


def forward(x: Tensor, weight: Tensor, geometry: Geometry, y: Tensor) -> Tensor:
    """Fill `y` (B, O, T', H', W') and return the neighbourhoods, float32 (rows, taps * C); all tensors float32, channels last."""
    rows = torch.empty(geometry.rows, geometry.taps * geometry.channels)
    _gather(x.data_ptr(), tuple(geometry), rows.data_ptr())
    torch.mm(rows, _matrix(weight).t(), out=_matrix(y, last=geometry.outputs))
    return rows


def backward(gradient: Tensor, rows: Tensor, weight: Tensor, geometry: Geometry, to_x: Tensor | None) -> Tensor:
    """The gradient to the kernel, in its shape and layout; that to x is filled into `to_x` (B, C, T, H, W) where it is wanted."""
    to_weight = torch.empty_like(weight)
    slopes = _matrix(gradient, last=geometry.outputs)
    torch.mm(slopes.t(), rows, out=_matrix(to_weight))
    if to_x is not None:
        to_x.zero_()
        to_rows = torch.mm(slopes, _matrix(weight))  # held by name: an address keeps nothing alive
        _collect(to_rows.data_ptr(), tuple(geometry), to_x.data_ptr())
    return to_weight


def _matrix(tensor: Tensor, last: int | None = None) -> Tensor:
    """Channels-last memory as a matrix: a kernel as (O, taps * C), a map (B, C, T, H, W) with `last` channels as (places, C)."""
    line = tensor.numel() // len(tensor) if last is None else last
    return tensor.as_strided((tensor.numel() // line, line), (line, 1))


@kernel
def _gather(x_at, geometry, rows_at):  # type: ignore[no-untyped-def]
    count, line, size = _sizes(geometry)
    for n in prange(geometry[0]):
        _each(geometry, at(x_at + 4 * n * size, size, FLOAT), at(rows_at + 4 * n * count * line, count * line, FLOAT), False)


@kernel
def _collect(rows_at, geometry, x_at):  # type: ignore[no-untyped-def]
    count, line, size = _sizes(geometry)
    for n in prange(geometry[0]):
        _each(geometry, at(x_at + 4 * n * size, size, FLOAT), at(rows_at + 4 * n * count * line, count * line, FLOAT), True)


@inline
def _sizes(geometry):  # type: ignore[no-untyped-def]
    """Of one clip: its rows, their length, its numbers."""
    rows = geometry[6] * geometry[7] * geometry[8]
    line = geometry[1] * geometry[9] * geometry[10] * geometry[11]
    return rows, line, geometry[1] * geometry[2] * geometry[3] * geometry[4]


@inline
def _each(geometry, x, rows, collect):  # type: ignore[no-untyped-def]
    """Copy one clip's places into neighbourhoods, zeros for padding; or, with `collect`, add neighbourhoods up at their places."""
    _, channels, frames, height, width, _, out_t, out_h, out_w = geometry[:9]
    taps_t, taps_h, taps_w, step_t, step_h, step_w, pad_t, pad_h, pad_w = geometry[9:]
    line = taps_w * channels
    place = 0
    for t in range(out_t):
        for h in range(out_h):
            for w in range(out_w):
                left = w * step_w - pad_w
                first, last = max(0, -left) * channels, min(taps_w, width - left) * channels
                for i in range(taps_t):
                    frame = t * step_t + i - pad_t
                    for j in range(taps_h):
                        top = h * step_h + j - pad_h
                        if 0 <= frame < frames and 0 <= top < height:
                            source = ((frame * height + top) * width + left) * channels
                            if collect:
                                for k in range(first, last):
                                    x[source + k] += rows[place + k]
                            else:
                                for k in range(first):
                                    rows[place + k] = 0
                                for k in range(first, last):
                                    rows[place + k] = x[source + k]
                                for k in range(last, line):
                                    rows[place + k] = 0
                        elif not collect:
                            for k in range(line):
                                rows[place + k] = 0
                        place += line
