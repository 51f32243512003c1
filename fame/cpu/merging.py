"""Foreground-background merging on a CPU in one pass: each value of the result is written once, straight from its source.

    out[i] = X[i] where mask[i], elsewhere Y[rows[i]]

No batch of backgrounds Y[rows] is made on the way.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fame.cpu.compiled import inline, kernel, prange
from fame.cpu.masks import planes

MOVING = -1  # in place of a frame's number
HALF, ONE = np.float32(0.5), np.float32(1.0)


def merge(clips: Tensor, behind: Tensor, rows: Tensor | None, frames: Tensor | None, mask: Tensor) -> Tensor:
    """Merged clips, a new float32 (B, 3, T, H, W).

    clips: float32 (B, 3, T, H, W) on a CPU; behind: the same for backgrounds, `rows` (B,) saying which of them goes with which clip
    (None: the same number); frames (B,): the one frame of the background that stands still (None: it moves).
    mask: (B, H, W), bool, or floating in 0..1, which blends.
    """
    batch = len(clips)
    rows = torch.arange(batch) if rows is None else rows
    frames = torch.full((batch,), MOVING) if frames is None else frames
    # from NumPy, which asks for huge pages: fresh memory in small ones takes longer to be handed out than to be filled
    out = torch.from_numpy(np.empty(clips.shape, np.float32))
    hard = mask.dtype == torch.bool
    kept = (mask if hard else mask.detach().float()).contiguous().flatten(1).numpy()
    _merge(planes(clips), planes(behind), rows.numpy(), frames.numpy(), kept, hard, out.flatten(3).numpy())
    return out


@kernel
def _merge(clips, behind, rows, frames, kept, hard, out):  # type: ignore[no-untyped-def]
    for j in prange(3 * len(clips)):
        i, c = j // 3, j % 3
        for t in range(clips.shape[2]):
            front, back = clips[i, c, t], behind[rows[i], c, t if frames[i] == MOVING else frames[i]]
            if hard:
                select(front, back, kept[i], out[i, c, t])
            else:
                blend(front, back, kept[i], out[i, c, t])


@inline
def select(front, back, kept, out):  # type: ignore[no-untyped-def]
    for p in range(out.size):
        x, y = front[p], back[p]
        out[p] = x if kept[p] else y


@inline
def blend(front, back, kept, out):  # type: ignore[no-untyped-def]
    """Linear interpolation from the nearer end, hence exact at 0 and at 1."""
    for p in range(out.size):
        x, y, w = front[p], back[p], kept[p]
        out[p] = y + w * (x - y) if w < HALF else x - (x - y) * (ONE - w)
