"""Foreground masks of a clip: FAME's own, and the Seed, Grid and Gauss masks of its ablation (paper, section 3.2; tables 1 and 4).

A clip X is C x T x H x W in [0, 1]; one mask serves all its frames.

    S[i,j]  = 1/(T-1) * sum over c, t of |X[c,t+1] - X[c,t]|              seed region
    P(F|x)  = P(x|F) / (P(x|F) + P(x|B))                                  colour posterior, equal priors
    M       = the beta*H*W pixels of the highest posterior

P(x|F) is the colour histogram of the 50 % of pixels that S ranks highest, P(x|B) that of the 10 % it ranks lowest (`Bayes`). What
the formulas leave open (1000 colours, a background count that starts at 1, the smoothing before each ranking) is as in the released
code. Flavour `official` also keeps that code's hue angle, scaled by 2 pi twice; `paper` uses the true one.

Colour levels sit on rounding edges, so everything is computed in float32 and in one fixed order of operations, whatever the type of
the input and whether autocast is on.
"""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor

from fame.config import MASKS, PLUGGED, Flavour, Variant, check_beta, check_prior, check_sampled
from fame.errors import FameError
from fame.fast import choose
from fame.method.bayes import COLOURS, LEVELS, PAPER, Bayes
from fame.method.shapes import check_clips
from fame.method.smoothing import blur_kernel, gaussian_weights, smooth
from fame.plugins import mask_functions

FLAVOURS = get_args(Flavour)
GRID = 4  # cells a side


@torch.no_grad()
def foreground_mask(
    clips: Tensor,
    *,
    variant: Variant = "fame",
    beta: float = 0.5,
    flavour: Flavour = "paper",
    exact: bool = False,
    prior: float = PAPER.prior,
    sampled: tuple[float, float] = PAPER.sampled,
) -> Tensor:
    """Return the mask of what to keep, one a clip.

    clips: float (B, 3, T, H, W) in [0, 1], T >= 2, H and W >= 16; beta: share of the frame kept, in (0, 1].
    Returns float32 (B, H, W), without gradient:
      fame, seed  0 or 1, exactly max(1, int(beta*H*W)) ones
      grid        0 or 1, the max(1, round(16 beta)) cells of a 4 x 4 grid that move most
      gauss       soft, in (0, 1]: a Gaussian at the centre, sigma a third of each side; ignores beta and the clip
    Equal values are ranked in raster order, so a motionless or one-coloured clip has a valid mask too.
    exact: in plain torch; fame/fast differs by rounding alone, where scores tie or a colour lies within 1e-5 of an edge.
    prior, sampled: see `Bayes`. Raises ValueError for wrong shapes, values outside their range, unknown names.
    """
    check_clips(clips, moving=True)
    check_beta(beta)
    check_name("variant", variant, tuple(MASKS))
    check_name("flavour", flavour, FLAVOURS)
    bayes = Bayes(check_prior(prior), check_sampled(sampled))
    return kept_pixels(clips, variant, beta, flavour, exact, bayes).float()


def kept_pixels(
    clips: Tensor, variant: Variant, beta: float, flavour: Flavour, exact: bool = False, bayes: Bayes = PAPER
) -> Tensor:
    """`foreground_mask` of arguments that have been checked, as bool where it is 0 or 1 (float32 for gauss)."""
    height, width = clips.shape[-2:]
    count = max(1, int(beta * height * width))
    if variant in PLUGGED:
        scores = plugin_scores(variant, clips, beta)
        return scores if scores.dtype == torch.bool else top_share(scores, count)
    if variant == "gauss":
        return gaussian_map(height, width, clips.device).repeat(len(clips), 1, 1)
    if variant == "grid":
        kept = top_share(grid_map(frame_difference(_float32(clips))), max(1, round(beta * GRID * GRID)))
        return spread_grid(kept, height, width)
    if not exact and (keep := choose("mask", clips)):
        found: Tensor = keep(clips, count, flavour if variant == "fame" else None, bayes)
        return found
    clips = _float32(clips)
    if variant == "fame":
        return top_share(_maps(clips, flavour, bayes)["posterior_blurred"], count)
    return top_share(_smooth_like_code(frame_difference(clips)), count)


