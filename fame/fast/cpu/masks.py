"""Compute hard foreground masks on a CPU: `fame.method.masks` restated so that a clip is read from memory once.

The arithmetic is the plain path's but for sine, cosine and the order of some sums over time: a colour within 1e-5 of a rounding
edge may fall on its other side, and pixels of equal score may change places. Planes are flat rows of H*W pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.config import Flavour
from fame.fast.cpu.compiled import BOOL, FLOAT, at, inline, kernel, prange
from fame.method.bayes import COLOURS, LEVELS, PAPER, Bayes
from fame.method.smoothing import blur_kernel, gaussian_weights

BLOCK = 1024  # pixels whose sums over time stay in the first-level cache
# Numba computes in the type of its operands: a Python number would turn float32 into float64
ZERO, HALF, ONE, TWO, FOUR, SIX = (np.float32(number) for number in (0.0, 0.5, 1.0, 2.0, 4.0, 6.0))
TINY = np.float32(1e-8)
PI, TWO_PI, QUADRANTS = np.float32(math.pi), np.float32(2 * math.pi), np.float32(2 / math.pi)
# pi / 2 as a sum, the first two with so few digits that their products with a quadrant's number are exact
FIRST, SECOND = 1.5703125, 4.8351287841796875e-4
RIGHT_ANGLE = np.float32(FIRST), np.float32(SECOND), np.float32(math.pi / 2 - FIRST - SECOND)
TO_WHOLE = np.float32(1.5 * 2**23)  # added and taken off again, it rounds to whole numbers, half to even
# Taylor, enough up to pi / 4
SINE = np.float32(-1 / 6), np.float32(1 / 120), np.float32(-1 / 5040), np.float32(1 / 362880)
COSINE = np.float32(-1 / 2), np.float32(1 / 24), np.float32(-1 / 720), np.float32(1 / 40320)
STEPS, BASE, LAST = (np.float32(number) for number in (LEVELS - 1, LEVELS, COLOURS - 1))


def keep_highest(clips: Tensor, count: int, flavour: Flavour | None, bayes: Bayes = PAPER) -> Tensor:
    """Keep `count` pixels of each clip, float (B, 3, T >= 2, H, W) -> bool (B, H, W), sides >= 16; flavour None: the seed mask."""
    batch, _, length, height, width = clips.shape
    given, pixels = clips.detach().float().contiguous(), height * width
    kept = torch.empty(batch, height, width, dtype=torch.bool, device=given.device)
    keep_kernel(
        given.data_ptr(),
        kept.data_ptr(),
        batch,
        length,
        height,
        width,
        _blur(min(height, width)),
        min(count, pixels),
        bayes.counts(pixels),
        np.float32(bayes.odds),
        flavour is not None,
        flavour == "official",
        torch.get_num_threads(),
    )
    return kept


@lru_cache(maxsize=16)
def _blur(side: int) -> np.ndarray[Any, Any]:
    size = blur_kernel(side)
    return gaussian_weights(size, size / 3, torch.device("cpu")).numpy()


@kernel
def keep_kernel(  # type: ignore[no-untyped-def]
    clips_at, kept_at, batch, length, height, width, weights, count, sampled, odds, by_colour, official, parts
):
    pixels = height * width
    for part in prange(parts):
        planes = np.empty((6, pixels), np.float32)
        motion, blurred, posterior, mean = planes[0], planes[1], planes[2], planes[3:]
        colour = np.empty(pixels, np.uint16)
        foreground, moving = np.empty(pixels, np.bool_), np.empty(pixels, np.bool_)
        space = np.zeros((2, (height + weights.size) * (width + weights.size)), np.float32)
        for i in range(part, batch, parts):
            clip = at(clips_at + 12 * i * length * pixels, 3 * length * pixels, FLOAT).reshape((3, length, pixels))
            kept = at(kept_at + i * pixels, pixels, BOOL)
            sum_over_time(clip, motion, mean)
            smooth(motion, blurred, weights, width, space)
            if by_colour:
                highest(blurred, sampled[0], foreground)
                highest(blurred, pixels - sampled[1], moving)
                index_colours(mean[0], mean[1], mean[2], official, colour)
                weigh_colours(colour, foreground, moving, sampled, odds, posterior)
                smooth(posterior, blurred, weights, width, space)
            highest(blurred, count, kept)


@inline
def sum_over_time(clip, motion, mean):  # type: ignore[no-untyped-def]
    """Frame difference and mean frame in one pass; sums over channels first, then over time, as the plain path adds them."""
    _, frames, pixels = clip.shape
    for start in range(0, pixels, BLOCK):
        stop = min(start + BLOCK, pixels)
        change = motion[start:stop]
        for p in range(change.size):
            change[p] = ZERO
        for c in range(3):
            total, first = mean[c, start:stop], clip[c, 0, start:stop]
            for p in range(total.size):
                total[p] = first[p]
        for t in range(1, frames):
            r0, g0, b0 = clip[0, t - 1, start:stop], clip[1, t - 1, start:stop], clip[2, t - 1, start:stop]
            r1, g1, b1 = clip[0, t, start:stop], clip[1, t, start:stop], clip[2, t, start:stop]
            for p in range(change.size):
                change[p] += abs(r1[p] - r0[p]) + abs(g1[p] - g0[p]) + abs(b1[p] - b0[p])
            for c in range(3):
                total, now = mean[c, start:stop], clip[c, t, start:stop]
                for p in range(total.size):
                    total[p] += now[p]
        for p in range(change.size):
            change[p] /= np.float32(frames - 1)
        for c in range(3):
            total = mean[c, start:stop]
            for p in range(total.size):
                total[p] /= np.float32(frames)


@inline
def smooth(source, out, weights, width, space):  # type: ignore[no-untyped-def]
    """Separable filter, edges reflected. Both directions run over one long padded row: what crosses a row's end is never read."""
    size, height = weights.size, source.size // width
    reach, pitch = size // 2, width + size - 1
    padded, rows = space[0], space[1]
    for y in range(height):
        line, row = padded[y * pitch : (y + 1) * pitch], source[y * width : (y + 1) * width]
        for x in range(width):
            line[reach + x] = row[x]
        for x in range(1, reach + 1):
            line[reach - x] = row[x]
            line[reach + width - 1 + x] = row[width - 1 - x]
    weigh(padded, rows[reach * pitch :], weights, 1, height * pitch)
    for y in range(1, reach + 1):
        for x in range(width):
            rows[(reach - y) * pitch + x] = rows[(reach + y) * pitch + x]
            rows[(reach + height - 1 + y) * pitch + x] = rows[(reach + height - 1 - y) * pitch + x]
    weigh(rows, padded, weights, pitch, height * pitch)
    for y in range(height):
        line, row = padded[y * pitch : (y + 1) * pitch], out[y * width : (y + 1) * width]
        for x in range(width):
            row[x] = line[x]


