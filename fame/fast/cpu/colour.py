"""Apply grayscale and jitter to one clip after another on a CPU: what fame/method/colour.py defines, compiled.

Contrast needs the mean of the whole clip, so there are two rounds of blocks, one up to it and one from it on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.fast.cpu.compiled import BOOL, FLOAT, INDEX, at, inline, kernel, prange

BLOCK = 1024  # pixels: three channels and the sums below take 20 KiB
BRIGHTNESS, CONTRAST, SATURATION = 0, 1, 2  # places in fame.method.colour.JITTER; the hue is the last
# 32-bit constants: a Python number would make the loops 64-bit
ZERO, ONE, TWO, THREE, FOUR, SIX = (np.float32(number) for number in (0, 1, 2, 3, 4, 6))
TINY = np.float32(1e-12)


def jitter(clips: Tensor, drawn: Any, luma: tuple[float, float, float]) -> Tensor:
    """Return a jittered copy of clips, float32 (B, 3, T, H, W) in [0, 1]; drawn: `Colours`; luma: weights of red, green, blue."""
    out = clips.detach().clone(memory_format=torch.contiguous_format)
    weights = torch.tensor(luma, dtype=torch.float32, device=clips.device)
    parts = (out, drawn.grey, drawn.group, drawn.orders, drawn.amounts, weights)
    held = [part.contiguous() for part in parts]  # an address keeps nothing alive
    batch, pixels = len(out), out[0, 0].numel()
    _jitter(*(part.data_ptr() for part in held), len(drawn.orders), batch, pixels)
    return out


@kernel
def _jitter(out_at, grey_at, group_at, orders_at, amounts_at, weights_at, steps, clips, pixels):  # type: ignore[no-untyped-def]
    grey, group, orders = at(grey_at, clips, BOOL), at(group_at, clips, INDEX), at(orders_at, 4 * steps, INDEX)
    amounts, weights = at(amounts_at, 4 * clips, FLOAT), at(weights_at, 3, FLOAT)
    for clip in prange(clips):
        planes = at(out_at + 12 * clip * pixels, 3 * pixels, FLOAT).reshape((3, pixels))
        order = orders[4 * group[clip] : 4 * group[clip] + 4] if group[clip] >= 0 else orders[:0]
        _change(planes, grey[clip], order, amounts[4 * clip : 4 * clip + 4], weights)


@inline
def _change(planes, grey, order, amounts, weights):  # type: ignore[no-untyped-def]
    """Change one clip, (3, pixels), in place. `order`: steps of jitter, or none."""
    pixels = planes.shape[1]
    jittered = len(order) > 0
    if not jittered and not grey:
        return
    until = np.argmax(order == CONTRAST) if jittered else 0
    sums = np.zeros(BLOCK)
    for start in range(0, pixels, BLOCK):
        stop = min(start + BLOCK, pixels)
        red, green, blue = planes[0, start:stop], planes[1, start:stop], planes[2, start:stop]
        if grey:
            for i in range(len(red)):
                luma = weights[0] * red[i] + weights[1] * green[i] + weights[2] * blue[i]
                red[i], green[i], blue[i] = luma, luma, luma
        for step in order[:until]:
            _step(red, green, blue, step, amounts, weights)
        if jittered:
            # a 64-bit sum for each place in a block: as accurate as pairwise sums, and independent, so that they go side by side
            for i in range(len(red)):
                sums[i] += weights[0] * red[i] + weights[1] * green[i] + weights[2] * blue[i]
    if not jittered:
        return
    factor = amounts[CONTRAST]
    offset = np.float32(sums.sum() / pixels * (ONE - factor))
    for start in range(0, pixels, BLOCK):
        stop = min(start + BLOCK, pixels)
        red, green, blue = planes[0, start:stop], planes[1, start:stop], planes[2, start:stop]
        _scale(red, green, blue, factor, offset)
        for step in order[until + 1 :]:
            _step(red, green, blue, step, amounts, weights)


@inline
def _step(red, green, blue, step, amounts, weights):  # type: ignore[no-untyped-def]
    if step == BRIGHTNESS:
        _scale(red, green, blue, amounts[step], ZERO)
    elif step == SATURATION:
        _saturate(red, green, blue, amounts[step], weights)
    else:
        _turn(red, green, blue, SIX * amounts[step])


@inline
def _scale(red, green, blue, factor, offset):  # type: ignore[no-untyped-def]
    """Brightness (offset 0) and contrast (offset: mean times 1 - factor)."""
    for i in range(len(red)):
        red[i] = min(max(red[i] * factor + offset, ZERO), ONE)
        green[i] = min(max(green[i] * factor + offset, ZERO), ONE)
        blue[i] = min(max(blue[i] * factor + offset, ZERO), ONE)


@inline
def _saturate(red, green, blue, factor, weights):  # type: ignore[no-untyped-def]
    for i in range(len(red)):
        luma = weights[0] * red[i] + weights[1] * green[i] + weights[2] * blue[i]
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
