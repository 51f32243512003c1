"""Visual augmentation of whole batches, the same for all frames of a clip, as in the released code (PAPER section 1, last part).

Order: crop and flip; merging or erasing; then `colour` (grayscale, jitter, blur) and `normalise`. Every function draws all its
random numbers first, a fixed count per clip, from the generator it is given (None: torch's global one). So the draws do not depend
on probabilities, on strengths or on whether the videos have one size, and two methods with equal seeds see equal crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fame.config import Augment
from fame.masks import blur_kernel, gaussian_weights, smooth

ASPECT = (3 / 4, 4 / 3)  # of a random crop, width to height
ATTEMPTS = 10  # boxes tried before the centre is taken
LUMA = (0.299, 0.587, 0.114)
BLUR_SIGMA = (0.1, 2.0)  # pixels
ORDERS = 4  # of jitter steps in one batch: few groups of clips, so few calls

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
    height, width = torch.tensor(sizes).double().unsqueeze(-1).unbind(1)  # (B, 1)
    share, aspect, down, right = _rand((len(sizes), ATTEMPTS, 4), generator).double().unbind(2)
    flip = _rand((len(sizes),), generator) < augment.flip
    low, high = augment.area
    area = (low + (high - low) * share) * height * width
    aspect = torch.exp(math.log(ASPECT[0]) + math.log(ASPECT[1] / ASPECT[0]) * aspect)
    wide, tall = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (wide >= 1) & (wide <= width) & (tall >= 1) & (tall <= height)
    first = fits.int().argmax(1, keepdim=True)
    found = fits.gather(1, first)
    wide = torch.where(found, wide.gather(1, first), torch.minimum(width, (height * ASPECT[1]).round()))
    tall = torch.where(found, tall.gather(1, first), torch.minimum(height, (width / ASPECT[0]).round()))
    top = torch.where(found, (down.gather(1, first) * (height - tall + 1)).floor(), ((height - tall) / 2).floor())
    left = torch.where(found, (right.gather(1, first) * (width - wide + 1)).floor(), ((width - wide) / 2).floor())
    top, left, tall, wide = (field.long()[:, 0] for field in (top, left, tall, wide))
    return Crops(top, left, tall, wide, flip)


def apply_crops(clips: Clips, crops: Crops, size: int) -> Tensor:
    """Each clip's box, resized bilinearly to `size` (no antialiasing, edges of the box repeated), flipped where asked.

    clips: as in `random_crops` -> float (B, 3, T, size, size) in [0, 1]; true masks (B, T, H, W), bool -> float (B, T, size, size),
    to be thresholded at one half. Floating input is taken to lie in [0, 1] already. Only the pixels of each box are read.
    """
    first = clips[0]
    lead = (3, len(first)) if first.dim() == 4 else (len(first),)  # axes before height and width
    out = torch.empty(len(clips), *lead, size, size, device=first.device)
    centres = (torch.arange(size, device=first.device) * 2 + 1) / size - 1  # -1 and 1 are the outer edges of the box
    straight = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)[None]
    mirrored = straight * torch.tensor([-1.0, 1.0], device=first.device)
    scale = 255.0 if first.dtype == torch.uint8 else 1.0
    for i, (top, left, height, width, flip) in enumerate(zip(*(field.tolist() for field in crops), strict=True)):
        box = clips[i][:, top : top + height, left : left + width]
        box = (box.permute(3, 0, 1, 2) if box.dim() == 4 else box).to(torch.float32, memory_format=torch.contiguous_format)
        if (height, width) == (size, size):
            pixels = box.flip(-1) if flip else box
        else:
            frames = box.reshape(1, -1, height, width)
            pixels = F.grid_sample(frames, mirrored if flip else straight, padding_mode="border", align_corners=False)
        torch.div(pixels.view(out[i].shape), scale, out=out[i])
    return out


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
    """Grayscale, then jitter, then blur, each with its probability a clip; float (B, 3, T, H, W) in [0, 1].

    Jitter: factors of brightness, contrast, saturation and a hue turn drawn per clip, applied in one of four orders drawn for
    the batch, which of them drawn per clip: each clip's order is uniform. Contrast pulls towards the mean luma of the whole clip.
    Blur: kernel about a tenth of the side (none below 20 pixels), sigma drawn per clip.
    """
    draws, orders = _rand((len(clips), 9), generator), _rand((ORDERS, len(JITTER)), generator).argsort(1).tolist()
    strengths = torch.tensor([augment.brightness, augment.contrast, augment.saturation])
    lowest = (1 - strengths).clamp(min=0)
    factors = lowest + (1 + strengths - lowest) * draws[:, 3:6]
    turns = augment.hue * (2 * draws[:, 6:7] - 1)
    amounts = torch.cat([factors, turns], 1)
    sigma = BLUR_SIGMA[0] + (BLUR_SIGMA[1] - BLUR_SIGMA[0]) * draws[:, 7]
    out = clips.clone()
    grey = (draws[:, 0] < augment.grayscale).nonzero()[:, 0].to(out.device)
    if len(grey):
        out[grey] = luma(out[grey]).expand(-1, 3, -1, -1, -1)
    group = torch.where(draws[:, 1] < augment.jitter, (draws[:, 8] * ORDERS).long(), -1)
    for i, order in enumerate(orders):
        chosen = (group == i).nonzero()[:, 0]
        if len(chosen):
            rows = chosen.to(out.device)
            part = out[rows]
            for step in order:
                part = JITTER[step](part, amounts[chosen, step].to(out.device, out.dtype).view(-1, 1, 1, 1, 1))
            out[rows] = part
    kernel = blur_kernel(min(clips.shape[-2:]))
    blurred = (draws[:, 2] < augment.blur).nonzero()[:, 0]
    if kernel > 1 and len(blurred):
        weights = gaussian_weights(kernel, sigma[blurred].view(-1, 1, 1, 1).to(out.device), out.device).to(out.dtype)
        rows = blurred.to(out.device)
        out[rows] = smooth(out[rows].flatten(1, 2), weights).view(-1, *out.shape[1:])
    return out


def normalise(clips: Tensor, augment: Augment) -> Tensor:
    """(clips - mean) / std per channel; float (B, 3, T, H, W)."""
    mean, std = (torch.tensor(v, device=clips.device, dtype=clips.dtype).view(3, 1, 1, 1) for v in (augment.mean, augment.std))
    return torch.addcmul(-mean / std, clips, 1 / std)


def luma(clips: Tensor) -> Tensor:
    """(B, 3, T, H, W) -> (B, 1, T, H, W), ITU-R BT.601 weights."""
    red, green, blue = clips.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])[:, None]


def brightness(clips: Tensor, factor: Tensor) -> Tensor:
    return (clips * factor).clamp_(0, 1)


def contrast(clips: Tensor, factor: Tensor) -> Tensor:
    mean = (clips.mean((2, 3, 4)) * clips.new_tensor(LUMA)).sum(1).view(-1, 1, 1, 1, 1)
    return torch.addcmul(mean * (1 - factor), clips, factor).clamp_(0, 1)


def saturation(clips: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(luma(clips), clips, factor).clamp_(0, 1)


def hue(clips: Tensor, turns: Tensor) -> Tensor:
    """Hue turned by `turns` (B, 1, 1, 1, 1); saturation and value of HSV are kept, exactly, without going there and back.

    With channels scaled to r, g, b in 0..1 (least 0, greatest 1), the hue in sixths of a turn is +-(1 + g + b - r), the sign that
    of g - b; and r = |h - 3| - 1, g = 2 - |h - 2|, b = 2 - |h - 4|, each cut to 0..1, for h in 0..6.
    """
    red, green, blue = clips.unbind(1)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue).sub_(least)
    sixths = (green + blue).sub_(red).sub_(least).div_(chroma.clamp(min=1e-12)).add_(1)  # grey: chroma 0 makes any hue right
    sixths = torch.copysign(sixths, green - blue).add_(6 * turns[:, 0])
    sixths.sub_((sixths / 6).floor_().mul_(6))
    out = (sixths[:, None] - sixths.new_tensor([3, 2, 4]).view(3, 1, 1, 1)).abs_()
    out[:, 0].sub_(1)
    out[:, 1:].neg_().add_(2)
    return out.clamp_(0, 1).mul_(chroma[:, None]).add_(least[:, None])


JITTER = (brightness, contrast, saturation, hue)


def frame_sizes(clips: Clips) -> list[tuple[int, int]]:
    """(height, width) of each clip's stored frames."""
    return [(clip.shape[1], clip.shape[2]) for clip in clips]


def _rand(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, generator=generator, device="cpu" if generator is None else generator.device).cpu()
