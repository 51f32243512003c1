"""Foreground-background merging on a GPU in one pass: of a hard mask's two sources only the one that is kept is read.

    out[i] = X[i] where mask[i], elsewhere Y[rows[i]]

So the pass moves little more than the bytes of a copy, and no batch of backgrounds Y[rows] is made on the way.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fame.fast.gpu.launch import OPTIONS, on

BLOCK, PLANES, WARPS = 512, 4, 4  # pixels, and frames of a channel, that a program moves at once: 4 x 16 bytes a thread
ALL_KEPT = tl.constexpr(0x01010101)  # four pixels of a bool mask


def merge(clips: Tensor, behind: Tensor, rows: Tensor | None, frames: Tensor | None, mask: Tensor) -> Tensor:
    """Merged clips, a new float32 (B, 3, T, H, W).

    clips: float32 (B, 3, T, H, W) on a GPU; behind: the same for backgrounds, `rows` (B,) saying which of them goes with which clip
    (None: the same number); frames (B,): the one frame of the background that stands still (None: it moves).
    mask: (B, H, W), bool, or floating in 0..1, which blends.
    """
    clips, behind = clips.detach().contiguous(), behind.detach().contiguous()
    rows, frames = (given if given is None else given.contiguous() for given in (rows, frames))
    batch, _, length, height, width = clips.shape
    pixels = height * width
    hard = mask.dtype == torch.bool
    mask = (mask if hard else mask.detach().float()).contiguous().view(batch, pixels)
    by_four = hard and pixels % 4 == 0 and mask.data_ptr() % 4 == 0
    if hard:
        mask = mask.view(torch.int32 if by_four else torch.uint8)
    out = torch.empty_like(clips)
    with on(clips):
        merge_kernel[(batch * triton.cdiv(pixels, BLOCK),)](
            clips, behind, rows, frames, mask, out, length, pixels, hard, by_four, PLANES, BLOCK, num_warps=WARPS, **OPTIONS
        )
    return out


@triton.jit
def merge_kernel(  # type: ignore[no-untyped-def]
    clips,
    behind,
    rows,
    frames,
    mask,
    out,
    length,
    pixels,
    HARD: tl.constexpr,
    BY_FOUR: tl.constexpr,
    PLANES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program takes BLOCK pixels through all frames of a clip, PLANES of them at once, and reads their mask once."""
    program, pieces, planes = tl.program_id(0), (pixels + BLOCK - 1) // BLOCK, 3 * length
    clip = (program // pieces).to(tl.int64)
    position = program % pieces * BLOCK + tl.arange(0, BLOCK)
    inside = position < pixels
    if rows is None:
        source = clip
    else:
        source = tl.load(rows + clip).to(tl.int64)
    size = planes.to(tl.int64) * pixels
    fronts, backs, outs = clips + clip * size, behind + source * size, out + clip * size
    if BY_FOUR:  # the same for four neighbours, whose values are then read at once
        four = tl.load(mask + clip * (pixels // 4) + position // 4, mask=inside, other=0)
        weight = ((four >> (position % 4 * 8)) & 1) != 0
        read_front, read_back = inside & (four != 0), inside & (four != ALL_KEPT)
    else:
        weight = tl.load(mask + clip * pixels + position, mask=inside, other=0)
        read_front, read_back = inside, inside
        if HARD:
            weight = weight != 0
            read_front, read_back = inside & weight, inside & (weight == 0)
    for first in range(0, planes, PLANES):
        plane = first + tl.arange(0, PLANES)[:, None]
        place = plane.to(tl.int64) * pixels + position[None, :]
        front = tl.load(fronts + place, mask=(plane < planes) & read_front[None, :], other=0.0)
        if frames is None:
            place_behind = place
        else:
            place_behind = (plane // length * length + tl.load(frames + clip)).to(tl.int64) * pixels + position[None, :]
        back = tl.load(backs + place_behind, mask=(plane < planes) & read_back[None, :], other=0.0)
        if HARD:
            merged = tl.where(weight[None, :], front, back)
        else:  # linear interpolation from the nearer end, hence exact at 0 and at 1
            w, difference = weight[None, :], front - back
            merged = tl.where(w < 0.5, back + w * difference, front - difference * (1.0 - w))
        tl.store(outs + place, merged, mask=(plane < planes) & inside[None, :])
