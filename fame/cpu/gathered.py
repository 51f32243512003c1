"""Convolutions of small maps as one matrix product: each place's neighbourhood is gathered into a row (im2col).

A call of the library's convolution costs 60 to 150 microseconds before it computes anything, more than the arithmetic of a layer
of a few places a frame. Here a layer is one call, and the neighbourhoods are kept for the kernel's gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fame.cpu.compiled import inline
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
    _forward(x.data_ptr(), weight.data_ptr(), tuple(geometry), rows.data_ptr(), y.data_ptr())
    return rows


def backward(gradient: Tensor, rows: Tensor, weight: Tensor, geometry: Geometry, to_x: Tensor | None) -> Tensor:
    """The gradient to the kernel, in its shape and layout; that to x is filled into `to_x` (B, C, T, H, W) where it is wanted."""
    to_weight = torch.empty_like(weight)
    addresses = gradient.data_ptr(), rows.data_ptr(), weight.data_ptr()
    _backward(*addresses, tuple(geometry), 0 if to_x is None else to_x.data_ptr(), to_weight.data_ptr())
    return to_weight


@inline
def _each(geometry, x, rows, collect):  # type: ignore[no-untyped-def]
    """Copy places into neighbourhoods, zeros for padding; or, with `collect`, add neighbourhoods up at their places."""
    batch, channels, frames, height, width, _, out_t, out_h, out_w = geometry[:9]
    taps_t, taps_h, taps_w, step_t, step_h, step_w, pad_t, pad_h, pad_w = geometry[9:]
    line = taps_w * channels
    place = 0
    for n in range(batch):
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
                                source = (((n * frames + frame) * height + top) * width + left) * channels
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


@inline
def _sizes(geometry):  # type: ignore[no-untyped-def]
    """Rows, their length, numbers in x."""
    rows = geometry[0] * geometry[6] * geometry[7] * geometry[8]
    length = geometry[1] * geometry[9] * geometry[10] * geometry[11]
    return rows, length, geometry[0] * geometry[1] * geometry[2] * geometry[3] * geometry[4]


@inline
def _forward(x_at, weight_at, geometry, rows_at, y_at):  # type: ignore[no-untyped-def]
    count, length, numbers = _sizes(geometry)
    outputs = geometry[5]
    rows = at(rows_at, count * length, FLOAT)
    _each(geometry, at(x_at, numbers, FLOAT), rows, False)
    weight = at(weight_at, outputs * length, FLOAT).reshape((outputs, length))
    np.dot(rows.reshape((count, length)), weight.T, at(y_at, count * outputs, FLOAT).reshape((count, outputs)))


@inline
def _backward(gradient_at, rows_at, weight_at, geometry, to_x_at, to_weight_at):  # type: ignore[no-untyped-def]
    count, length, numbers = _sizes(geometry)
    outputs = geometry[5]
    gradient = at(gradient_at, count * outputs, FLOAT).reshape((count, outputs))
    rows = at(rows_at, count * length, FLOAT).reshape((count, length))
    np.dot(gradient.T, rows, at(to_weight_at, outputs * length, FLOAT).reshape((outputs, length)))
    if to_x_at:
        weight = at(weight_at, outputs * length, FLOAT).reshape((outputs, length))
        slopes = np.dot(gradient, weight)
        to_x = at(to_x_at, numbers, FLOAT)
        to_x[:] = 0
        _each(geometry, to_x, slopes.reshape(count * length), True)
