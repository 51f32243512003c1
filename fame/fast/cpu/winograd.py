"""Convolutions of wide layers in 32 bits by Winograd's F(4, 3): a quarter of the multiplications of 1 x 3 x 3, half of 3 x 1 x 1.

Tiles of results are computed together. Tiles and kernels go to points, 6 along an axis, where a convolution is a product of
numbers, hence over channels one matrix product a point; the sums go back. Gradients are the same three steps: to what was read
with the kernel turned round, and to the kernel with tiles of the gradient in the kernel's place. The result differs from the plain
sums by about 2e-6 of its norm (they themselves by 3e-7 from 64-bit ones).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from fame.fast.cpu.geometry import Geometry
from fame.fast.cpu.tiles import OF_KERNEL, OF_READ, OF_RESULT, Frames, Images

HELD = 1 << 19  # numbers at points, of what is read and of sums, that a thread holds at a time: they should stay in a cache
WIDE = 32  # channels, of what is read and of results, at least: with fewer the products are too thin
FEWEST = 32  # rows of a point's product: the kernel's own way to the points has to pay
GAIN = 1.4  # multiplications of the plain sums, over ours, from which on it is worth it
LAST = torch.channels_last_3d
PADDINGS = {(1, 3, 3): ((0, 0, 0), (0, 1, 1)), (3, 1, 1): ((0, 0, 0), (1, 0, 0))}


def serves(g: Geometry) -> bool:
    """Whether a convolution has such a kernel, steps of 1, channels enough, and tiles that are worth it."""
    if g.padding not in PADDINGS.get(g.kernel, ()) or prod(g.stride) > 1 or min(g.channels, g.outputs) < WIDE:
        return False
    tiling = _tiling(g)(g.batch, g.out)
    rows = tiling.items * tiling.rows
    return rows >= FEWEST and prod(g.kernel) * prod(g.out) * g.batch >= GAIN * tiling.points * rows


class Winograd:
    """One convolution that `serves` is true for, for one shape of input; all tensors channels last."""

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.tiling = _tiling(geometry)
        self.padding = max(geometry.padding)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """(B, C, T, H, W) and (O, C, t, h, w) -> (B, O, T', H', W')."""
        g = self.geometry
        y = x.new_empty((g.batch, *g.out, g.outputs)).permute(0, 4, 1, 2, 3)
        self._convolve(x, self._at_points(weight.transpose(0, 1).contiguous(memory_format=LAST)), y, self.padding)
        return y

    def backward(self, gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool) -> tuple[Tensor | None, Tensor]:
        """Gradients to x, where it is asked for, and to the kernel, from that to the result."""
        slope = self._correlate(x, gradient, torch.empty_like(weight))
        if not to_x:
            return None, slope
        found = torch.empty_like(x)
        self._convolve(gradient, self._at_points(weight, turned=True), found, OF_KERNEL - 1 - self.padding)
        return found, slope

    def _at_points(self, kernels: Tensor, turned: bool = False) -> Tensor:
        """(K, N, t, h, w), channels last -> (points, K, N)."""
        batch, width = kernels.shape[:2]
        found = kernels.new_empty(self.tiling.points, batch, width)
        self._of(kernels).spread(kernels, OF_KERNEL, 0, found, 0, batch, turned)
        return found

    def _convolve(self, x: Tensor, matrices: Tensor, y: Tensor, padding: int) -> None:
        """`matrices` (points, channels of x, those of y)."""
        tiling = self._of(y)
        for first, count, read, sums in _chunks(tiling, x.shape[1], y.shape[1], matrices.numel()):
            tiling.spread(x, OF_READ, padding, read, first, count)
            torch.bmm(read, matrices, out=sums)
            tiling.gather(sums, OF_RESULT, y, first, count)

    def _correlate(self, x: Tensor, gradient: Tensor, slope: Tensor) -> Tensor:
        outputs, channels = slope.shape[:2]
        tiling = self._of(gradient)
        total = slope.new_zeros(tiling.points, outputs, channels)
        for first, count, read, slopes in _chunks(tiling, channels, outputs, total.numel()):
            tiling.spread(x, OF_READ, self.padding, read, first, count)
            tiling.spread(gradient, OF_RESULT, 0, slopes, first, count)
            total.baddbmm_(slopes.transpose(1, 2), read)
        self._of(slope).gather(total, OF_KERNEL, slope, 0, outputs)
        return slope

    def _of(self, x: Tensor) -> Images | Frames:
        """The tiles of what has the sizes of x (B, C, T, H, W)."""
        t, h, w = x.shape[2:]
        return self.tiling(len(x), (t, h, w))


def _chunks(tiling: Images | Frames, channels: int, outputs: int, least: int) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Items at a time, the first and how many, with memory for both sides at points. `least`: numbers that go through memory once
    a chunk anyway, so that holding fewer would not pay."""
    an_item = tiling.points * tiling.rows * (channels + outputs)
    most = min(tiling.items, max(1, max(HELD * torch.get_num_threads(), least) // an_item))
    memory = torch.empty(most * an_item)
    for first in range(0, tiling.items, most):
        count = min(most, tiling.items - first)
        rows = count * tiling.rows
        sizes = [tiling.points * rows * width for width in (channels, outputs)]
        one, other = memory[: sum(sizes)].split(sizes)
        yield first, count, one.view(tiling.points, rows, channels), other.view(tiling.points, rows, outputs)


def _tiling(g: Geometry) -> type[Images] | type[Frames]:
    return Images if g.kernel[0] == 1 else Frames
