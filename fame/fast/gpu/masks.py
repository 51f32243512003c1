"""Compute hard foreground masks on a GPU: `fame.method.masks` restated so that a clip is read from memory once.

Results differ from the plain path's as those of fame/fast/cpu/masks.py do. They do not depend on the order in which programs run:
what programs share are whole numbers.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
from torch import Tensor

from fame.config import Flavour
from fame.fast.gpu import OPTIONS, on
from fame.fast.gpu import mask_kernels as kernels
from fame.method.bayes import COLOURS, PAPER, Bayes
from fame.method.smoothing import blur_kernel, gaussian_weights

# pixels a program takes, powers of two: so many that a thread reads 16 bytes at once
MOTION_BLOCK, MOTION_WARPS = 512, 4
MAP_BLOCK, MAP_WARPS = 1024, 4  # of maps that lie in the cache
TILE, TILE_WARPS = 32, 4  # rows and columns blurred together
RANK_BLOCK, RANK_WARPS = 8192, 16  # of a map that one program ranks


def keep_highest(clips: Tensor, count: int, flavour: Flavour | None, bayes: Bayes = PAPER) -> Tensor:
    """Keep `count` pixels of each clip, float (B, 3, T >= 2, H, W) -> bool (B, H, W), sides >= 16; flavour None: the seed mask."""
    with on(clips):
        score, colour = motion_and_colours(clips, flavour)
        score = blur(score)
        if colour is not None:
            score = blur(posterior(score, colour, bayes.counts(score[0].numel()), bayes.odds))
        return highest(score, count)


def motion_and_colours(clips: Tensor, flavour: Flavour | None) -> tuple[Tensor, Tensor | None]:
    """S, float32 (B, H, W) in 0..3, and unless `flavour` is None the colour index of the mean frame, int16 (B, H, W)."""
    clips = clips.detach().float().contiguous()
    batch, _, frames, height, width = clips.shape
    motion = clips.new_empty(batch, height, width)
    colour = None if flavour is None else torch.empty_like(motion, dtype=torch.int16)
    kernels.motion_kernel[_pieces(motion, MOTION_BLOCK)](
        clips,
        motion,
        colour,
        frames,
        height * width,
        OFFICIAL=flavour == "official",
        BLOCK=MOTION_BLOCK,
        num_warps=MOTION_WARPS,
        enable_fp_fusion=False,  # levels are rounded: a product and a sum rounded once would not give the plain path's colours
    )
    return motion, colour


def blur(maps: Tensor) -> Tensor:
    """`maps`, float32 (B, H, W), smoothed in place as the released code does before each ranking."""
    batch, height, width = maps.shape
    weights, turned = _blur(min(height, width), maps.device), torch.empty_like(maps)
    grid = (batch * triton.cdiv(height, TILE) * triton.cdiv(width, TILE),)
    how = {"TAPS": len(weights), "TILE": TILE, "num_warps": TILE_WARPS, **OPTIONS}
    kernels.blur_kernel[grid](maps, turned, weights, height, width, **how)
    kernels.blur_kernel[grid](turned, maps, weights, width, height, **how)
    return maps


def posterior(score: Tensor, colour: Tensor, samples: tuple[int, int], odds: float) -> Tensor:
    """P(F|x) of each pixel's colour, written over `score`, the ranking from which both samples are taken; both (B, H, W)."""
    pixels = score[0].numel()
    edges = edges_of(score, samples[0], pixels - samples[1])  # the rest of the same ranking: no pixel is in both samples
    counts = torch.zeros(len(score), 2, COLOURS, dtype=torch.int32, device=score.device)
    grid = _pieces(score, MAP_BLOCK)
    kernels.count_kernel[grid](score, edges, colour, counts, pixels, BLOCK=MAP_BLOCK, num_warps=MAP_WARPS, **OPTIONS)
    of_foreground, of_background = float(samples[0]), float(samples[1] + COLOURS)
    kernels.posterior_kernel[grid](
        colour,
        counts,
        score,
        of_foreground,
        of_background,
        odds,
        pixels,
        BLOCK=MAP_BLOCK,
        num_warps=MAP_WARPS,
        **OPTIONS,
    )
    return score


def highest(score: Tensor, count: int) -> Tensor:
    """Return bool like `score`, float32 (B, H, W) >= 0: exactly `count` a clip are True, as `top_share` has them."""
    pixels = score[0].numel()
    edges = edges_of(score, min(count, pixels))
    kept = torch.empty_like(score, dtype=torch.bool)
    grid = _pieces(score, MAP_BLOCK)
    kernels.keep_kernel[grid](score, edges, kept.view(torch.uint8), pixels, BLOCK=MAP_BLOCK, num_warps=MAP_WARPS, **OPTIONS)
    return kept


def edges_of(score: Tensor, *counts: int) -> Tensor:
    """Where the highest one or two `counts` of pixels end, int32 (B, 1 or 2, 2): the last score's bits, the last position."""
    batch, pixels = len(score), score[0].numel()
    edges = torch.empty(batch, len(counts), 2, dtype=torch.int32, device=score.device)
    block = min(RANK_BLOCK, triton.next_power_of_2(pixels))
    how = {"RANKINGS": len(counts), "BLOCK": block, "num_warps": max(4, min(RANK_WARPS, block // 512))}
    kernels.rank_kernel[(batch * len(counts),)](score, edges, counts[0], counts[-1], pixels, **how, **OPTIONS)
    return edges


def _pieces(maps: Tensor, block: int) -> tuple[int]:
    return (len(maps) * triton.cdiv(maps.shape[1] * maps.shape[2], block),)


@lru_cache(maxsize=16)
def _blur(side: int, device: torch.device) -> Tensor:
    size = blur_kernel(side)
    return gaussian_weights(size, size / 3, device)
