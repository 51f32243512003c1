"""Check what public functions are given: shape, type and range; and the maps behind the masks grid and gauss (paper, table 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MIN_SIDE = 16  # pixels
GRID = 4  # cells a side
EDGE = 1e-3  # by which rounding may carry a value out of [0, 1]
LOOKED: set[str] = set()  # kinds of values on a GPU that were looked at


def check_clips(clips: Tensor, what: str = "clips", moving: bool = False) -> None:
    """Raise ValueError unless `clips` are a float tensor (B, 3, T, H, W) in [0, 1]; `moving`: with T >= 2, H and W >= 16."""
    must = f"{what} must be a float tensor (B, 3, T, H, W) in [0, 1]"
    check_tensor(clips, must)
    if clips.dim() != 5 or clips.shape[1] != 3:
        order = {2: "0, 2, 1, 3, 4", 4: "0, 4, 1, 2, 3"}.get(
            next((i for i in (2, 4) if clips.dim() == 5 and clips.shape[i] == 3), 0)
        )
        raise ValueError(f"{must}, got {tuple(clips.shape)}" + (f"; {what}.permute({order}) puts channels second" if order else ""))
    if not clips.is_floating_point():
        raise ValueError(f"{must}, got {clips.dtype}; divide 8-bit video by 255 first")
    frames, height, width = clips.shape[2:]
    if moving and frames < 2:
        raise ValueError(f"{what} have T = {frames} frame: motion is a difference between frames, so T must be at least 2")
    if moving and min(height, width) < MIN_SIDE:
        raise ValueError(f"{what} are {height} x {width} pixels; the masks need at least {MIN_SIDE} x {MIN_SIDE}")
    check_values(clips, what)


def check_frames(clips: Tensor | Sequence[Tensor], what: str = "clips") -> None:
    """Raise ValueError unless clips as stored: uint8, or float in [0, 1], (B, T, H, W, 3) or a list of (T, H, W, 3); or bool masks
    without the last axis."""
    must = f"{what} must be a tensor (B, T, H, W, 3), or a list of (T, H, W, 3), uint8 or float in [0, 1]"
    for clip in [clips] if isinstance(clips, Tensor) or not isinstance(clips, Sequence) else clips:
        check_tensor(clip, must)
        axes = clip.dim() - isinstance(clips, Tensor)
        if axes not in (3, 4) or (axes == 4 and clip.shape[-1] != 3):
            raise ValueError(f"{must}, got {tuple(clip.shape)}")
        if clip.dtype not in (torch.uint8, torch.bool) and not clip.is_floating_point():
            raise ValueError(f"{must}, got {clip.dtype}")
        if clip.is_floating_point():
            check_values(clip, what)


def check_mask(mask: Tensor, clips: Tensor, what: str = "mask") -> None:
    """Raise ValueError unless `mask` is a tensor (B, H, W) of the clips' size, bool or in [0, 1]."""
    shape = (len(clips), *clips.shape[-2:])
    must = f"{what} must be a tensor (B, H, W) = {shape}, bool or in [0, 1]"
    check_tensor(mask, must)
    if mask.shape != shape:
        raise ValueError(f"{must}, got {tuple(mask.shape)}")
    check_values(mask, what)


def check_tensor(value: object, must: str) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{must}, got {type(value).__module__}.{type(value).__name__}; torch.as_tensor makes a tensor of an array")


def check_values(values: Tensor, what: str) -> None:
    """Raise ValueError where a value is NaN or outside [0, 1].

    On a CPU at every call: a tenth of the time that a mask takes. Elsewhere, where it makes the host wait, `what` is looked at once
    a process; never while torch traces or captures.
    """
    if values.dtype == torch.bool or not values.numel() or values.is_meta or torch.compiler.is_compiling():
        return
    if values.device.type != "cpu":
        if what in LOOKED or (values.is_cuda and torch.cuda.is_current_stream_capturing()):
            return
        LOOKED.add(what)
    low, high = (float(value) for value in values.detach().aminmax())
    if not (low >= -EDGE and high <= 1 + EDGE):
        LOOKED.discard(what)
        raise ValueError(
            f"{what} must lie in [0, 1], and go from {low:g} to {high:g}: divide 8-bit video by 255, and normalise after merging"
        )


def grid_map(motion: Tensor) -> Tensor:
    """(B, H, W) -> (B, 4, 4): motion pooled over each cell. As a mean: the same order as the paper's sum where cells are equal, and
    where 4 does not divide a side no cell gains by its size."""
    rows = torch.stack([part.mean(1) for part in motion.tensor_split(GRID, dim=1)], 1)
    return torch.stack([part.mean(2) for part in rows.tensor_split(GRID, dim=2)], 2)


def spread_grid(cells: Tensor, height: int, width: int) -> Tensor:
    """(B, 4, 4) -> (B, height, width): each cell's value at its pixels, cells as `grid_map` cuts them."""
    row, column = (_cell_of(side, cells.device) for side in (height, width))
    return cells[:, row][:, :, column]


def gaussian_map(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(height, width): exp(-d^2 / 2) with d the distance from the frame's centre in sigmas, sigma a third of each side."""

    def profile(side: int) -> Tensor:
        return torch.exp(-((torch.arange(side, device=device) - (side - 1) / 2) / (side / 3)).square() / 2)

    return profile(height)[:, None] * profile(width)[None]


def _cell_of(side: int, device: torch.device) -> Tensor:
    """The cell each of `side` rows or columns belongs to, as `tensor_split` cuts them: the first side % 4 are one longer."""
    size, longer = divmod(side, GRID)
    position = torch.arange(side, device=device)
    return torch.maximum(position // (size + 1), (position - longer) // size)
