"""Where the figure is in every frame: a union of capsules (segments with a radius), rasterised.

Distances from pixels to segments are computed for a block of frames at once, inside the box that a part touches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fame.data.staged.figure import PARTS

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
BLOCK = 8  # frames painted at a time


@dataclass(frozen=True)
class Outline:
    """Where the figure is: its mask, and per block of frames the box (frames, rows, columns) with what each garment covers."""

    mask: Mask
    blocks: list[tuple[tuple[slice, slice, slice], Array, Array]]

    def paint(self, planes: Array, clothes: Array) -> None:
        """Put the figure into colour planes (3, T, H, W), in place."""
        for box, cover, through in self.blocks:
            for plane, levels in zip(planes, clothes.T, strict=True):
                view = plane[box]
                view *= through
                for garment, level in enumerate(levels):
                    view += cover[garment] * level


def outline_of(points: Array, unit: float, size: int) -> Outline:
    """Rasterise skeletons (T, parts, 4), in pixels of a frame `size` square; `unit` is the standing height in pixels.

    The mask is the pixels whose centre lies inside, an edge is one pixel soft.
    """
    outline = Outline(np.zeros((len(points), size, size), np.bool_), [])
    radius = np.array([r for _, r, _ in PARTS], np.float32) * np.float32(unit)
    ticks = np.arange(size, dtype=np.float32) + np.float32(0.5)
    x, y = ticks[None, None, :], ticks[None, :, None]
    for first in range(0, len(points), BLOCK):
        some = points[first : first + BLOCK]
        corners = some.reshape(len(some), len(PARTS), 2, 2)
        low = np.floor(corners.min(axis=(0, 2)) - radius[:, None] - 1).astype(int).clip(0, size)
        high = np.ceil(corners.max(axis=(0, 2)) + radius[:, None] + 1).astype(int).clip(0, size)
        left, top = low.min(axis=0)
        right, bottom = high.max(axis=0)
        layers = np.full((3, len(some), bottom - top, right - left), -1, np.float32)  # signed depth inside each garment, pixels
        for part, (_, _, garment) in enumerate(PARTS):
            (x0, y0), (x1, y1) = low[part], high[part]
            depth = _distance(x[:, :, x0:x1], y[:, y0:y1], some[:, part])
            np.subtract(radius[part], depth, out=depth)
            layer = layers[garment, :, y0 - top : y1 - top, x0 - left : x1 - left]
            np.maximum(layer, depth, out=layer)
        box = (slice(first, first + BLOCK), slice(top, bottom), slice(left, right))
        outline.mask[box] = layers.max(axis=0) > 0
        outline.blocks.append((box, *_covers(layers)))
    return outline


def _covers(layers: Array) -> tuple[Array, Array]:
    """Return the shares of each pixel that show each garment and what is behind, from depths (3, ...), far first."""
    layers += np.float32(0.5)
    np.maximum(layers, 0, out=layers)
    cover = np.minimum(layers, 1, out=layers)
    clear = 1 - cover
    cover[1] *= clear[2]
    clear[1] *= clear[2]
    cover[0] *= clear[1]
    return cover, clear[0] * clear[1]


def _distance(x: Array, y: Array, segment: Array) -> Array:
    """Distance of every pixel to a segment a frame: x (1, 1, w), y (1, h, 1), segment (T, 4) -> (T, h, w)."""
    ax, ay, bx, by = (segment[:, k, None, None] for k in range(4))
    ux, uy = bx - ax, by - ay
    px, py = x - ax, y - ay
    length = np.maximum(ux * ux + uy * uy, np.float32(1e-6))
    share = px * (ux / length) + py * (uy / length)
    np.maximum(share, 0, out=share)
    np.minimum(share, 1, out=share)
    dx = share * ux
    np.subtract(px, dx, out=dx)
    share *= uy
    np.subtract(py, share, out=share)
    dx *= dx
    share *= share
    dx += share
    return np.sqrt(dx, out=dx)
