"""Augment whole batches, all frames of a clip alike, as in the released code.

Every function draws a fixed count of random numbers a clip, whatever its options are: methods with equal seeds see equal crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fame.config import Augment
from fame.fast import choose
from fame.method.colour import draw_colours, rand, recolour
from fame.method.shapes import check_clips, check_frames

ASPECT = (3 / 4, 4 / 3)  # of a random crop, width to height
ATTEMPTS = 10  # boxes, of which the first that fits is taken; if none does, the largest central one whose aspect is allowed

Clips = Tensor | Sequence[Tensor]  # see `apply_crops`


class Crops(NamedTuple):
    """Hold one box a clip, in pixels of the stored frame; each field has shape (B,)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor  # bool, left to right, after the crop


def random_crops(clips: Clips, size: int, augment: Augment, generator: torch.Generator | None = None) -> Tensor:
    """Cut, resize and flip a random box of each clip, the same for all its frames; clips and result as in `apply_crops`."""
    return apply_crops(clips, draw_crops(frame_sizes(clips), augment, generator), size)


def draw_crops(sizes: Sequence[tuple[int, int]], augment: Augment, generator: torch.Generator | None = None) -> Crops:
    """Draw a box for each (height, width): area uniform in `augment.area`, log-aspect uniform, place uniform over whole pixels."""
    height, width = np.array(sizes, np.float64).T
    draws = rand((len(sizes), ATTEMPTS, 4), generator)
    flip = rand((len(sizes),), generator) < augment.flip
    share, _, down, right = draws.double().numpy().transpose(2, 0, 1)
    # by torch: exponentials differ from library to library in their last place
    aspect = draws[..., 1].double().mul_(math.log(ASPECT[1] / ASPECT[0])).add_(math.log(ASPECT[0])).exp_().numpy()
    low, high = augment.area
    area = (low + (high - low) * share) * height[:, None] * width[:, None]
    wide, tall = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (wide >= 1) & (wide <= width[:, None]) & (tall >= 1) & (tall <= height[:, None])
    first = np.arange(len(sizes)), fits.argmax(1)
    found, wide, tall, down, right = (values[first] for values in (fits, wide, tall, down, right))
    wide = np.where(found, wide, np.minimum(width, np.rint(height * ASPECT[1])))
    tall = np.where(found, tall, np.minimum(height, np.rint(width / ASPECT[0])))
    top = np.floor(np.where(found, down * (height - tall + 1), (height - tall) / 2))
    left = np.floor(np.where(found, right * (width - wide + 1), (width - wide) / 2))
    boxes = torch.from_numpy(np.stack([top, left, tall, wide]).astype(np.int64))
    return Crops(boxes[0], boxes[1], boxes[2], boxes[3], flip)


def apply_crops(clips: Clips, crops: Crops, size: int) -> Tensor:
    """Resize each clip's box bilinearly to `size` (no antialiasing, edges of the box repeated), flipped where drawn.

    clips: (B, T, H, W, 3), or a list of (T, H, W, 3) of any sizes, uint8 or float in [0, 1] -> float32 (B, 3, T, size, size) in
    [0, 1]; true masks (B, T, H, W), bool -> float32 (B, T, size, size), to be thresholded at one half. ValueError for others.
    """
    check_frames(clips)
    first = clips[0]
    if first.dtype == torch.uint8 and first.dim() == 4 and (fast := choose("crop", *clips)):
        cropped: Tensor = fast(clips, crops, size)
        return cropped
    shape = (3, len(first), size, size) if first.dim() == 4 else (len(first), size, size)
    out = torch.empty(len(clips), *shape, device=first.device)
    for i, (top, left, height, width, flip) in enumerate(zip(*(field.tolist() for field in crops), strict=True)):
        box = clips[i][:, top : top + height, left : left + width].float()
        box = box.movedim(-1, 0) if first.dim() == 4 else box[None]  # (C, T, height, width)
        if (height, width) != (size, size):
            box = functional.interpolate(box, size=(size, size), mode="bilinear", align_corners=False)
        out[i] = (box.flip(-1) if flip else box).view(shape)
    return out.div_(255) if first.dtype == torch.uint8 else out


def centre_crop(clips: Clips, size: int, *, resize: bool = True) -> Tensor:
    """Resize the short side to `size` and cut the central square; resize=False: cut as stored, ValueError for smaller frames."""
    sizes = frame_sizes(clips)
    if not resize and min(min(pair) for pair in sizes) < size:
        raise ValueError(f"centre crop of {size} pixels without resizing: the smallest frame is {min(sizes)}")
    side = torch.tensor([min(pair) if resize else size for pair in sizes])
    height, width = torch.tensor(sizes).unbind(1)
    return apply_crops(clips, Crops((height - side) // 2, (width - side) // 2, side, side, torch.zeros_like(side).bool()), size)


def colour(clips: Tensor, augment: Augment, generator: torch.Generator | None = None) -> Tensor:
    """Draw colour changes and apply them, as `recolour` does. ValueError for other clips than float (B, 3, T, H, W) in [0, 1]."""
    check_clips(clips)
    return recolour(clips, draw_colours(len(clips), augment, generator))


def normalise(clips: Tensor, augment: Augment) -> Tensor:
    """Return (clips - mean) / std per channel; float (B, 3, T, H, W) in [0, 1]. ValueError for other clips."""
    check_clips(clips)
    scale, shift = _scale_and_shift(clips, augment)
    return (clips * scale).add_(shift)


def colour_normalised(clips: Tensor, augment: Augment, generator: torch.Generator | None = None) -> Tensor:
    """Return `normalise(colour(clips, augment, generator), augment)`, in one tensor."""
    coloured = colour(clips, augment, generator)
    scale, shift = _scale_and_shift(coloured, augment)
    return coloured.mul_(scale).add_(shift)


def _scale_and_shift(clips: Tensor, augment: Augment) -> list[Tensor]:
    mean, std = torch.tensor([augment.mean, augment.std])  # the scale is rounded once, on the CPU
    return [part.to(clips.device, clips.dtype, non_blocking=True).view(3, 1, 1, 1) for part in (1 / std, -mean / std)]


def frame_sizes(clips: Clips) -> list[tuple[int, int]]:
    """Return (height, width) of each clip's stored frames. ValueError for clips other than in `apply_crops`."""
    check_frames(clips)
    if isinstance(clips, Tensor):
        return [(clips.shape[2], clips.shape[3])] * len(clips)
    return [(clip.shape[1], clip.shape[2]) for clip in clips]