@torch.no_grad()
def plugin_scores(variant: str, clips: Tensor, beta: float) -> Tensor:
    """Return what a plugin's mask makes of clips: bool (B, H, W) or float32, whose highest share is kept; FameError for others."""
    found = mask_functions[variant](clips, beta)
    shape = (len(clips), *clips.shape[-2:])
    must = f"mask {variant!r} must return bool or finite floats of shape (B, H, W) = {shape}"
    if not isinstance(found, Tensor):
        raise FameError(f"{must}, not {type(found).__name__}")
    if found.shape != shape or not (found.dtype == torch.bool or found.is_floating_point()):
        raise FameError(f"{must}, not {found.dtype} of shape {tuple(found.shape)}")
    if not found.isfinite().all():
        raise FameError(f"{must}, not NaN or infinity")
    return (found if found.dtype == torch.bool else found.float()).to(clips.device)


@torch.no_grad()
def mask_maps(
    clips: Tensor,
    *,
    flavour: Flavour = "paper",
    prior: float = PAPER.prior,
    sampled: tuple[float, float] = PAPER.sampled,
) -> dict[str, Tensor]:
    """Return what the fame mask is made from, each float32 (B, H, W); arguments and errors as in `foreground_mask`.

    frame_difference: S, in 0..3; frame_difference_blurred: S after smoothing, which ranks pixels for both colour samples;
    posterior: P(F|x) of each pixel's colour, in 0..1; posterior_blurred: the same smoothed, which ranks pixels for the mask.
    """
    check_clips(clips, moving=True)
    check_name("flavour", flavour, FLAVOURS)
    return _maps(_float32(clips), flavour, Bayes(check_prior(prior), check_sampled(sampled)))


def frame_difference(clips: Tensor) -> Tensor:
    """Return the seed region S, (B, H, W) in 0..3."""
    return clips.diff(dim=2).abs_().sum(1).mean(1)


def grid_map(motion: Tensor) -> Tensor:
    """Pool motion, (B, H, W) -> (B, 4, 4), the mean of each cell; the paper's sum ranks alike where all cells are of one size."""
    rows = torch.stack([part.mean(1) for part in motion.tensor_split(GRID, dim=1)], 1)
    return torch.stack([part.mean(2) for part in rows.tensor_split(GRID, dim=2)], 2)


