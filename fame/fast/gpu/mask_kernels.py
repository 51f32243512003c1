"""Compute the steps of `fame.method.masks`, a kernel each, over planes: flat rows of H*W pixels.

No program waits for another one: what needs all pixels of a clip is the next kernel's work. Offsets of clips are 64 bits wide.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

from fame.method.bayes import COLOURS, LEVELS

BINS = tl.constexpr(COLOURS)
BASE, STEPS, LAST_COLOUR = tl.constexpr(float(LEVELS)), tl.constexpr(LEVELS - 1.0), tl.constexpr(COLOURS - 1.0)
TWO_PI, PI, QUADRANTS = tl.constexpr(2 * math.pi), tl.constexpr(math.pi), tl.constexpr(2 / math.pi)
# pi / 2 as a sum, the first two with so few digits that their products with a quadrant's number are exact
RIGHT_ANGLE_0, RIGHT_ANGLE_1 = tl.constexpr(1.5703125), tl.constexpr(4.8351287841796875e-4)
RIGHT_ANGLE_2 = tl.constexpr(math.pi / 2 - 1.5703125 - 4.8351287841796875e-4)
TO_WHOLE = tl.constexpr(1.5 * 2**23)  # added and taken off again, it rounds to whole numbers, half to even


@triton.jit
def piece(pixels, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """This program's clip, its pixels, and which of those exist."""
    program, pieces = tl.program_id(0), (pixels + BLOCK - 1) // BLOCK
    position = program % pieces * BLOCK + tl.arange(0, BLOCK)
    return (program // pieces).to(tl.int64), position, position < pixels


@triton.jit
def motion_kernel(clips, motion, colour, frames, pixels, OFFICIAL: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """S, and unless `colour` is None the colour index of the mean frame; each value of the clip is read once."""
    clip, position, inside = piece(pixels, BLOCK)
    channel = frames.to(tl.int64) * pixels
    frame = clips + clip * 3 * channel
    red = tl.load(frame + position, mask=inside, other=0.0)
    green = tl.load(frame + channel + position, mask=inside, other=0.0)
    blue = tl.load(frame + 2 * channel + position, mask=inside, other=0.0)
    reds, greens, blues = red, green, blue
    moved = tl.full([BLOCK], 0, tl.float32)
    for _ in range(1, frames):
        frame += pixels
        next_red = tl.load(frame + position, mask=inside, other=0.0)
        next_green = tl.load(frame + channel + position, mask=inside, other=0.0)
        next_blue = tl.load(frame + 2 * channel + position, mask=inside, other=0.0)
        moved += tl.abs(next_red - red) + tl.abs(next_green - green) + tl.abs(next_blue - blue)
        reds, greens, blues = reds + next_red, greens + next_green, blues + next_blue
        red, green, blue = next_red, next_green, next_blue
    place = clip * pixels + position
    tl.store(motion + place, tl.div_rn(moved, (frames - 1).to(tl.float32)), mask=inside)
    if colour is not None:
        number = frames.to(tl.float32)
        index = colour_index(tl.div_rn(reds, number), tl.div_rn(greens, number), tl.div_rn(blues, number), OFFICIAL)
        tl.store(colour + place, index.to(tl.int16), mask=inside)


@triton.jit
def colour_index(r, g, b, OFFICIAL: tl.constexpr):  # type: ignore[no-untyped-def]
    """See `fame.method.masks.colours`, whose operations these are, in its order; int32, in 0..999 whatever the values."""
    value, least = tl.maximum(tl.maximum(r, g), b), tl.minimum(tl.minimum(r, g), b)
    chroma = value - least
    saturation = tl.div_rn(chroma, value + 1e-8)
    divisor = tl.where(chroma == 0.0, 1.0, chroma)
    sector = tl.where(r == value, g - b, tl.where(g == value, (b - r) + 2.0 * divisor, (r - g) + 4.0 * divisor))
    turn = tl.div_rn(tl.div_rn(sector, divisor), 6.0)
    angle = TWO_PI * tl.where(turn < 0.0, turn + 1.0, turn)
    if OFFICIAL:
        angle = angle * 2.0 * PI
    cosine, sine = cosine_and_sine(angle)
    across, up = level((saturation * cosine + 1.0) * 0.5), level((saturation * sine + 1.0) * 0.5)
    index = across + BASE * up + BASE * BASE * level(value)
    index = tl.where(index > 0.0, index, 0.0)  # also what is not a number
    return tl.where(index < LAST_COLOUR, index, LAST_COLOUR).to(tl.int32)


@triton.jit
def level(coordinate):  # type: ignore[no-untyped-def]
    return ((STEPS * coordinate + 1.0) + TO_WHOLE) - TO_WHOLE - 1.0


@triton.jit
def cosine_and_sine(angle):  # type: ignore[no-untyped-def]
    """To 2e-7 for angles in 0..50; Triton's own have no such promise."""
    number = (angle * QUADRANTS + TO_WHOLE) - TO_WHOLE
    rest = ((angle - number * RIGHT_ANGLE_0) - number * RIGHT_ANGLE_1) - number * RIGHT_ANGLE_2
    square = rest * rest
    sine = rest + rest * square * (-1 / 6 + square * (1 / 120 + square * (-1 / 5040 + square * (1 / 362880))))
    cosine = 1.0 + square * (-1 / 2 + square * (1 / 24 + square * (-1 / 720 + square * (1 / 40320))))
    quadrant = number.to(tl.int32) & 3
    odd = (quadrant & 1) == 1
    first, second = tl.where(odd, sine, cosine), tl.where(odd, cosine, sine)
    return tl.where((quadrant == 1) | (quadrant == 2), -first, first), tl.where(quadrant >= 2, -second, second)


@triton.jit
def blur_kernel(maps, out, weights, height, width, TAPS: tl.constexpr, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Filter along columns and exchange rows and columns, so that a second call does the rest: (B, H, W) -> (B, W, H)."""
    down, right = (height + TILE - 1) // TILE, (width + TILE - 1) // TILE
    program = tl.program_id(0)
    row = program // right % down * TILE + tl.arange(0, TILE)[:, None]
    column = program % right * TILE + tl.arange(0, TILE)[None, :]
    inside = (row < height) & (column < width)
    start = (program // (right * down)).to(tl.int64) * height * width
    columns, total = maps + start + column, tl.full([TILE, TILE], 0, tl.float32)
    for tap in tl.static_range(TAPS):
        source = tl.abs(row + (tap - TAPS // 2))  # mirrored at the first and at the last row
        source = tl.where(source < height, source, 2 * (height - 1) - source)
        total += tl.load(columns + source * width, mask=inside, other=0.0) * tl.load(weights + tap)
    tl.store(out + start + column * height + row, total, mask=inside)


@triton.jit(do_not_specialize=["first", "second"])
def rank_kernel(scores, edges, first, second, pixels, RANKINGS: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Find where the highest `first` pixels end, and with two rankings the highest `second`: the last one's score and position.

    Scores >= 0 are ordered as their bits are, equal ones in raster order. edges: int32 (B, RANKINGS, 2).
    """
    program = tl.program_id(0)
    scores += (program // RANKINGS).to(tl.int64) * pixels
    count, lane = first, tl.arange(0, BLOCK)
    if RANKINGS == 2:
        count = tl.where(program % 2 == 0, first, second)
    floor = tl.full((), 0, tl.uint32)
    for digit in range(31):
        trial = floor | (tl.full((), 1 << 30, tl.uint32) >> digit)
        reach = tl.full([BLOCK], 0, tl.int32)
        for start in range(0, pixels, BLOCK):
            reach += (bits_of(scores, start + lane, pixels) >= trial).to(tl.int32)
        floor = tl.where(tl.sum(reach, 0) >= count, trial, floor)
    above, equal = tl.full([BLOCK], 0, tl.int32), tl.full([BLOCK], 0, tl.int32)
    for start in range(0, pixels, BLOCK):
        bits, inside = bits_of(scores, start + lane, pixels), lane < pixels - start
        above += (bits > floor).to(tl.int32)
        equal += (inside & (bits == floor)).to(tl.int32)
    room, last = count - tl.sum(above, 0), tl.full((), 0, tl.int32) + pixels  # all that are equal to the last one
    if tl.sum(equal, 0) > room:
        seen, last = tl.full((), 0, tl.int32), tl.full((), -1, tl.int32)
        for start in range(0, pixels, BLOCK):
            tied = ((lane < pixels - start) & (bits_of(scores, start + lane, pixels) == floor)).to(tl.int32)
            fits = (tied == 1) & (seen + tl.cumsum(tied, 0) <= room)
            last = tl.maximum(last, tl.max(tl.where(fits, start + lane, -1), 0))
            seen += tl.sum(tied, 0)
    tl.store(edges + 2 * program, floor.to(tl.int32, bitcast=True))
    tl.store(edges + 2 * program + 1, last)


@triton.jit
def bits_of(scores, position, pixels):  # type: ignore[no-untyped-def]
    """Bits of the scores; 0 beyond the last pixel."""
    return tl.load(scores + position, mask=position < pixels, other=0.0).to(tl.uint32, bitcast=True)


@triton.jit
def is_above(edge, bits, position):  # type: ignore[no-untyped-def]
    """Whether pixels are among those that end at `edge`."""
    floor, last = tl.load(edge).to(tl.uint32, bitcast=True), tl.load(edge + 1)
    return (bits > floor) | ((bits == floor) & (position <= last))


@triton.jit
def count_kernel(scores, edges, colour, counts, pixels, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The colours of both samples: the pixels up to the first edge, and those beyond the second. counts: int32 (B, 2, BINS), 0."""
    clip, position, inside = piece(pixels, BLOCK)
    bits = bits_of(scores + clip * pixels, position, pixels)
    foreground, moving = (
        is_above(edges + 4 * clip, bits, position),
        is_above(edges + 4 * clip + 2, bits, position),
    )
    index = tl.load(colour + clip * pixels + position, mask=inside, other=0).to(tl.int32)
    index += tl.where(foreground, 0, BINS)
    sampled = inside & (foreground | (moving == 0))
    tl.atomic_add(counts + clip * 2 * BINS + index, tl.full([BLOCK], 1, tl.int32), mask=sampled, sem="relaxed")


@triton.jit
def posterior_kernel(  # type: ignore[no-untyped-def]
    colour, counts, posterior, of_foreground, of_background, odds, pixels, BLOCK: tl.constexpr
):
    """Compute P(F|x) of every pixel; of_foreground, of_background: what counts are divided by; odds: (1 - prior) / prior."""
    clip, position, inside = piece(pixels, BLOCK)
    index = tl.load(colour + clip * pixels + position, mask=inside, other=0).to(tl.int32)
    counts += clip * 2 * BINS
    in_foreground = tl.div_rn(tl.load(counts + index).to(tl.float32), of_foreground)
    in_background = tl.div_rn((tl.load(counts + BINS + index) + 1).to(tl.float32), of_background)
    share = tl.div_rn(in_foreground, in_foreground + odds * in_background)
    tl.store(posterior + clip * pixels + position, share, mask=inside)


@triton.jit
def keep_kernel(scores, edges, kept, pixels, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The mask as bytes, 1 for the pixels up to the edge."""
    clip, position, inside = piece(pixels, BLOCK)
    bits = bits_of(scores + clip * pixels, position, pixels)
    tl.store(kept + clip * pixels + position, is_above(edges + 2 * clip, bits, position).to(tl.uint8), mask=inside)
