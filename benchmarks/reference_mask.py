"""Compute FAME's mask and merge plainly, as research code does, to time the fast code against; agrees with flavour `official`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 10  # per colour coordinate
COLOURS = LEVELS**3
EPS = 1e-8


def merge(clips: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return float clips (B, 3, T, H, W) in [0, 1] with another clip's background; shape and type are kept."""
    mask = fame_mask(clips)[:, None, None]
    rows = torch.randperm(len(clips), generator=generator).to(clips.device)
    return clips * mask + clips[rows] * (1 - mask)


def fame_mask(clips: Tensor, beta: float = 0.5) -> Tensor:
    """Return 0 or 1, (B, H, W): the beta share of pixels whose colours speak most for the foreground."""
    motion = _unit_range(_blur((clips[:, :, 1:] - clips[:, :, :-1]).abs().sum(1).mean(1)))
    ranked = motion.flatten(1)
    inside = ranked.topk(int(0.5 * ranked.shape[1]), dim=1).indices
    outside = ranked.topk(int(0.1 * ranked.shape[1]), dim=1, largest=False).indices
    posterior = _posterior(_colours(clips).flatten(1), inside, outside)
    flat = _unit_range(_blur(posterior.view_as(motion))).flatten(1)
    chosen = flat.topk(max(1, int(beta * flat.shape[1])), dim=1).indices
    return torch.zeros_like(flat).scatter(1, chosen, 1.0).view_as(motion)


def _colours(clips: Tensor) -> Tensor:
    """Colour number of each pixel of the mean frame, long (B, H, W) in 0..999."""
    image = clips.mean(2)
    value, brightest = image.max(1)
    spread = value - image.min(1).values
    saturation = spread / (value + EPS)
    divisor = torch.where(spread == 0, torch.ones_like(spread), spread)
    red, green, blue = value - image[:, 0], value - image[:, 1], value - image[:, 2]
    candidates = torch.stack([blue - green, red - blue + 2 * divisor, green - red + 4 * divisor], 1)
    hue = 2 * math.pi * ((torch.gather(candidates, 1, brightest[:, None])[:, 0] / divisor / 6) % 1.0)
    across = (saturation * torch.cos(hue * 2 * math.pi) + 1) / 2  # the hue is in radians already: flavour `official`
    up = (saturation * torch.sin(hue * 2 * math.pi) + 1) / 2
    levels = [torch.round(part * (LEVELS - 1) + 1) - 1 for part in (across, up, value)]
    return (levels[0] + LEVELS * levels[1] + LEVELS**2 * levels[2]).long().clamp(0, COLOURS - 1)


def _posterior(colour: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """P(F|x) of each pixel, (B, H*W): colours of both samples counted clip by clip."""
    shares = []
    for pixels, foreground, background in zip(colour, inside, outside, strict=True):
        likely = F.one_hot(pixels[foreground], COLOURS).sum(0).float() / len(foreground)
        unlikely = (F.one_hot(pixels[background], COLOURS).sum(0).float() + 1) / (len(background) + COLOURS)
        shares.append((likely / (likely + unlikely))[pixels])
    return torch.stack(shares)


def _blur(maps: Tensor) -> Tensor:
    """Gaussian, kernel a tenth of the side, edges reflected; (B, H, W)."""
    kernel = int(0.1 * min(maps.shape[1:])) // 2 * 2 + 1
    offset = torch.arange(kernel, device=maps.device) - kernel // 2
    weights = torch.exp(-(offset**2) / (2 * (kernel / 3) ** 2))
    weights = weights / weights.sum()
    padded = F.pad(maps[:, None], [kernel // 2] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))[:, 0]


def _unit_range(maps: Tensor) -> Tensor:
    least, most = maps.flatten(1).min(1).values.view(-1, 1, 1), maps.flatten(1).max(1).values.view(-1, 1, 1)
    return (maps - least) / (most - least + EPS)
