"""Hard foreground masks on a GPU: `fame.method.masks` restated so that a clip is read from memory once.

Ten kernels follow one another without the host: motion and colours, the blur in two halves, the two rankings of the
samples, their colour counts, the posterior, its blur, its ranking, the mask. After the first of them all that is read lies in the
second-level cache: maps of one number a pixel, of which two are kept.

The arithmetic is that of the plain path, operation by operation, but for sine, cosine and the order of some sums over time: a
colour within 1e-5 of a rounding edge may fall on its other side, and pixels of equal score may change places. Results do not depend
on the order in which programs run: what they share are whole numbers.
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
    """bool (B, H, W), exactly `count` True a clip: the fame mask in `flavour`, or with None the seed mask.

    clips: float (B, 3, T, H, W) on a GPU, T >= 2, sides >= 16; float32 and contiguous copies are made of others.
    """
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
        colour, counts, score, of_foreground, of_background, odds, pixels, BLOCK=MAP_BLOCK, num_warps=MAP_WARPS, **OPTIONS
    )
    return score


def highest(score: Tensor, count: int) -> Tensor:
    """bool, shaped like `score`, float32 (B, H, W) >= 0: exactly `count` a clip are True, as `fame.method.masks.top_share` has
    them."""
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
