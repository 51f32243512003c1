"""Visual augmentation of whole batches, the same for all frames of a clip, as in the released code.

Order: crop and flip; merging or erasing; then `colour` (grayscale, jitter, blur) and `normalise`. Every function draws all its
random numbers first, a fixed count per clip, from the generator it is given (None: torch's global one). So the draws do not depend
on probabilities, on strengths or on whether the videos have one size, and two methods with equal seeds see equal crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fame.config import Augment
from fame.method.colour import Colours, draw_colours, rand, recolour

ASPECT = (3 / 4, 4 / 3)  # of a random crop, width to height
ATTEMPTS = 10  # boxes tried before the centre is taken

Clips = Tensor | Sequence[Tensor]  # (B, T, H, W, 3), or B tensors (T, H, W, 3) of any sizes; without the last axis: masks


class Crops(NamedTuple):
    """One box a clip, in pixels of the stored frame; each field has shape (B,)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor  # bool, left to right, after the crop


def random_crops(clips: Clips, size: int, augment: Augment, generator: torch.Generator | None = None) -> Tensor:
    """Random resized crop and flip, one draw a clip.

    clips: uint8 (B, T, H, W, 3), or a list of (T, H, W, 3) whose H and W may differ. Returns float (B, 3, T, size, size) in [0, 1].
    """
    return apply_crops(clips, draw_crops(frame_sizes(clips), augment, generator), size)


def draw_crops(sizes: Sequence[tuple[int, int]], augment: Augment, generator: torch.Generator | None = None) -> Crops:
    """A box for each (height, width): area uniform in `augment.area`, log-aspect uniform, place uniform over whole pixels.

    Of ten boxes the first that fits is taken; if none does, the largest central one whose aspect is allowed.
    """
    draws, flips = rand((len(sizes), ATTEMPTS, 4), generator).double(), rand((len(sizes),), generator)
    area, aspect, down, right = draws.unbind(-1)  # each (B, ATTEMPTS)
    aspect = aspect.mul(math.log(ASPECT[1] / ASPECT[0])).add_(math.log(ASPECT[0])).exp_()
    height, width = torch.tensor(sizes, dtype=torch.float64).reshape(-1, 2, 1).unbind(1)  # each (B, 1)
    pixels = (augment.area[0] + (augment.area[1] - augment.area[0]) * area) * height * width
    wide, tall = (pixels * aspect).sqrt_().round_(), (pixels / aspect).sqrt_().round_()
    fits = (wide >= 1) & (wide <= width) & (tall >= 1) & (tall <= height)
    first, any_fits = fits.int().argmax(1, keepdim=True), fits.any(1, keepdim=True)
    wide = torch.where(any_fits, wide.gather(1, first), torch.minimum(width, (height * ASPECT[1]).round_()))
    tall = torch.where(any_fits, tall.gather(1, first), torch.minimum(height, (width / ASPECT[0]).round_()))
    top = torch.where(any_fits, down.gather(1, first) * (height - tall + 1), (height - tall) / 2)
    left = torch.where(any_fits, right.gather(1, first) * (width - wide + 1), (width - wide) / 2)
    top, left, tall, wide = (part[:, 0].floor().long() for part in (top, left, tall, wide))
    return Crops(top, left, tall, wide, flips < augment.flip)


def apply_crops(clips: Clips, crops: Crops, size: int) -> Tensor:
    """Cut out each clip's box, resize it bilinearly to `size` (no antialiasing, edges of the box repeated), flip it where asked.

    clips: as in `random_crops` -> float (B, 3, T, size, size) in [0, 1]; true masks (B, T, H, W), bool -> float (B, T, size, size),
    to be thresholded at one half. Floating input is taken to lie in [0, 1] already.
    """
    first = clips[0]
    shape = (len(clips), *((3, len(first)) if first.dim() == 4 else (len(first),)), size, size)
    out = torch.empty(shape, device=first.device)
    boxes = torch.stack([part.long() for part in crops], 1).tolist()
    for clip, target, (top, left, height, width, flip) in zip(clips, out, boxes):
        box = clip[:, top : top + height, left : left + width]
        frames = (box.permute(0, 3, 1, 2) if box.dim() == 4 else box[:, None]).float()  # (T, C, height, width)
        if (height, width) != (size, size):
            frames = functional.interpolate(frames, (size, size), mode="bilinear", align_corners=False)
        frames = frames.flip(-1) if flip else frames
        target.copy_(frames.transpose(0, 1) if box.dim() == 4 else frames[:, 0])
    return out.div_(255) if first.dtype == torch.uint8 else out


