"""Boxes of 8-bit frames resized bilinearly, in one pass: what fame/method/augment.py defines, compiled for CPUs.

Frames of a clip go side by side, eight at a time (fame/fast/cpu/transposed.py): a row of the result is first made as wide as the
box,
between two rows of the frames, then its pixels between two of that row's.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fame.fast.cpu.compiled import inline, kernel, prange
from fame.fast.cpu.memory import BYTE, FLOAT, INDEX, at
from fame.fast.cpu.products import LANES
from fame.fast.cpu.transposed import between, join

LEVEL = np.float32(1 / 255)
SHARES = np.arange(256, dtype=np.float32) / np.float32(255)  # of each level, rounded as a division rounds it


def crop_frames(clips: Tensor, boxes: tuple[Tensor, ...], out: Tensor) -> None:
    """clips uint8 (B, T, H, W, 3) -> `out` float32 contiguous (B, 3, T, S, S) in [0, 1].

    boxes: top, left, height, width, long, and flip, bool, each (B,), as `fame.method.augment.Crops`. ValueError for boxes beyond
    the
    frames: the loops would read other memory.
    """
    clips, boxes = clips.contiguous(), tuple(part.contiguous() for part in boxes)
    (batch, length, height, width, _), size = clips.shape, out.shape[-1]
    addresses = (part.data_ptr() for part in (clips, out, *boxes))
    if not _crop(*addresses, batch, length, height, width, size):
        raise ValueError(f"a box reaches beyond frames of {height} x {width} pixels")


@kernel
def _crop(clips_at, out_at, top_at, left_at, tall_at, wide_at, flip_at, clips, length, height, width, size):  # type: ignore[no-untyped-def]
    """Whether all boxes lie within the frames; if not, nothing is done."""
    top, left, tall, wide = (
        at(top_at, clips, INDEX),
        at(left_at, clips, INDEX),
        at(tall_at, clips, INDEX),
        at(wide_at, clips, INDEX),
    )
    flip = at(flip_at, clips, BYTE)
    for i in range(clips):
        if min(top[i], left[i]) < 0 or min(tall[i], wide[i]) < 1 or top[i] + tall[i] > height or left[i] + wide[i] > width:
            return False
    groups = (length + LANES - 1) // LANES
    one, area = height * width * 3, size * size
    for item in prange(clips * groups):
        clip, first = item // groups, item % groups * LANES
        shown = min(LANES, length - first)
        frames = at(clips_at + (clip * length + first) * one, shown * one, BYTE)
        above, below, lower = _taps(top[clip], tall[clip], size, False)
        near, far, share = _taps(left[clip], wide[clip], size, flip[clip] != 0)
        channel = length * area
        planes = at(out_at + 4 * (3 * clip * channel + first * area), 2 * channel + shown * area, FLOAT)
        for c in range(3):  # written in one go first: lines a page apart, as below, take twice as long to come from memory
            planes[c * channel : c * channel + shown * area] = 0
        if lower.any() or share.any():
            _resize(frames, shown, width, above, below, lower, left[clip], wide[clip], near, far, share, planes, channel, size)
        else:
            _copy(frames, shown, width, above, near, planes, channel, size)
    return True


@inline
def _taps(start, side, size, mirrored):  # type: ignore[no-untyped-def]
    """`fame.method.augment.taps` of one clip; filled up to whole vectors with the last pixel."""
    whole = (size + LANES - 1) // LANES * LANES
    low, high, weight = np.empty(whole, np.int64), np.empty(whole, np.int64), np.empty(whole, np.float32)
    for j in range(whole):
        step = min(j, size - 1)
        step = size - 1 - step if mirrored else step
        place = np.float64((2 * step + 1) * side) / np.float64(2 * size) - 0.5
        place = min(max(place, np.float64(0)), np.float64(side - 1))
        before = np.int64(place)
        low[j], high[j] = start + before, start + min(before + 1, side - 1)
        weight[j] = np.float32(place - before)
    return low, high, weight


@inline
def _resize(frames, shown, width, above, below, lower, left, wide, near, far, share, planes, channel, size):  # type: ignore[no-untyped-def]
    count, one, area = 3 * wide, len(frames) // shown, size * size
    held, rows, line = np.full(2, -1), np.empty((2, count * LANES), np.uint8), np.empty(count * LANES, np.float32)
    block = np.empty(LANES * LANES, np.float32)
    near, far = (near - left) * 3 * LANES, (far - left) * 3 * LANES
    for i in range(size):
        for y in (above[i], below[i]):
            if held[y & 1] != y:  # rows come one after another, so two suffice
                held[y & 1] = y
                _join_row(frames, (y * width + left) * 3, one, shown, count, rows[y & 1])
        _between_rows(rows[above[i] & 1], rows[below[i] & 1], lower[i], line)
        for c in range(3):
            for j in range(0, size, LANES):
                to = c * channel + i * size + j
                if shown == LANES and j + LANES <= size:
                    between(line, near, far, share, j, c * LANES, planes, to, area)
                else:
                    between(line, near, far, share, j, c * LANES, block, 0, LANES)
                    for lane in range(shown):
                        for k in range(min(LANES, size - j)):
                            planes[to + lane * area + k] = block[lane * LANES + k]


@inline
def _join_row(frames, start, one, shown, count, row):  # type: ignore[no-untyped-def]
    whole = count // LANES * LANES
    for k in range(0, whole, LANES):
        join(frames, start + k, one, shown, row, k * LANES)
    for k in range(whole, count):
        for lane in range(LANES):
            row[k * LANES + lane] = frames[start + min(lane, shown - 1) * one + k]


@inline
def _between_rows(above, below, weight, line):  # type: ignore[no-untyped-def]
    for k in range(len(line)):
        a, b = np.float32(above[k]), np.float32(below[k])
        line[k] = (a + weight * (b - a)) * LEVEL


@inline
def _copy(frames, shown, width, above, near, planes, channel, size):  # type: ignore[no-untyped-def]
    one, area = len(frames) // shown, size * size
    for t in range(shown):
        for i in range(size):
            for j in range(size):
                place, to = t * one + (above[i] * width + near[j]) * 3, t * area + i * size + j
                for c in range(3):
                    planes[c * channel + to] = SHARES[frames[place + c]]
