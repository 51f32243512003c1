"""Visual augmentation of whole batches, the same for all frames of a clip, as in the released code.

Order: crop and flip; merging or erasing; then `colour` (grayscale, jitter, blur) and `normalise`. Every function draws all its
random numbers first, a fixed count per clip, from the generator it is given (None: torch's global one). So the draws do not depend
on probabilities, on strengths or on whether the videos have one size, and two methods with equal seeds see equal crops.

On a CPU the work is done by compiled loops (fame/fast/cpu/), on a GPU by Triton kernels (fame/fast/gpu/); the plain torch
functions, here
`resample` and in fame/method/colour.py, are the definition and serve every other device and type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fame.config import Augment
from fame.fast.gpu.serving import serves
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


def random_crops(
    clips: Clips, size: int, augment: Augment, generator: torch.Generator | None = None, *, out: Tensor | None = None
) -> Tensor:
    """Random resized crop and flip, one draw a clip.

    clips: uint8 (B, T, H, W, 3), or a list of (T, H, W, 3) whose H and W may differ. Returns float (B, 3, T, size, size) in [0, 1],
    written to `out` where one is given (see `apply_crops`).
    """
    return apply_crops(clips, draw_crops(frame_sizes(clips), augment, generator), size, out=out)


def draw_crops(sizes: Sequence[tuple[int, int]], augment: Augment, generator: torch.Generator | None = None) -> Crops:
    """A box for each (height, width): area uniform in `augment.area`, log-aspect uniform, place uniform over whole pixels.

    Of ten boxes the first that fits is taken; if none does, the largest central one whose aspect is allowed.
    """
    from fame.fast.cpu.draws import first_fitting  # Numba is loaded where it is used only

    draws, flips = rand((len(sizes), ATTEMPTS, 4), generator), rand((len(sizes),), generator)
    # by torch: exponentials differ from library to library in their last place
    aspects = draws[..., 1].double().mul_(math.log(ASPECT[1] / ASPECT[0])).add_(math.log(ASPECT[0])).exp_()
    return Crops(*first_fitting(sizes, draws, aspects, flips, augment.area, ASPECT, augment.flip))


def apply_crops(clips: Clips, crops: Crops, size: int, *, out: Tensor | None = None) -> Tensor:
    """Each clip's box, resized bilinearly to `size` (no antialiasing, edges of the box repeated), flipped where asked.

    clips: as in `random_crops` -> float (B, 3, T, size, size) in [0, 1]; true masks (B, T, H, W), bool -> float (B, T, size, size),
    to be thresholded at one half. Floating input is taken to lie in [0, 1] already. `out`: a tensor to write to; one that serves
    batch after batch spares the system's handing out of fresh memory, which takes as long as the crops. ValueError where its shape,
    type (float32, contiguous) or device is not that of the result.
    """
    first = clips[0]
    shape = (len(clips), *((3, len(first)) if first.dim() == 4 else (len(first),)), size, size)
    if out is None:
        out = torch.empty(shape, device=first.device)
    elif out.shape != shape or out.dtype != torch.float32 or out.device != first.device or not out.is_contiguous():
        raise ValueError(
            f"crops of shape {shape} on {first.device} cannot be written to {out.dtype} {tuple(out.shape)} on {out.device}"
        )
    if _on_kernels(clips):
        from fame.fast.gpu.crops import crop_frames  # Triton is loaded where it is used only

        crop_frames(clips, crops, out)
        return out
    if isinstance(clips, Tensor):
        _crop(clips, crops, out)
        return out
    for i, clip in enumerate(clips):
        _crop(clip[None], Crops(*(part[i : i + 1] for part in crops)), out[i : i + 1])
    return out


def _on_kernels(clips: Clips) -> bool:
    given = (clips,) if isinstance(clips, Tensor) else clips
    return clips[0].dim() == 4 and all(part.dtype == torch.uint8 for part in given) and serves(*given)


def _crop(clips: Tensor, crops: Crops, out: Tensor) -> None:
    if clips.device.type == "cpu" and clips.dtype == torch.uint8 and clips.dim() == 5:
        from fame.fast.cpu.crops import crop_frames  # Numba is loaded where it is used only

        crop_frames(clips, crops, out)
    else:
        rows, columns = (
            taps(crops.top, crops.height, out.shape[-1]),
            taps(crops.left, crops.width, out.shape[-1], crops.flip),
        )
        out.copy_(resample(clips, rows, columns))


class Taps(NamedTuple):
    """The two pixels of the frame between which each pixel of a crop lies, along one axis; each field has shape (B, size)."""

    low: Tensor  # long
    high: Tensor  # long; may equal `low`, at the box's edge
    weight: Tensor  # float: of `high`; 0 throughout where the box is not resized


def taps(start: Tensor, length: Tensor, size: int, mirrored: Tensor | None = None) -> Taps:
    """Pixel j of `size` lies at (j + 1/2) length / size - 1/2 from the middle of the box's first pixel, edges repeated.

    start, length: long (B,), the box along the axis; mirrored: bool (B,).
    """
    step = np.arange(size)[None]
    if mirrored is not None:
        step = np.where(mirrored.numpy()[:, None], size - 1 - step, step)
    first, side = start.numpy()[:, None], length.numpy()[:, None]
    place = ((2 * step + 1) * side).astype(np.float64) / (2 * size) - 0.5
    place = np.minimum(np.maximum(place, 0), side - 1)
    low = place.astype(np.int64)
    parts = low + first, np.minimum(low + 1, side - 1) + first, (place - low).astype(np.float32)
    return Taps(*(torch.from_numpy(part) for part in parts))


def resample(clips: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Bilinear interpolation in plain torch; (B, T, H, W, 3) -> float (B, 3, T, S, S), (B, T, H, W) -> float (B, T, S, S)."""
    pixels = clips if clips.dim() == 5 else clips[..., None]
    rows, columns = (Taps(*(part.to(clips.device, non_blocking=True) for part in axis)) for axis in (rows, columns))
    clip = torch.arange(len(clips), device=clips.device)[:, None]
    weight = rows.weight[:, :, None, None, None]
    across = torch.lerp(pixels[clip, :, rows.low].float(), pixels[clip, :, rows.high].float(), weight)  # (B, S, T, W, C)
    weight = columns.weight[:, :, None, None, None]
    out = torch.lerp(across[clip, :, :, columns.low], across[clip, :, :, columns.high], weight).permute(0, 4, 3, 2, 1)
    out = out / 255 if clips.dtype == torch.uint8 else out
    return out if clips.dim() == 5 else out[:, 0]


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
    affine = _normalisation(normalised)
    needs_gradient = clips.requires_grad and torch.is_grad_enabled()
    if clips.dtype == torch.float32 and clips.is_contiguous() and not needs_gradient and serves(clips):
        from fame.fast.gpu import colour as kernels  # Triton is loaded where it is used only

        return kernels.recolour(clips, drawn, *affine, inplace=inplace)
    if clips.device.type == "cpu" and clips.dtype == torch.float32:
        from fame.fast.cpu import colour as compiled  # Numba is loaded where it is used only

        return compiled.recolour(clips, drawn, *affine, inplace=inplace)
    out = recolour(clips, drawn)
    return normalise(out, normalised) if normalised else out


def _normalisation(augment: Augment | None) -> tuple[Tensor, Tensor]:
    """Scale and shift, (3,) each, on the CPU; None: those that change nothing. Shared, hence not to be written to."""
    return _affine(augment.mean, augment.std) if augment else _affine((0, 0, 0), (1, 1, 1))


@cache
def _affine(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    means, spreads = np.array(mean, np.float32), np.array(std, np.float32)
    return torch.from_numpy(1 / spreads), torch.from_numpy(-means / spreads)


def frame_sizes(clips: Clips) -> list[tuple[int, int]]:
    """(height, width) of each clip's stored frames."""
    if isinstance(clips, Tensor):
        return [(clips.shape[2], clips.shape[3])] * len(clips)
    return [(clip.shape[1], clip.shape[2]) for clip in clips]