def spread_grid(cells: Tensor, height: int, width: int) -> Tensor:
    """Give each pixel its cell's value, (B, 4, 4) -> (B, height, width), cells as `grid_map` cuts them."""

    def cell_of(side: int) -> Tensor:
        """Cut as `tensor_split` does: the first side % 4 cells are one longer."""
        size, longer = divmod(side, GRID)
        position = torch.arange(side, device=cells.device)
        return torch.maximum(position // (size + 1), (position - longer) // size)

    return cells[:, cell_of(height)][:, :, cell_of(width)]


def gaussian_map(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return exp(-d^2 / 2), (height, width), with d the distance from the frame's centre in sigmas, sigma a third of each side."""

    def profile(side: int) -> Tensor:
        return torch.exp(-((torch.arange(side, device=device) - (side - 1) / 2) / (side / 3)).square() / 2)

    return profile(height)[:, None] * profile(width)[None]


def colours(frames: Tensor, flavour: Flavour) -> Tensor:
    """Cut RGB in [0, 1] into 1000 colours, (B, 3, H, W) -> long (B, H, W): ten levels each of value and of a point on a disc, whose
    angle is the hue and whose radius the saturation.

    Levels are round(9 v + 1), half to even, before 1 is taken off: exact grey lies on the edge 5.5 and counts as the sixth level.
    """
    across, up, bright = (torch.round(v) - 1 for v in colour_coordinates(frames, flavour))
    colour = across + LEVELS * up + LEVELS**2 * bright  # whole numbers, exact in float32
    return colour.long().clamp_(0, COLOURS - 1)  # values outside [0, 1] must not reach beyond the histogram


def colour_coordinates(frames: Tensor, flavour: Flavour) -> list[Tensor]:
    """Return across and up on the disc, and value, each (B, H, W) in 1..10, not yet rounded."""
    value, brightest = frames.max(1)
    chroma = value - frames.amin(1)
    saturation = chroma / (value + 1e-8)
    divisor = torch.where(chroma == 0, 1.0, chroma)  # grey: any hue will do
    red, green, blue = frames.unbind(1)
    sectors = torch.stack([green - blue, (blue - red) + 2 * divisor, (red - green) + 4 * divisor], 1)
    turn = sectors.gather(1, brightest[:, None])[:, 0] / divisor / 6
    angle = 2 * math.pi * torch.where(turn < 0, turn + 1, turn)
    if flavour == "official":
        angle = angle * 2 * math.pi
    coordinates = (saturation * torch.cos(angle) + 1) / 2, (saturation * torch.sin(angle) + 1) / 2, value
    return [(LEVELS - 1) * v + 1 for v in coordinates]


def colour_posterior(colour: Tensor, motion: Tensor, bayes: Bayes = PAPER) -> Tensor:
    """Return P(F|x) of every pixel, in 0..1; colour: long, from `colours`; motion: what ranks pixels; all (B, H, W)."""
    batch, height, width = colour.shape
    pixels = height * width
    sampled_f, sampled_b = bayes.counts(pixels)
    foreground = top_share(motion, sampled_f)
    background = ~top_share(motion, pixels - sampled_b)  # the rest of the same ranking, so ties never put a pixel into both samples
    group = torch.where(foreground, 0, torch.where(background, 1, 2))  # 2: in neither sample
    counts = motion.new_zeros(batch, 3 * COLOURS)
    counts.scatter_add_(1, (colour + COLOURS * group).flatten(1), motion.new_ones(1).expand(batch, pixels))
    in_foreground = counts[:, :COLOURS] / sampled_f
    in_background = (counts[:, COLOURS : 2 * COLOURS] + 1) / (sampled_b + COLOURS)  # every count starts at 1
    posterior = in_foreground / (in_foreground + bayes.odds * in_background)  # Bayes' rule divided by the prior
    return posterior.gather(1, colour.flatten(1)).view_as(motion)


def top_share(values: Tensor, count: int) -> Tensor:
    """Mark exactly `count` pixels a clip, the highest; bool, shaped like `values` (B, H, W); equal ones in raster order."""
    flat = values.flatten(1)
    if count >= flat.shape[1]:
        return torch.ones_like(values, dtype=torch.bool)
    threshold = flat.topk(count, dim=1, sorted=False).values.amin(1, keepdim=True)
    above, tied = flat > threshold, flat == threshold
    room = count - above.sum(1, keepdim=True)
    return (above | (tied & (tied.cumsum(1) <= room))).view_as(values)


def check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")


def _maps(clips: Tensor, flavour: Flavour, bayes: Bayes) -> dict[str, Tensor]:
    difference = frame_difference(clips)
    blurred = _smooth_like_code(difference)
    posterior = colour_posterior(colours(clips.mean(2), flavour), blurred, bayes)
    # the released code scales both maps to 0..1 before ranking: the ranks stay as they are, and nothing moving would be 0/0
    return {
        "frame_difference": difference,
        "frame_difference_blurred": blurred,
        "posterior": posterior,
        "posterior_blurred": _smooth_like_code(posterior),
    }


def _smooth_like_code(maps: Tensor) -> Tensor:
    kernel = blur_kernel(min(maps.shape[-2:]))
    return smooth(maps[:, None], gaussian_weights(kernel, kernel / 3, maps.device))[:, 0]


def _float32(clips: Tensor) -> Tensor:
    return clips.float().contiguous()  # contiguous: a mean over frames laid out otherwise rounds otherwise
