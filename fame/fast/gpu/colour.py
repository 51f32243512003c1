"""Grayscale, jitter, blur and normalisation of all clips of a batch: what fame/method/colour.py defines, for GPUs.

Up to four launches, none of which makes the host wait. Contrast needs the mean of the whole clip, so a first one takes the steps
before it and adds up luma, in a fixed order: parts of a clip, then sums of parts. The second takes all steps; clips that are not
blurred are then done. Two more filter the others along rows and columns, and normalise them.
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from fame.fast.gpu.serving import OPTIONS, carried, on
from fame.method.colour import JITTER, LUMA, Colours, contrast, hue, saturation
from fame.method.smoothing import blur_kernel, gaussian_weights

BLOCK = 1024  # pixels of a program
PARTS = 64  # of a clip, whose luma is added up side by side
TILE = 1024  # pixels of a program that filters

RED, GREEN, BLUE = (tl.constexpr(weight) for weight in LUMA)
CONTRAST, SATURATION, HUE = (tl.constexpr(JITTER.index(step)) for step in (contrast, saturation, hue))
STEPS = tl.constexpr(len(JITTER))
TINY = tl.constexpr(1e-12)

# Columns of the table, one row a clip; whole numbers are kept as fractions. ITH_... is of the i-th row, not of clip i
GREY, JITTERED, BLURRED, UNTIL, ITH_JITTERED, ITH_BLURRED = (tl.constexpr(place) for place in range(6))
ORDER, AMOUNTS, SCALE, SHIFT, WEIGHTS = (tl.constexpr(place) for place in (6, 10, 14, 17, 20))


def recolour(clips: Tensor, drawn: Colours, scale: Tensor, shift: Tensor, *, inplace: bool = False) -> Tensor:
    """`fame.method.colour.recolour`, then times `scale` plus `shift` (each (3,), a value a channel, on the CPU).

    clips: float32 (B, 3, T, H, W) in [0, 1], contiguous; overwritten and returned if `inplace`. No gradients.
    """
    clips = clips.detach()
    out = clips if inplace else torch.empty_like(clips)
    count, _, length, height, width = clips.shape
    pixels, kernel = length * height * width, blur_kernel(min(height, width))
    jittered, blurred = drawn.group.numpy() >= 0, drawn.blurred.numpy() & (kernel > 1)
    changed, filtered = int(jittered.sum()), int(blurred.sum())
    host = _table(drawn, jittered, blurred, kernel, scale, shift)
    columns, parts = host.shape[1], min(PARTS, triton.cdiv(pixels, BLOCK))
    with on(clips):
        table, sums = carried(torch.from_numpy(host), clips.device), torch.empty((count, PARTS), device=clips.device)
        if changed:
            _add_luma[parts, changed](clips, table, sums, pixels, columns, PARTS, BLOCK, **OPTIONS)
        _apply[triton.cdiv(pixels, BLOCK), count](clips, out, table, sums, pixels, parts, columns, PARTS, BLOCK, **OPTIONS)
        if filtered:
            wide = triton.next_power_of_2(width)
            tall = max(1, TILE // wide)
            grid, shape = (triton.cdiv(height, tall), 3 * length, filtered), (length, height, width, columns, kernel, tall, wide)
            between = torch.empty((filtered, *clips.shape[1:]), device=clips.device)
            _filter_rows[grid](out, between, table, *shape, **OPTIONS)
            _filter_columns[grid](between, out, table, *shape, **OPTIONS)
    return out


def _table(
    drawn: Colours, jittered: NDArray[np.bool_], blurred: NDArray[np.bool_], kernel: int, scale: Tensor, shift: Tensor
) -> NDArray[np.float32]:
    """(B, columns): all that the kernels are told."""
    table = np.zeros((len(jittered), WEIGHTS.value + kernel), np.float32)
    order = drawn.orders.numpy()[drawn.group.numpy()]  # of a clip without jitter: any
    table[:, GREY.value], table[:, JITTERED.value], table[:, BLURRED.value] = drawn.grey.numpy(), jittered, blurred
    table[:, UNTIL.value] = (order == CONTRAST.value).argmax(1)
    for column, chosen in ((ITH_JITTERED, jittered), (ITH_BLURRED, blurred)):
        rows = chosen.nonzero()[0]
        table[: len(rows), column.value] = rows
    table[:, ORDER.value : AMOUNTS.value] = order
    table[:, AMOUNTS.value : SCALE.value] = drawn.amounts.numpy()
    table[:, SCALE.value : SHIFT.value], table[:, SHIFT.value : WEIGHTS.value] = scale.numpy(), shift.numpy()
    if blurred.any():
        table[:, WEIGHTS.value :] = gaussian_weights(kernel, drawn.sigma, drawn.sigma.device).numpy().T
    return table


@triton.jit
def _add_luma(clips, table, sums, pixels, columns, PARTS: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """sums (B, PARTS): luma as contrast finds it, added up over every n-th block of a jittered clip, n the number of programs."""
    part = tl.program_id(0)
    clip = tl.load(table + tl.program_id(1) * columns + ITH_JITTERED).to(tl.int32)
    row = table + clip * columns
    until = tl.load(row + UNTIL).to(tl.int32)
    first = clips + clip.to(tl.int64) * 3 * pixels
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(part * BLOCK, pixels, tl.num_programs(0) * BLOCK):
        place = start + tl.arange(0, BLOCK)
        inside = place < pixels
        red, green, blue = _read(first + place, pixels, inside, row)
        red, green, blue = _jitter(red, green, blue, row, until, 0.0)
        total += tl.where(inside, _luma(red, green, blue), 0.0)
    tl.store(sums + clip * PARTS + part, tl.sum(total))


@triton.jit
def _apply(source, out, table, sums, pixels, parts, columns, PARTS: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """All but the blur, and for clips that are to be blurred all but normalisation."""
    clip = tl.program_id(1)
    row = table + clip * columns
    start = clip.to(tl.int64) * 3 * pixels
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < pixels
    red, green, blue = _read(source + start + place, pixels, inside, row)
    if tl.load(row + JITTERED) != 0:
        part = tl.arange(0, PARTS)
        total = tl.sum(tl.load(sums + clip * PARTS + part, mask=part < parts, other=0.0))
        offset = total / pixels * (1 - tl.load(row + AMOUNTS + CONTRAST))
        red, green, blue = _jitter(red, green, blue, row, STEPS, offset)
    if tl.load(row + BLURRED) == 0:
        red = red * tl.load(row + SCALE) + tl.load(row + SHIFT)
        green = green * tl.load(row + SCALE + 1) + tl.load(row + SHIFT + 1)
        blue = blue * tl.load(row + SCALE + 2) + tl.load(row + SHIFT + 2)
    to = out + start + place
    tl.store(to, red, mask=inside)
    tl.store(to + pixels, green, mask=inside)
    tl.store(to + pixels + pixels, blue, mask=inside)


@triton.jit
def _read(first, pixels, inside, row):  # type: ignore[no-untyped-def]
    """Three channels of a block, grey where the clip is to be."""
    red = tl.load(first, mask=inside, other=0.0)
    green = tl.load(first + pixels, mask=inside, other=0.0)
    blue = tl.load(first + pixels + pixels, mask=inside, other=0.0)
    if tl.load(row + GREY) != 0:
        red = _luma(red, green, blue)
        green = red
        blue = red
    return red, green, blue


@triton.jit
def _jitter(red, green, blue, row, count, offset):  # type: ignore[no-untyped-def]
    """The clip's first `count` steps; contrast adds `offset`."""
    for place in range(0, count):
        step = tl.load(row + ORDER + place).to(tl.int32)
        amount = tl.load(row + AMOUNTS + step)
        if step == HUE:
            red, green, blue = _turn(red, green, blue, amount * 6)
        elif step == SATURATION:
            grey = _luma(red, green, blue)
            red = tl.clamp(grey + amount * (red - grey), 0.0, 1.0)
            green = tl.clamp(grey + amount * (green - grey), 0.0, 1.0)
            blue = tl.clamp(grey + amount * (blue - grey), 0.0, 1.0)
        else:
            shift = tl.where(step == CONTRAST, offset, 0.0)
            red = tl.clamp(red * amount + shift, 0.0, 1.0)
            green = tl.clamp(green * amount + shift, 0.0, 1.0)
            blue = tl.clamp(blue * amount + shift, 0.0, 1.0)
    return red, green, blue


