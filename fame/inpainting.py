"""Clips without what moves in front: each frame filled in from around it, smoothly and without texture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fame.smoothing import gaussian_weights, smooth

REACH = 8  # the Gaussian's sigma is the frame's shorter side over this
FAINT = 1e-3  # weight of the frame's mean beside what lies around a pixel


def inpainted(clips: Tensor, figures: Tensor) -> Tensor:
    """Clips, float (B, 3, T, H, W), without their figures, bool (B, H, W): there each frame is the mean of what lies around.

    The mean is weighted by a Gaussian an eighth of the frame wide. A pixel around the figure is taken for its edge and filled, too.
    A frame that is all figure becomes 0.
    """
    edged = functional.max_pool2d(figures[:, None].float(), 3, 1, 1) > 0  # (B, 1, H, W)
    seen = (~edged).to(clips.dtype)
    planes = clips.flatten(1, 2) * seen
    side = min(clips.shape[-2:])
    sigma = side / REACH
    reach = min(int(3 * sigma), side - 1)
    weights = gaussian_weights(2 * reach + 1, sigma, clips.device)
    mean = planes.sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True).clamp_min(1)  # where nothing lies near
    around = (smooth(planes, weights) + FAINT * mean) / (smooth(seen, weights) + FAINT)
    return torch.where(edged[:, :, None], around.view_as(clips), clips)
