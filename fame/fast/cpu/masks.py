"""Hard foreground masks on a CPU: `fame.method.masks` restated so that a clip is read from memory once.

Threads share the clips of a batch; everything a mask is made from stays in the thread's own cache. The arithmetic is that of the
plain path, operation by operation, but for sine, cosine and the order of some sums over time: a colour within 1e-5 of a rounding
edge may fall on its other side, and pixels of equal score may change places. Ranking needs no sort: floats >= 0 are ordered as
their bits are, so the threshold is found bit by bit, each by counting the pixels that reach it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.config import Flavour
from fame.fast.cpu.mask_kernels import colours_kernel, keep_kernel, motion_and_mean_kernel
from fame.method.bayes import LEVELS, PAPER, Bayes
from fame.method.smoothing import blur_kernel, gaussian_weights


def keep_highest(clips: Tensor, count: int, flavour: Flavour | None, bayes: Bayes = PAPER) -> Tensor:
    """bool (B, H, W), exactly `count` True a clip: the fame mask in `flavour`, or with None the seed mask.

    clips: float (B, 3, T, H, W) on a CPU, T >= 2, sides >= 16; float32 and contiguous copies are made of others.
    """
    batch, _, length, height, width = clips.shape
    given, pixels = _plain(clips), height * width
    kept = torch.empty(batch, height, width, dtype=torch.bool)
    keep_kernel(
        given.data_ptr(),
        kept.data_ptr(),
        batch,
        length,
        height,
        width,
        _blur(min(height, width)),
        min(count, pixels),
        bayes.counts(pixels),
        np.float32(bayes.odds),
        LEVELS,
        flavour is not None,
        flavour == "official",
        torch.get_num_threads(),
    )
    return kept


def frame_difference(clips: Tensor) -> Tensor:
    """Return the seed region S (B, H, W), float32, of clips as in `keep_highest`."""
    return motion_and_mean(clips)[0]


def motion_and_mean(clips: Tensor) -> tuple[Tensor, Tensor]:
    """Return the seed region S (B, H, W) and the mean frame (B, 3, H, W), float32, of clips as in `keep_highest`."""
    batch, height, width = len(clips), *clips.shape[-2:]
    motion, mean = torch.empty(batch, height, width), torch.empty(batch, 3, height, width)
    motion_and_mean_kernel(planes(clips), motion.view(batch, -1).numpy(), mean.view(batch, 3, -1).numpy())
    return motion, mean


def colours(frames: Tensor, flavour: Flavour) -> Tensor:
    """(B, 3, H, W) RGB in [0, 1] -> long (B, H, W) in 0..999: the colour index of the fast path, as `fame.method.masks.colours`."""
    colour = torch.empty(len(frames), *frames.shape[2:], dtype=torch.uint16)
    colours_kernel(
        frames.detach().float().contiguous().flatten(2).numpy(), colour.flatten(1).numpy(), LEVELS, flavour == "official"
    )
    return colour.long()


def planes(clips: Tensor) -> np.ndarray[Any, Any]:
    """(B, 3, T, H, W) -> float32 array (B, 3, T, H*W), without a copy where the clips are float32 and contiguous."""
    return _plain(clips).flatten(3).numpy()


def _plain(clips: Tensor) -> Tensor:
    return clips.detach().float().contiguous()


@lru_cache(maxsize=16)
def _blur(side: int) -> np.ndarray[Any, Any]:
    size = blur_kernel(side)
    return gaussian_weights(size, size / 3, torch.device("cpu")).numpy()