@triton.jit
def _turn(red, green, blue, sixths):  # type: ignore[no-untyped-def]
    """`fame.method.colour.hue`; |sixths| is at most 3, so that one turn more brings any hue to 0..6."""
    least = tl.minimum(tl.minimum(red, green), blue)
    chroma = tl.maximum(tl.maximum(red, green), blue) - least
    turned = (green + blue - red - least) / tl.maximum(chroma, TINY) + 1
    turned = tl.where(green >= blue, turned, -turned) + sixths
    turned = tl.where(turned >= 0, turned, turned + 6)
    red = tl.clamp(tl.abs(turned - 3) - 1, 0.0, 1.0) * chroma + least
    green = tl.clamp(2 - tl.abs(turned - 2), 0.0, 1.0) * chroma + least
    blue = tl.clamp(2 - tl.abs(turned - 4), 0.0, 1.0) * chroma + least
    return red, green, blue


@triton.jit
def _luma(red, green, blue):  # type: ignore[no-untyped-def]
    return red * RED + green * GREEN + blue * BLUE


@triton.jit(do_not_specialize=["height", "width"])  # or threads would take four columns each, and read lines four times over
def _filter_rows(  # type: ignore[no-untyped-def]
    source, out, table, length, height, width, columns, KERNEL: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr
):
    """Blurred clips of `source` (B, 3, T, H, W), along rows, edges reflected -> `out`, those clips alone."""
    item, plane = tl.program_id(2), tl.program_id(1)
    clip = tl.load(table + item * columns + ITH_BLURRED).to(tl.int32)
    weights = table + clip * columns + WEIGHTS
    given = source + (clip.to(tl.int64) * 3 * length + plane) * (height * width)
    # rows end to end: with places like those below Triton may hand out a matrix column by column, neighbours to distant threads
    pixel = tl.arange(0, TALL * WIDE)
    y, x = tl.program_id(0) * TALL + pixel // WIDE, pixel % WIDE
    inside = (y < height) & (x < width)
    total = tl.zeros((TALL * WIDE,), tl.float32)
    for k in tl.static_range(KERNEL):
        near = tl.abs(x + (k - KERNEL // 2))
        near = tl.minimum(near, 2 * (width - 1) - near)  # mirrored at the first pixel, or at the last
        total += tl.load(weights + k) * tl.load(given + y * width + near, mask=inside, other=0.0)
    tl.store(out + (item.to(tl.int64) * 3 * length + plane) * (height * width) + y * width + x, total, mask=inside)


@triton.jit
def _filter_columns(  # type: ignore[no-untyped-def]
    source, out, table, length, height, width, columns, KERNEL: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr
):
    """The way back, along columns, and normalisation."""
    item, plane = tl.program_id(2), tl.program_id(1)
    clip = tl.load(table + item * columns + ITH_BLURRED).to(tl.int32)
    row = table + clip * columns
    given = source + (item.to(tl.int64) * 3 * length + plane) * (height * width)
    y = (tl.program_id(0) * TALL + tl.arange(0, TALL))[:, None]
    x = tl.arange(0, WIDE)[None, :]
    inside = (y < height) & (x < width)
    total = tl.zeros((TALL, WIDE), tl.float32)
    for k in tl.static_range(KERNEL):
        near = tl.abs(y + (k - KERNEL // 2))
        near = tl.minimum(near, 2 * (height - 1) - near)
        total += tl.load(row + WEIGHTS + k) * tl.load(given + near * width + x, mask=inside, other=0.0)
    channel = plane // length
    total = total * tl.load(row + SCALE + channel) + tl.load(row + SHIFT + channel)
    tl.store(out + (clip.to(tl.int64) * 3 * length + plane) * (height * width) + y * width + x, total, mask=inside)
