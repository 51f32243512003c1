"""What random numbers say: boxes of crops, changes of colour. The numbers are few, and a library's calls for them would be many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fame.fast.cpu.compiled import inline
from fame.fast.cpu.memory import BOOL, DOUBLE, FLOAT, INDEX, at

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


def first_fitting(
    sizes: Sequence[tuple[int, int]],
    draws: Tensor,
    aspects: Tensor,
    flips: Tensor,
    area: tuple[float, float],
    widest: tuple[float, float],
    flipped: float,
) -> tuple[Tensor, ...]:
    """Top, left, height and width of a box a clip, each long (B,), and whether it is flipped, bool (B,).

    sizes: height and width of B clips' frames. draws: float32 (B, N, 4) in [0, 1), what was drawn for N boxes a clip: share of the
    area between the least and the most of `area`, any number, place from the top, place from the left; aspects: float64 (B, N),
    width to height. flips: float32 (B,), below the share `flipped` where a clip is. `widest`: lowest and highest aspect of the
    centre, which is taken where no box fits.
    """
    boxes, flip = torch.empty(4, len(sizes), dtype=torch.int64), torch.empty(len(sizes), dtype=torch.bool)
    addresses = (part.data_ptr() for part in (draws, aspects, flips, boxes, flip))
    _first_fitting(np.array(sizes, np.int64), *addresses, aspects.shape[1], *map(float, (*area, *widest, flipped)))
    return *boxes, flip


@inline
def _first_fitting(frames, draws_at, aspects_at, flips_at, boxes_at, flip_at, attempts, least, most, narrowest, widest, flipped):  # type: ignore[no-untyped-def]
    count = len(frames)
    draws, aspects = at(draws_at, 4 * count * attempts, FLOAT), at(aspects_at, count * attempts, DOUBLE)
    flips, boxes, flip = at(flips_at, count, FLOAT), at(boxes_at, 4 * count, INDEX), at(flip_at, count, BOOL)
    for clip in range(count):
        height, width = np.float64(frames[clip, 0]), np.float64(frames[clip, 1])
        wide, tall = min(width, np.rint(height * widest)), min(height, np.rint(width / narrowest))
        top, left = (height - tall) / 2, (width - wide) / 2
        for box in range(clip * attempts, (clip + 1) * attempts):
            pixels = (least + (most - least) * np.float64(draws[4 * box])) * height * width
            across, down = np.rint(np.sqrt(pixels * aspects[box])), np.rint(np.sqrt(pixels / aspects[box]))
            if 1 <= across <= width and 1 <= down <= height:
                wide, tall = across, down
                top = np.float64(draws[4 * box + 2]) * (height - tall + 1)
                left = np.float64(draws[4 * box + 3]) * (width - wide + 1)
                break
        for field, value in enumerate((np.floor(top), np.floor(left), tall, wide)):
            boxes[field * count + clip] = np.int64(value)
        flip[clip] = flips[clip] < np.float32(flipped)


def changes(
    draws: Tensor, ranks: Tensor, shares: tuple[float, float, float], strengths: tuple[float, ...], sigma: tuple[float, float]
) -> tuple[Tensor, ...]:
    """The fields of `fame.method.colour.Colours`.

    draws: float32 (B, 9) in [0, 1); ranks: float32 (ORDERS, 4), numbers whose order is that of the steps. shares: of clips that are
    grey, jittered and blurred. strengths: of brightness, contrast, saturation and hue. sigma: least and most.
    """
    count, (orders, steps) = len(draws), ranks.shape
    grey, group, order = (
        torch.empty(count, dtype=torch.bool),
        torch.empty(count, dtype=torch.int64),
        torch.empty_like(ranks, dtype=torch.int64),
    )
    amounts, blurred, spread = torch.empty(count, steps), torch.empty_like(grey), torch.empty(count)
    fields = grey, group, order, amounts, blurred, spread
    _changes(*(part.data_ptr() for part in (draws, ranks, *fields)), count, orders, *map(float, (*shares, *strengths, *sigma)))
    return fields


@inline
def _changes(
    draws_at,
    ranks_at,
    grey_at,
    group_at,
    order_at,
    amounts_at,
    blurred_at,
    sigma_at,
    count,
    orders,
    greyed,
    jittered,
    softened,
    brightness,
    contrast,
    saturation,
    hue,
    least,
    most,
):  # type: ignore[no-untyped-def]
    draws, ranks, order = at(draws_at, 9 * count, FLOAT), at(ranks_at, 4 * orders, FLOAT), at(order_at, 4 * orders, INDEX)
    grey, group, amounts = at(grey_at, count, BOOL), at(group_at, count, INDEX), at(amounts_at, 4 * count, FLOAT)
    blurred, sigma = at(blurred_at, count, BOOL), at(sigma_at, count, FLOAT)
    for clip in range(count):
        drawn = draws[9 * clip : 9 * clip + 9]
        grey[clip], blurred[clip] = drawn[0] < np.float32(greyed), drawn[2] < np.float32(softened)
        group[clip] = np.int64(drawn[8] * np.float32(orders)) if drawn[1] < np.float32(jittered) else -1
        for step, strength in enumerate((np.float32(brightness), np.float32(contrast), np.float32(saturation))):
            lowest = max(ONE - strength, ZERO)
            amounts[4 * clip + step] = lowest + (ONE + strength - lowest) * drawn[3 + step]
        amounts[4 * clip + 3] = np.float32(hue) * (TWO * drawn[6] - ONE)
        sigma[clip] = np.float32(least) + np.float32(most - least) * drawn[7]
    for row in range(0, 4 * orders, 4):
        for step in range(4):
            before = 0
            for other in range(4):
                before += ranks[row + other] < ranks[row + step] or (ranks[row + other] == ranks[row + step] and other < step)
            order[row + before] = step
