"""Check what public functions are given: shape, type and range; each function raises a ValueError of one line."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MIN_SIDE = 16  # pixels
EDGE = 1e-3  # by which rounding may carry a value out of [0, 1]
LOOKED: set[str] = set()  # kinds of values on a GPU that were looked at


def check_clips(clips: Tensor, what: str = "clips", moving: bool = False) -> None:
    """Ask for a float tensor (B, 3, T, H, W) in [0, 1]; `moving`: with T >= 2, H and W >= 16."""
    must = f"{what} must be a float tensor (B, 3, T, H, W) in [0, 1]"
    check_tensor(clips, must)
    if clips.dim() != 5 or clips.shape[1] != 3:
        raise ValueError(f"{must}, got {tuple(clips.shape)}")
    if not clips.is_floating_point():
        raise ValueError(f"{must}, got {clips.dtype}; divide 8-bit video by 255 first")
    if moving and (clips.shape[2] < 2 or min(clips.shape[3:]) < MIN_SIDE):
        raise ValueError(f"{what} must have T >= 2, H and W >= {MIN_SIDE}, got {tuple(clips.shape)}")
    check_values(clips, what)


def check_frames(clips: Tensor | Sequence[Tensor]) -> None:
    """Ask for clips as stored: uint8, or float in [0, 1], (B, T, H, W, 3) or a list of (T, H, W, 3); bool without the 3."""
    must = "clips must be a tensor (B, T, H, W, 3), or a list of (T, H, W, 3), uint8 or float in [0, 1]"
    for clip in [clips] if isinstance(clips, Tensor) or not isinstance(clips, Sequence) else clips:
        check_tensor(clip, must)
        axes = clip.dim() - isinstance(clips, Tensor)
        if axes not in (3, 4) or (axes == 4 and clip.shape[-1] != 3):
            raise ValueError(f"{must}, got {tuple(clip.shape)}")
        if clip.is_floating_point():
            check_values(clip, "clips")
        elif clip.dtype not in (torch.uint8, torch.bool):
            raise ValueError(f"{must}, got {clip.dtype}")


def check_mask(mask: Tensor, clips: Tensor, what: str = "mask") -> None:
    """Ask for a tensor (B, H, W) of the clips' size, bool or in [0, 1]."""
    shape = (len(clips), *clips.shape[-2:])
    must = f"{what} must be a tensor (B, H, W) = {shape}, bool or in [0, 1]"
    check_tensor(mask, must)
    if mask.shape != shape:
        raise ValueError(f"{must}, got {tuple(mask.shape)}")
    check_values(mask, what)


def check_tensor(value: object, must: str) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{must}, got {type(value).__module__}.{type(value).__name__}; torch.as_tensor makes a tensor of an array")
    narrow = value.is_floating_point() and value.dtype.itemsize == 1
    if narrow or value.is_complex() or value.is_nested or value.layout != torch.strided:
        raise ValueError(f"{must}, got {value.dtype}, {value.layout}: make it real, float16 or wider, and dense")


def check_values(values: Tensor, what: str) -> None:
    """Ask for values in [0, 1] and no NaN; off the CPU, where it makes the host wait, once a process for each `what`."""
    if values.dtype == torch.bool or not values.numel() or values.is_meta or torch.compiler.is_compiling():
        return
    if values.device.type != "cpu" and (what in LOOKED or (values.is_cuda and torch.cuda.is_current_stream_capturing())):
        return
    low, high = (float(value) for value in values.detach().aminmax())
    if not (low >= -EDGE and high <= 1 + EDGE):
        mend = "divide 8-bit video by 255, and normalise after merging"
        raise ValueError(f"{what} must lie in [0, 1], and go from {low:g} to {high:g}: {mend}")
    if values.device.type != "cpu":
        LOOKED.add(what)
