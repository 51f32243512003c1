"""Foreground-background merging on a CPU in one pass: each value of the result is written once, straight from its source.

    out[i] = X[i] where mask[i], elsewhere Y[rows[i]]

No batch of backgrounds Y[rows] is made on the way.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fame.fast.cpu.compiled import inline, kernel, prange
from fame.fast.cpu.memory import BOOL, FLOAT, INDEX, at

HALF, ONE = np.float32(0.5), np.float32(1.0)


def merge(clips: Tensor, behind: Tensor, rows: Tensor | None, frames: Tensor | None, mask: Tensor) -> Tensor:
    """Merged clips, a new float32 (B, 3, T, H, W).

    clips: float32 (B, 3, T, H, W) on a CPU; behind: the same for backgrounds, `rows` (B,) saying which of them goes with which clip
    (None: the same number); frames (B,): the one frame of the background that stands still (None: it moves).
    mask: (B, H, W), bool, or floating in 0..1, which blends.
    """
    hard = mask.dtype == torch.bool
    given = [part.detach().float().contiguous() for part in (clips, behind)]
    kept = (mask if hard else mask.detach().float()).contiguous()
    chosen = [None if part is None else part.contiguous() for part in (rows, frames)]
    # from NumPy, which asks for huge pages: fresh memory in small ones takes longer to be handed out than to be filled
    out = torch.from_numpy(np.empty(clips.shape, np.float32))
    addresses = (0 if part is None else part.data_ptr() for part in (*given, *chosen, kept, out))
    batch, _, length, height, width = clips.shape
    _merge(*addresses, hard, batch, length, height * width, len(behind))
    return out


@kernel
def _merge(clips_at, behind_at, rows_at, frames_at, kept_at, out_at, hard, clips, length, pixels, others):  # type: ignore[no-untyped-def]
    rows, frames = at(rows_at, clips, INDEX), at(frames_at, clips, INDEX)
    shares, bits = at(kept_at, clips * pixels, FLOAT), at(kept_at, clips * pixels, BOOL)
    fronts, results = at(clips_at, 3 * clips * length * pixels, FLOAT), at(out_at, 3 * clips * length * pixels, FLOAT)
    backs = at(behind_at, 3 * others * length * pixels, FLOAT)
    for plane in prange(3 * clips):
        clip, channel = plane // 3, plane % 3
        row = rows[clip] if rows_at != 0 else clip
        start, stop = clip * pixels, (clip + 1) * pixels
        for t in range(length):
            here = (plane * length + t) * pixels
            there = ((3 * row + channel) * length + (frames[clip] if frames_at != 0 else t)) * pixels
            front, back, out = fronts[here : here + pixels], backs[there : there + pixels], results[here : here + pixels]
            if hard:
                select(front, back, bits[start:stop], out)
            else:
                blend(front, back, shares[start:stop], out)


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
