"""Boxes of 8-bit frames resized bilinearly, all clips of a batch in one launch: what fame/method/augment.py defines, for GPUs.

The kernel is told where each clip lies, so clips of different sizes are as good as a batch of one size. From the box it finds the
pixels between which one of the result lies, and their weights, once for several frames: in whole numbers, where
`fame.method.augment.taps`
has 64-bit fractions, so that both agree to the last place of 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from fame.fast.gpu.serving import OPTIONS, carried, on

LEVEL = tl.constexpr(1 / 255)
BLOCK = 256  # pixels of a program, one a thread: neighbours then read bytes of the same lines
FRAMES = 4  # of a program: what it finds out about its pixels serves them all
ADDRESS, ROW, FRAME, TOP, LEFT, TALL, WIDE, FLIP = (tl.constexpr(place) for place in range(8))  # columns of the table
COLUMNS = tl.constexpr(8)


def crop_frames(clips: Tensor | Sequence[Tensor], boxes: tuple[Tensor, ...], out: Tensor) -> None:
    """clips uint8 (B, T, H, W, 3), or B of (T, H, W, 3) of any H and W -> `out` float32 contiguous (B, 3, T, S, S) in [0, 1].

    `boxes`: `fame.method.augment.Crops`, on the CPU. ValueError for boxes that hold no pixel or reach beyond the frames, and for
    clips of
    other than T frames: the kernel would read other memory.
    """
    count, _, length, size, _ = out.shape
    batch = clips.contiguous() if isinstance(clips, Tensor) else [clip.contiguous() for clip in clips]  # kept until the launch
    table = np.empty((count, COLUMNS.value), np.int64)
    table[:, ADDRESS.value], sides = _places(batch)
    frames, height, width = sides.T
    table[:, ROW.value], table[:, FRAME.value] = 3 * width, 3 * width * height
    top, left, tall, wide, table[:, FLIP.value] = (field.numpy() for field in boxes)
    for column, values in ((TOP, top), (LEFT, left), (TALL, tall), (WIDE, wide)):
        table[:, column.value] = values
    wrong = (np.minimum(top, left) < 0) | (np.minimum(tall, wide) < 1) | (top + tall > height) | (left + wide > width)
    if wrong.any():
        _, height, width = sides[wrong.argmax()]
        raise ValueError(f"a box reaches beyond frames of {height} x {width} pixels")
    if (frames != length).any():
        raise ValueError(f"clips of {sorted(set(frames.tolist()))} frames do not make one batch")
    with on(out):
        grid = triton.cdiv(size * size, BLOCK), triton.cdiv(length, FRAMES), count
        _crop[grid](
            carried(torch.from_numpy(table), out.device), out, length, size, BLOCK, FRAMES, num_warps=BLOCK // 32, **OPTIONS
        )


def _places(clips: Tensor | Sequence[Tensor]) -> tuple[NDArray[np.int64] | list[int], NDArray[np.int64]]:
    """Addresses (B,) of contiguous clips, and (B, 3): T, H, W."""
    if isinstance(clips, Tensor):
        sides = np.array([clips.shape[1:4]] * len(clips))
        return clips.data_ptr() + np.arange(len(clips)) * clips.stride(0), sides
    return [clip.data_ptr() for clip in clips], np.array([clip.shape[:3] for clip in clips])


@triton.jit
def _crop(table, out, length, size: tl.constexpr, BLOCK: tl.constexpr, FRAMES: tl.constexpr):  # type: ignore[no-untyped-def]
    clip = tl.program_id(2)
    row = table + clip * COLUMNS
    source = tl.load(row + ADDRESS).to(tl.pointer_type(tl.uint8))
    stride, frame = tl.load(row + ROW).to(tl.int32), tl.load(row + FRAME)
    top, left = tl.load(row + TOP).to(tl.int32), tl.load(row + LEFT).to(tl.int32)
    tall, wide = tl.load(row + TALL).to(tl.int32), tl.load(row + WIDE).to(tl.int32)
    flipped = tl.load(row + FLIP) != 0

    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y, x = pixel // size, pixel % size
    above, below, lower = _taps(y, tall, size)
    near, far, share = _taps(tl.where(flipped, size - 1 - x, x), wide, size)
    above, below = (top + above) * stride, (top + below) * stride
    near, far = (left + near) * 3, (left + far) * 3

    # pixels beyond the result are clamped to the box like all others, so only writing needs to know of them
    inside = pixel < size * size
    first = tl.program_id(1) * FRAMES
    for t in range(first, tl.minimum(first + FRAMES, length)):
        given = source + t * frame
        to = out + (clip.to(tl.int64) * 3 * length + t) * (size * size) + pixel
        for _ in tl.static_range(3):
            a, b = tl.load(given + above + near).to(tl.float32), tl.load(given + above + far).to(tl.float32)
            c, d = tl.load(given + below + near).to(tl.float32), tl.load(given + below + far).to(tl.float32)
            a += lower * (c - a)
            b += lower * (d - b)
            tl.store(to, (a + share * (b - a)) * LEVEL, mask=inside)
            given += 1
            to += length * (size * size)


@triton.jit
def _taps(step, side, size: tl.constexpr):  # type: ignore[no-untyped-def]
    """`fame.method.augment.taps` in units of 1 / (2 size) pixels: low, high, weight of high; `side` of the box."""
    place = tl.minimum(tl.maximum((2 * step + 1) * side - size, 0), (side - 1) * (2 * size))
    low = place // (2 * size)
    return low, tl.minimum(low + 1, side - 1), (place - low * (2 * size)).to(tl.float32) / (2.0 * size)
