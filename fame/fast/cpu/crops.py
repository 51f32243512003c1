"""Boxes of 8-bit frames resized and flipped on a CPU: what fame.method.augment.apply_crops defines, compiled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from fame.fast.cpu.compiled import BYTE, at, inline, kernel, prange

ZERO, HALF, ONE, WHITE = (np.float32(number) for number in (0, 0.5, 1, 255))


def crop(clips: Iterable[Tensor], crops: Iterable[Tensor], size: int) -> Tensor:
    """Return float32 (B, 3, T, size, size) in [0, 1] of B clips, uint8 (T, H, W, 3); crops: `fame.method.augment.Crops`."""
    held = [clip.contiguous() for clip in clips]  # an address keeps nothing alive
    boxes = zip(held, *(field.tolist() for field in crops), strict=True)
    table = [(clip.data_ptr(), *clip.shape[1:3], *box) for clip, *box in boxes]
    out = torch.empty(len(held), 3, len(held[0]), size, size, device="cpu")
    _crop(np.array(table, np.int64), out.numpy())
    return out


@kernel
def _crop(table, out):  # type: ignore[no-untyped-def]
    """`table`: of each clip its address, height and width; of its box top, left, height and width; whether it is flipped."""
    clips, _, length, size, _ = out.shape
    for clip in prange(clips):
        address, tall, wide, top, left, height, width, flip = table[clip]
        above, below, lower = _taps(height, size, 0)
        near, far, share = _taps(width, size, flip)
        line, row = np.empty(3 * width, np.float32), np.empty((3, size), np.float32)
        for t in range(length):
            frame = address + 3 * wide * (t * tall + top) + 3 * left
            for y in range(size):
                upper = at(frame + 3 * wide * above[y], 3 * width, BYTE)
                under = at(frame + 3 * wide * below[y], 3 * width, BYTE)
                for k in range(3 * width):
                    line[k] = (ONE - lower[y]) * np.float32(upper[k]) + lower[y] * np.float32(under[k])
                for x in range(size):
                    for c in range(3):
                        row[c, x] = (ONE - share[x]) * line[3 * near[x] + c] + share[x] * line[3 * far[x] + c]
                for c in range(3):
                    target = out[clip, c, t, y]
                    for x in range(size):
                        target[x] = row[c, x] / WHITE


@inline
def _taps(side, size, flip):  # type: ignore[no-untyped-def]
    """Between which two of `side` pixels each of `size` lies, and the second one's weight."""
    low, high, weight = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.float32)
    scale = np.float32(side) / np.float32(size)
    for j in range(size):
        step = size - 1 - j if flip else j
        place = max(scale * (np.float32(step) + HALF) - HALF, ZERO)
        low[j] = min(np.int64(place), side - 1)
        high[j] = min(low[j] + 1, side - 1)
        weight[j] = place - np.float32(low[j])
    return low, high, weight
