"""Take out of clips what moves in front: each frame is filled in from around it, smoothly and without texture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fame.method.shapes import check_clips, check_mask
from fame.method.smoothing import gaussian_weights

REACH = 8  # the Gaussian's sigma is the frame's shorter side over this
FAINT = 1e-3  # weight of the frame's mean beside what lies around a pixel


def inpainted(clips: Tensor, figures: Tensor) -> Tensor:
    """Fill clips, float (B, 3, T, H, W), where their figures are, bool (B, H, W), with the mean of what lies around in the frame.

    A pixel around the figure is filled, too. A frame that is all figure becomes 0. ValueError for wrong shapes or values.
    """
    check_clips(clips)
    check_mask(figures, clips, "figures")
    edged = functional.max_pool2d(figures[:, None].float(), 3, 1, 1) > 0  # (B, 1, H, W)
    seen = (~edged).float()
    planes = clips.flatten(1, 2).float() * seen
    mean = planes.sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True).clamp_min(1)  # where nothing lies near
    sigma = min(clips.shape[-2:]) / REACH
    with torch.autocast(clips.device.type, enabled=False):
        across, down = (spreading(side, sigma, clips.device) for side in (clips.shape[-1], clips.shape[-2]))
        around, near = (down @ (maps @ across.T) for maps in (planes, seen))
    filled = (around + FAINT * mean) / (near + FAINT)
    return torch.where(edged[:, :, None], filled.view_as(clips).to(clips.dtype), clips)


def spreading(side: int, sigma: float, device: torch.device) -> Tensor:
    """Return a Gaussian of `sigma` pixels along an axis, reflected at both ends, as a matrix: fast where it is wide."""
    reach = min(int(3 * sigma), side - 1)
    weights = gaussian_weights(2 * reach + 1, sigma, device)
    place = (torch.arange(side, device=device)[:, None] + torch.arange(-reach, reach + 1, device=device)).abs()
    place = torch.where(place < side, place, 2 * (side - 1) - place)
    return torch.zeros(side, side, device=device).scatter_add_(1, place, weights.expand(side, -1))
