"""Boxes of 8-bit frames resized bilinearly, in one pass: what fame/augment.py defines, compiled for CPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray
from torch import Tensor

from fame.cpu.compiled import inline, kernel, prange

LEVEL = np.float32(1 / 255)
SHARES = np.arange(256, dtype=np.float32) / np.float32(255)  # of each level, rounded as a division rounds it
# Places are unsigned: a signed one would be tried for counting from the end, pixel by pixel
ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)
FOUR = np.uint64(4)


def crop_frames(clips: Tensor, rows: tuple[Tensor, ...], columns: tuple[Tensor, ...], out: Tensor) -> None:
    """clips uint8 (B, T, H, W, 3) -> `out` float32 contiguous (B, 3, T, S, S) in [0, 1].

    `rows` and `columns` each: low, high, long (B, S), the two pixels between which one of the result lies, and float32 (B, S), the
    weight of `high`, which is the pixel after `low`, or `low` itself with a weight of 0. Numbers of columns may rise or fall
    (flipped) from left to right. ValueError for pixels outside the frames: the loops would read other memory.
    """
    for (low, high, _), side in ((rows, clips.shape[2]), (columns, clips.shape[3])):
        if low.min() < 0 or high.max() >= side:
            raise ValueError(f"a box reaches beyond frames of {clips.shape[2]} x {clips.shape[3]} pixels")
    frames = clips.contiguous().flatten(2).numpy()
    width, size = 3 * clips.shape[3], out.shape[-1]
    above, below = (_places(part * width) for part in rows[:2])
    left = _places(columns[0] * 3)
    first, last = (_places(part) for part in (columns[0].amin(1) * 3, columns[1].amax(1) * 3 + 3))  # of the box, within a row
    resized = ((rows[2] != 0) | (columns[2] != 0)).any(1).numpy()
    planes = out.view(*out.shape[:3], size * size).numpy()
    _crop(planes, frames, width, resized, above, below, rows[2].numpy(), first, last, left, columns[2].numpy())


def _places(values: Tensor) -> NDArray[np.uint64]:
    return values.numpy().view(np.uint64)  # type: ignore[no-any-return]


@kernel
def _crop(planes, frames, width, resized, above, below, lower, first, last, left, share):  # type: ignore[no-untyped-def]
    clips, length = frames.shape[:2]
    for item in prange(clips * length):
        clip, t = item // length, item % length
        red, green, blue, frame = planes[clip, 0, t], planes[clip, 1, t], planes[clip, 2, t], frames[clip, t]
        if resized[clip]:
            line = np.zeros(width + 4, np.float32)  # a row of the result, as wide as the box; zeros where a weight of 0 reads on
            across = left[clip], share[clip]
            _resize(red, green, blue, frame, above[clip], below[clip], lower[clip], line, first[clip], last[clip], *across)
        else:
            _copy(red, green, blue, frame, above[clip], left[clip])


@inline
def _resize(red, green, blue, frame, above, below, lower, line, first, last, left, share):  # type: ignore[no-untyped-def]
    size = np.uint64(len(left))
    for i in range(len(above)):
        top, bottom, weight = above[i], below[i], lower[i]
        for k in range(first, last):
            a, b = np.float32(frame[top + k]), np.float32(frame[bottom + k])
            line[k] = (a + weight * (b - a)) * LEVEL
        row, j = np.uint64(i) * size, np.uint64(0)
        while j + FOUR <= size:
            _four(line, left[j:], share[j:], red[row + j :], green[row + j :], blue[row + j :])  # type: ignore[call-arg]
            j += FOUR
        while j < size:
            a, weight = left[j], share[j]
            red[row + j] = line[a] + weight * (line[a + THREE] - line[a])
            green[row + j] = line[a + ONE] + weight * (line[a + THREE + ONE] - line[a + ONE])
            blue[row + j] = line[a + TWO] + weight * (line[a + THREE + TWO] - line[a + TWO])
            j += ONE


@intrinsic  # type: ignore[misc]
def _four(typing, line, left, share, red, green, blue):  # type: ignore[no-untyped-def]
    """Four pixels of a row, each as one vector of its three channels and one to spare, turned round into three vectors of four."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        line, left, share, *planes = (
            context.make_array(kind)(context, builder, value).data for kind, value in zip(signature.args, arguments, strict=True)
        )
        _generate_four(builder, line, left, share, planes)
        return context.get_dummy_value()

    return types.void(line, left, share, red, green, blue), generate


def _generate_four(builder: Any, line: Any, left: Any, share: Any, planes: list[Any]) -> None:
    vector, lane = ir.VectorType(ir.FloatType(), 4), ir.IntType(32)

    def at(pointer: Any, number: Any) -> Any:
        return builder.gep(pointer, [number])

    def four(pointer: Any) -> Any:
        return builder.bitcast(pointer, vector.as_pointer())

    def shuffled(a: Any, b: Any, *lanes: int) -> Any:
        return builder.shuffle_vector(a, b, ir.VectorType(lane, 4)(list(lanes)))

    pixels, nothing = [], vector(ir.Undefined)
    for number in map(ir.IntType(64), range(4)):
        start = at(line, builder.load(at(left, number)))
        low, high = (builder.load(four(at(start, ir.IntType(64)(offset))), align=4) for offset in (0, 3))
        weight = builder.insert_element(nothing, builder.load(at(share, number)), lane(0))
        weight = shuffled(weight, nothing, 0, 0, 0, 0)
        pixels.append(builder.fadd(low, builder.fmul(weight, builder.fsub(high, low))))
    for channel, plane in enumerate(planes):
        halves = [shuffled(*pair, channel, 4 + channel, channel, channel) for pair in (pixels[:2], pixels[2:])]
        builder.store(shuffled(*halves, 0, 1, 4, 5), four(plane), align=4)


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
