"""Grayscale, jitter, blur and normalisation of one clip after another: what fame/method/colour.py defines, compiled for CPUs.

A clip is treated in blocks that the first cache holds: every step but two changes pixels one by one. Contrast needs the mean of the
whole clip, so there are two rounds of blocks, one up to it and one from it on. The blur comes last; its weights add up to 1, so
normalisation may come before it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fame.fast.cpu.compiled import inline, kernel, prange
from fame.fast.cpu.memory import BOOL, FLOAT, INDEX, at
from fame.method.colour import JITTER, LUMA, Colours, brightness, contrast, saturation
from fame.method.smoothing import blur_kernel, gaussian_weights

BLOCK = 1024  # pixels: three channels and the sums below take 20 KiB
BRIGHTNESS, CONTRAST, SATURATION = (JITTER.index(step) for step in (brightness, contrast, saturation))
# 32-bit constants: a Python number would make the loops 64-bit
RED, GREEN, BLUE = (np.float32(weight) for weight in LUMA)
ZERO, ONE, TWO, THREE, FOUR, SIX = (np.float32(number) for number in (0, 1, 2, 3, 4, 6))
TINY = np.float32(1e-12)


def recolour(clips: Tensor, drawn: Colours, scale: Tensor, shift: Tensor, *, inplace: bool = False) -> Tensor:
    """`fame.method.colour.recolour`, then times `scale` plus `shift` (each (3,), a value a channel).

    clips: float32 (B, 3, T, H, W) in [0, 1]; overwritten and returned if `inplace` (where contiguous). No gradients.
    """
    source = clips.detach().contiguous()
    out = source if inplace else torch.empty_like(source)
    batch, _, length, height, width = out.shape
    kernel_size = blur_kernel(min(height, width))
    weights = torch.ones(batch, 1)  # no blur
    if kernel_size > 1 and True in drawn.blurred.tolist():
        weights = gaussian_weights(kernel_size, drawn.sigma, drawn.sigma.device)[kernel_size // 2 :].T
    parts = [
        part.contiguous() for part in (drawn.grey, drawn.group, drawn.orders, drawn.amounts, drawn.blurred, weights, scale, shift)
    ]
    addresses = (part.data_ptr() for part in (source, out, *parts))
    _recolour(*addresses, len(drawn.orders), weights.shape[1], batch, length, height, width)
    return out


@kernel
def _recolour(
    source_at,
    out_at,
    grey_at,
    group_at,
    orders_at,
    amounts_at,
    blurred_at,
    weights_at,
    scale_at,
    shift_at,
    steps,
    reach,
    clips,
    length,
    height,
    width,
):  # type: ignore[no-untyped-def]
    grey, group, orders = at(grey_at, clips, BOOL), at(group_at, clips, INDEX), at(orders_at, 4 * steps, INDEX)
    amounts, blurred, weights = at(amounts_at, 4 * clips, FLOAT), at(blurred_at, clips, BOOL), at(weights_at, reach * clips, FLOAT)
    scale, shift, pixels = at(scale_at, 3, FLOAT), at(shift_at, 3, FLOAT), length * height * width
    for clip in prange(clips):
        given = at(source_at + 12 * clip * pixels, 3 * pixels, FLOAT).reshape((3, pixels))
        planes = at(out_at + 12 * clip * pixels, 3 * pixels, FLOAT).reshape((3, pixels))
        order = orders[4 * group[clip] : 4 * group[clip] + 4] if group[clip] >= 0 else orders[:0]
        _change(given, planes, source_at != out_at, grey[clip], order, amounts[4 * clip : 4 * clip + 4], scale, shift)
        if blurred[clip] and reach > 1:
            _blur(planes.reshape((3 * length, height, width)), weights[clip * reach : (clip + 1) * reach])


@inline
def _change(given, planes, copied, grey, order, amounts, scale, shift):  # type: ignore[no-untyped-def]
    """All but the blur; (3, pixels). `order`: steps of jitter, or none."""
    pixels = planes.shape[1]
    jittered = len(order) > 0
    until = np.argmax(order == CONTRAST) if jittered else 0
    sums = np.zeros(BLOCK)
    for start in range(0, pixels, BLOCK):
        stop = min(start + BLOCK, pixels)
        red, green, blue = planes[0, start:stop], planes[1, start:stop], planes[2, start:stop]
        if copied:
            _copy(red, given[0, start:stop])
            _copy(green, given[1, start:stop])
            _copy(blue, given[2, start:stop])
        if grey:
            _grey(red, green, blue)
        for step in order[:until]:
            _step(red, green, blue, step, amounts)
        if jittered:
            _add_luma(sums, red, green, blue)
        else:
            _finish(red, green, blue, scale, shift)
    if not jittered:
        return
    factor = amounts[CONTRAST]
    offset = np.float32(sums.sum() / pixels * (ONE - factor))
    for start in range(0, pixels, BLOCK):
        stop = min(start + BLOCK, pixels)
        red, green, blue = planes[0, start:stop], planes[1, start:stop], planes[2, start:stop]
        _scale(red, green, blue, factor, offset)
        for step in order[until + 1 :]:
            _step(red, green, blue, step, amounts)
        _finish(red, green, blue, scale, shift)


@inline
def _step(red, green, blue, step, amounts):  # type: ignore[no-untyped-def]
    if step == BRIGHTNESS:
        _scale(red, green, blue, amounts[step], ZERO)
    elif step == SATURATION:
        _saturate(red, green, blue, amounts[step])
    else:
        _turn(red, green, blue, SIX * amounts[step])


@inline
def _copy(to, given):  # type: ignore[no-untyped-def]
    for i in range(len(to)):
        to[i] = given[i]


@inline
def _grey(red, green, blue):  # type: ignore[no-untyped-def]
    for i in range(len(red)):
        luma = RED * red[i] + GREEN * green[i] + BLUE * blue[i]
        red[i] = luma
        green[i] = luma
        blue[i] = luma


@inline
def _add_luma(sums, red, green, blue):  # type: ignore[no-untyped-def]
    """One 64-bit sum for each place in a block: as accurate as pairwise sums, and independent, so that they go side by side."""
    for i in range(len(red)):
        sums[i] += RED * red[i] + GREEN * green[i] + BLUE * blue[i]


@inline
def _scale(red, green, blue, factor, offset):  # type: ignore[no-untyped-def]
    """Brightness (offset 0) and contrast (offset: mean times 1 - factor)."""
    for i in range(len(red)):
        red[i] = min(max(red[i] * factor + offset, ZERO), ONE)
        green[i] = min(max(green[i] * factor + offset, ZERO), ONE)
        blue[i] = min(max(blue[i] * factor + offset, ZERO), ONE)


@inline
def _saturate(red, green, blue, factor):  # type: ignore[no-untyped-def]
    for i in range(len(red)):
        luma = RED * red[i] + GREEN * green[i] + BLUE * blue[i]
        red[i] = min(max(luma + factor * (red[i] - luma), ZERO), ONE)
        green[i] = min(max(luma + factor * (green[i] - luma), ZERO), ONE)
        blue[i] = min(max(luma + factor * (blue[i] - luma), ZERO), ONE)


@inline
def _turn(red, green, blue, sixths):  # type: ignore[no-untyped-def]
    """fame.method.colour.hue; |sixths| is at most 3, so that one turn more brings any hue to 0..6."""
    for i in range(len(red)):
        r, g, b = red[i], green[i], blue[i]
        least = min(min(r, g), b)
        chroma = max(max(r, g), b) - least
        hue = (g + b - r - least) / max(chroma, TINY) + ONE
        hue = (hue if g >= b else -hue) + sixths
        hue = hue if hue >= ZERO else hue + SIX
        red[i] = min(max(abs(hue - THREE) - ONE, ZERO), ONE) * chroma + least
        green[i] = min(max(TWO - abs(hue - TWO), ZERO), ONE) * chroma + least
        blue[i] = min(max(TWO - abs(hue - FOUR), ZERO), ONE) * chroma + least


@inline
def _finish(red, green, blue, scale, shift):  # type: ignore[no-untyped-def]
    for i in range(len(red)):
        red[i] = red[i] * scale[0] + shift[0]
        green[i] = green[i] * scale[1] + shift[1]
        blue[i] = blue[i] * scale[2] + shift[2]


@inline
def _blur(frames, weights):  # type: ignore[no-untyped-def]
    """Each (H, W) in place, between two arrays that serve one after another; weights (r + 1,) from the middle outwards."""
    count, height, width = frames.shape
    reach = len(weights) - 1
    wide = width + 2 * reach
    padded, across = np.zeros(height * wide, np.float32), np.zeros((height + 2 * reach) * wide, np.float32)
    for i in range(count):
        _blur_frame(frames[i], weights, padded, across)


@inline
def _blur_frame(frame, weights, padded, across):  # type: ignore[no-untyped-def]
    """Separable filter, edges reflected.

    Rows are laid end to end with r pixels of margin on both sides, and both directions filtered in loops over the whole frame:
    rows of a small frame are too short for loops of their own. What falls on margins is never read.
    """
    height, width = frame.shape
    reach = len(weights) - 1
    wide = width + 2 * reach
    for y in range(height):
        start = y * wide + reach
        _copy(padded[start : start + width], frame[y])
        for i in range(1, reach + 1):
            padded[start - i] = frame[y, i]
            padded[start + width - 1 + i] = frame[y, width - 1 - i]
    count = height * wide - 2 * reach
    # first and last row of the frame in `across`, whose pixels lie r to the left of those in `padded`
    top, bottom = reach * wide, (reach + height - 1) * wide
    _filter(across[top : top + count], padded, reach, 1, weights)
    for i in range(1, reach + 1):
        _copy(across[top - i * wide : top - i * wide + width], across[top + i * wide : top + i * wide + width])
        _copy(across[bottom + i * wide : bottom + i * wide + width], across[bottom - i * wide : bottom - i * wide + width])
    _filter(padded[:count], across, top, wide, weights)
    for y in range(height):
        _copy(frame[y], padded[y * wide : y * wide + width])


@inline
def _filter(to, given, start, stride, weights):  # type: ignore[no-untyped-def]
    """to[i] = sum over k of weights[|k|] given[start + i + k stride]."""
    count = len(to)
    _first_taps(
        to,
        given[start : start + count],
        given[start - stride : start - stride + count],
        given[start + stride : start + stride + count],
        weights[0],
        weights[1],
    )
    for k in range(2, len(weights)):
        _add_taps(
            to,
            given[start - k * stride : start - k * stride + count],
            given[start + k * stride : start + k * stride + count],
            weights[k],
        )


@inline
def _first_taps(to, middle, before, after, weight, beside):  # type: ignore[no-untyped-def]
    for i in range(len(to)):
        to[i] = weight * middle[i] + beside * (before[i] + after[i])


@inline
def _add_taps(to, before, after, weight):  # type: ignore[no-untyped-def]
    for i in range(len(to)):
        to[i] += weight * (before[i] + after[i])