def centre_crop(clips: Clips, size: int, *, resize: bool = True) -> Tensor:
    """The central square, for tests: short side resized to `size`; with resize=False the central `size` pixels as they are stored.

    clips and result as in `apply_crops`. Raises ValueError if resize=False and a frame is smaller than `size`.
    """
    sizes = frame_sizes(clips)
    if not resize and min(min(pair) for pair in sizes) < size:
        raise ValueError(f"centre crop of {size} pixels without resizing: the smallest frame is {min(sizes)}")
    side = torch.tensor([min(pair) if resize else size for pair in sizes])
    height, width = torch.tensor(sizes).unbind(1)
    return apply_crops(clips, Crops((height - side) // 2, (width - side) // 2, side, side, torch.zeros_like(side).bool()), size)


def colour(clips: Tensor, augment: Augment, generator: torch.Generator | None = None) -> Tensor:
    """Grayscale, then jitter, then blur, each with its probability a clip; float (B, 3, T, H, W) in [0, 1], a new tensor.

    Jitter: factors of brightness, contrast, saturation and a hue turn drawn per clip, applied in one of four orders drawn for
    the batch, which of them drawn per clip: each clip's order is uniform. Contrast pulls towards the mean luma of the whole clip.
    Blur: kernel about a tenth of the side (none below 20 pixels), sigma drawn per clip.
    """
    return _recoloured(clips, draw_colours(len(clips), augment, generator), None, False)


def of_process(augment: Augment, generator: torch.Generator) -> Augment:
    """The augmentation with the blur's one sigma drawn, where it has one for all clips of a process (`blur_once`); else itself."""
    if not augment.blur_once:
        return augment
    least, most = augment.blur_sigma
    sigma = least + (most - least) * float(rand((), generator))
    return augment.model_copy(update={"blur_sigma": (sigma, sigma)})


def normalise(clips: Tensor, augment: Augment) -> Tensor:
    """(clips - mean) / std per channel; float (B, 3, T, H, W)."""
    scale, shift = (part.to(clips.device, clips.dtype, non_blocking=True).view(3, 1, 1, 1) for part in _normalisation(augment))
    return torch.addcmul(shift, clips, scale)


def colour_normalised(
    clips: Tensor, augment: Augment, generator: torch.Generator | None = None, *, inplace: bool = False
) -> Tensor:
    """`normalise(colour(clips, augment, generator), augment)` in one go. `inplace`: the clips may be overwritten."""
    return _recoloured(clips, draw_colours(len(clips), augment, generator), augment, inplace)


def _recoloured(clips: Tensor, drawn: Colours, normalised: Augment | None, inplace: bool) -> Tensor:
    out = recolour(clips if inplace else clips.clone(), drawn)
    if normalised is None:
        return out
    scale, shift = (part.to(out.device, out.dtype, non_blocking=True).view(3, 1, 1, 1) for part in _normalisation(normalised))
    return out.mul_(scale).add_(shift)


def _normalisation(augment: Augment) -> tuple[Tensor, Tensor]:
    """Scale and shift, (3,) each, on the CPU. Shared, hence not to be written to."""
    return _affine(augment.mean, augment.std)


@cache
def _affine(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    means, spreads = np.array(mean, np.float32), np.array(std, np.float32)
    return torch.from_numpy(1 / spreads), torch.from_numpy(-means / spreads)


def frame_sizes(clips: Clips) -> list[tuple[int, int]]:
    """(height, width) of each clip's stored frames."""
    if isinstance(clips, Tensor):
        return [(clips.shape[2], clips.shape[3])] * len(clips)
    return [(clip.shape[1], clip.shape[2]) for clip in clips]
