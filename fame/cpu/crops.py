"""Boxes of 8-bit frames resized bilinearly, in one pass: what fame/augment.py defines, compiled for CPUs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fame.cpu.compiled import inline, kernel, prange

LEVEL = np.float32(1 / 255)
SHARES = np.arange(256, dtype=np.float32) / np.float32(255)  # of each level, rounded as a division rounds it
# Places are unsigned: a signed one would be tried for counting from the end, pixel by pixel
ONE, TWO = np.uint64(1), np.uint64(2)


def crop_frames(clips: Tensor, rows: tuple[Tensor, ...], columns: tuple[Tensor, ...], out: Tensor) -> None:
    """clips uint8 (B, T, H, W, 3) -> `out` float32 contiguous (B, 3, T, S, S) in [0, 1].

    `rows` and `columns` each: low, high, long (B, S), the two pixels between which one of the result lies, and float32 (B, S), the
    weight of `high`. Numbers of columns may rise or fall (flipped) from left to right. ValueError for pixels outside the frames:
    the loops would read other memory.
    """
    for (low, high, _), side in ((rows, clips.shape[2]), (columns, clips.shape[3])):
        if low.min() < 0 or high.max() >= side:
            raise ValueError(f"a box reaches beyond frames of {clips.shape[2]} x {clips.shape[3]} pixels")
    frames = clips.contiguous().flatten(2).numpy()
    width, size = 3 * clips.shape[3], out.shape[-1]
    above, below = (_places(part * width) for part in rows[:2])
    left, right = (_places(part * 3) for part in columns[:2])
    first, last = (_places(part) for part in (columns[0].amin(1) * 3, columns[1].amax(1) * 3 + 3))  # of the box, within a row
    resized = ((rows[2] != 0) | (columns[2] != 0)).any(1).numpy()
    planes = out.view(*out.shape[:3], size * size).numpy()
    _crop(planes, frames, width, resized, above, below, rows[2].numpy(), first, last, left, right, columns[2].numpy())


def _places(values: Tensor) -> NDArray[np.uint64]:
    return values.numpy().view(np.uint64)  # type: ignore[no-any-return]


@kernel
def _crop(planes, frames, width, resized, above, below, lower, first, last, left, right, share):  # type: ignore[no-untyped-def]
    clips, length = frames.shape[:2]
    for item in prange(clips * length):
        clip, t = item // length, item % length
        red, green, blue, frame = planes[clip, 0, t], planes[clip, 1, t], planes[clip, 2, t], frames[clip, t]
        if resized[clip]:
            line = np.empty(width, np.float32)  # one row of the result, as wide as the box
            across = left[clip], right[clip], share[clip]
            _resize(red, green, blue, frame, above[clip], below[clip], lower[clip], line, first[clip], last[clip], *across)
        else:
            _copy(red, green, blue, frame, above[clip], left[clip])


@inline
def _resize(red, green, blue, frame, above, below, lower, line, first, last, left, right, share):  # type: ignore[no-untyped-def]
    to = np.uint64(0)
    for i in range(len(above)):
        top, bottom, weight = above[i], below[i], lower[i]
        for k in range(first, last):
            a, b = np.float32(frame[top + k]), np.float32(frame[bottom + k])
            line[k] = (a + weight * (b - a)) * LEVEL
        for j in range(len(left)):
            a, b, weight = left[j], right[j], share[j]
            red[to] = line[a] + weight * (line[b] - line[a])
            green[to] = line[a + ONE] + weight * (line[b + ONE] - line[a + ONE])
            blue[to] = line[a + TWO] + weight * (line[b + TWO] - line[a + TWO])
            to += ONE


@inline
def _copy(red, green, blue, frame, above, left):  # type: ignore[no-untyped-def]
    to = np.uint64(0)
    for i in range(len(above)):
        for j in range(len(left)):
            place = above[i] + left[j]
            red[to] = SHARES[frame[place]]
            green[to] = SHARES[frame[place + ONE]]
            blue[to] = SHARES[frame[place + TWO]]
            to += ONE