# with multiplication and addition fused, as torch's addcmul has them: pixels that tie there tie here too
@partial(inline, fastmath={"contract"})
def weigh(source, out, weights, step, length):  # type: ignore[no-untyped-def]
    """out[p] = sum over i of weights[i] * source[p + i * step], p < length."""
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        total = out[start:stop]
        for i in range(weights.size):
            shifted, weight = source[start + i * step : stop + i * step], weights[i]
            if i == 0:
                for p in range(total.size):
                    total[p] = shifted[p] * weight
            else:
                for p in range(total.size):
                    total[p] += shifted[p] * weight


@inline
def highest(values, count, kept):  # type: ignore[no-untyped-def]
    """Set `kept` where the highest `count` values are, equal ones in raster order. values >= 0 are ordered as their bits are."""
    bits = values.view(np.int32)
    floor, reached = 0, bits.size
    for digit in range(30, -1, -1):
        candidate = floor | (1 << digit)
        found = np.int32(0)
        for p in range(bits.size):
            found = np.int32(found + np.int32(bits[p] >= np.int32(candidate)))  # a Python sum is of 64 bits, half as many at once
        if found >= count:
            floor, reached = candidate, found
        if reached == count:
            break
    for p in range(bits.size):
        kept[p] = bits[p] >= np.int32(floor)
    p = bits.size
    while reached > count and p > 0:  # too many are equal: the last ones go
        p -= 1
        if bits[p] == floor:
            kept[p] = False
            reached -= 1


@inline
def index_colours(red, green, blue, official, colour):  # type: ignore[no-untyped-def]
    """See `fame.method.masks.colours`, whose operations these are, in its order."""
    for p in range(colour.size):
        r, g, b = red[p], green[p], blue[p]
        value, least = max(max(r, g), b), min(min(r, g), b)
        chroma = value - least
        saturation = chroma / (value + TINY)
        divisor = ONE if chroma == ZERO else chroma
        sector = (g - b) if r == value else ((b - r) + TWO * divisor if g == value else (r - g) + FOUR * divisor)
        turn = sector / divisor / SIX
        angle = TWO_PI * (turn + ONE if turn < ZERO else turn)
        if official:
            angle = angle * TWO * PI
        cosine, sine = cosine_and_sine(angle)
        across = level((saturation * cosine + ONE) * HALF)
        up = level((saturation * sine + ONE) * HALF)
        index = across + BASE * up + BASE * BASE * level(value)
        index = index if index > ZERO else ZERO  # also what is not a number
        colour[p] = np.int32(index if index < LAST else LAST)


@inline
def level(coordinate):  # type: ignore[no-untyped-def]
    return ((STEPS * coordinate + ONE) + TO_WHOLE) - TO_WHOLE - ONE


@inline
def cosine_and_sine(angle):  # type: ignore[no-untyped-def]
    """To 2e-7 for angles in 0..50."""
    shifted = angle * QUADRANTS + TO_WHOLE
    number = shifted - TO_WHOLE
    rest = ((angle - number * RIGHT_ANGLE[0]) - number * RIGHT_ANGLE[1]) - number * RIGHT_ANGLE[2]
    square = rest * rest
    sine = rest + rest * square * (SINE[0] + square * (SINE[1] + square * (SINE[2] + square * SINE[3])))
    cosine = ONE + square * (COSINE[0] + square * (COSINE[1] + square * (COSINE[2] + square * COSINE[3])))
    quadrant = np.int32(number) & 3
    odd = (quadrant & 1) == 1
    first, second = (sine if odd else cosine), (cosine if odd else sine)
    return (-first if quadrant == 1 or quadrant == 2 else first), (-second if quadrant >= 2 else second)


@inline
def weigh_colours(colour, foreground, moving, sampled, odds, posterior):  # type: ignore[no-untyped-def]
    """Compute P(F|x) of every pixel; what neither sample holds is counted apart, to spare a branch."""
    counts, table = np.zeros((3, COLOURS), np.int32), np.empty(COLOURS, np.float32)
    for p in range(colour.size):
        counts[(1 - foreground[p]) * (1 + moving[p]), colour[p]] += 1
    in_sample_f, in_sample_b = np.float32(sampled[0]), np.float32(sampled[1] + COLOURS)
    for c in range(COLOURS):
        in_foreground = np.float32(counts[0, c]) / in_sample_f
        in_background = np.float32(counts[1, c] + 1) / in_sample_b
        table[c] = in_foreground / (in_foreground + odds * in_background)
    for p in range(colour.size):
        posterior[p] = table[colour[p]]
