"""Smooth masks and clips by a Gaussian as the released code has it: weights, and a separable filter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_weights(kernel: int, sigma: float | Tensor, device: torch.device) -> Tensor:
    """Return normalised Gaussian weights, (kernel, *sigma.shape): one column for each sigma, in pixels."""
    if not isinstance(sigma, Tensor):
        sigma = torch.full((), sigma, dtype=torch.float32, device=device)  # filled there: a copy to the device would wait for it
    spread = sigma.to(device, torch.float32)
    offset = (torch.arange(kernel, dtype=torch.float32, device=device) - kernel // 2).view(-1, *[1] * spread.dim())
    weights = torch.exp(-offset.square() / (2 * spread.square()))
    return weights / weights.sum(0)


def smooth(maps: Tensor, weights: Tensor) -> Tensor:
    """Filter the last two axes separably, edges reflected. maps (B, C, H, W); weights (k,) or (k, B, 1, 1, 1), k odd.

    Sums of shifted views: on a CPU several times faster than a one-channel convolution, and autocast and TF32 leave them alone.
    """
    kernel, (height, width) = len(weights), maps.shape[-2:]
    if kernel == 1:
        return maps
    reach = kernel // 2
    padded = F.pad(maps, (reach, reach, reach, reach), mode="reflect")
    rows = padded[..., 0:width] * weights[0]
    for i in range(1, kernel):
        rows = torch.addcmul(rows, padded[..., i : i + width], weights[i])
    out = rows[..., 0:height, :] * weights[0]
    for i in range(1, kernel):
        out = torch.addcmul(out, rows[..., i : i + height, :], weights[i])
    return out


def blur_kernel(side: int) -> int:
    """Return the odd kernel of the released code, in pixels: about a tenth of the side; 1, no blur, below 20."""
    return int(0.1 * side) // 2 * 2 + 1
