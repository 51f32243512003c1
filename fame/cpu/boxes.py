"""Boxes of random crops: of those drawn for a clip the first that fits, or the centre. Numbers are few, and calls would be many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fame.cpu.compiled import inline
from fame.cpu.memory import FLOAT, INDEX, at

DOUBLE, BOOL = np.empty(0), np.empty(0, np.bool_)


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
    centre.
    """
    boxes, flip = torch.empty(4, len(sizes), dtype=torch.int64), torch.empty(len(sizes), dtype=torch.bool)
    addresses = (part.data_ptr() for part in (draws, aspects, flips, boxes, flip))
    _first_fitting(np.array(sizes, np.int64), *addresses, aspects.shape[1], *map(float, (*area, *widest, flipped)))
    return *boxes, flip


@inline
def _first_fitting(frames, draws_at, aspects_at, flips_at, boxes_at, flip_at, attempts, least, most, narrowest, widest, flipped):  # type: ignore[no-untyped-def]
    count = len(frames)
    draws, aspects, flips = (
        at(draws_at, 4 * count * attempts, FLOAT),
        at(aspects_at, count * attempts, DOUBLE),
        at(flips_at, count, FLOAT),
    )
    boxes, flip = at(boxes_at, 4 * count, INDEX), at(flip_at, count, BOOL)
    for clip in range(count):
        height, width = np.float64(frames[clip, 0]), np.float64(frames[clip, 1])
        # the centre, where none fits
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
