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
from fame.fast.cpu.mask_kernels import keep_kernel
from fame.method.bayes import LEVELS, PAPER, Bayes
from fame.method.smoothing import blur_kernel, gaussian_weights


def keep_highest(clips: Tensor, count: int, flavour: Flavour | None, bayes: Bayes = PAPER) -> Tensor:
    """bool (B, H, W), exactly `count` True a clip: the fame mask in `flavour`, or with None the seed mask.

    clips: float (B, 3, T, H, W) on a CPU, T >= 2, sides >= 16; float32 and contiguous copies are made of others.
    """
    batch, _, length, height, width = clips.shape
    given, pixels = clips.detach().float().contiguous(), height * width
    kept = torch.empty(batch, height, width, dtype=torch.bool, device=given.device)
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


@lru_cache(maxsize=16)
def _blur(side: int) -> np.ndarray[Any, Any]:
    size = blur_kernel(side)
    return gaussian_weights(size, size / 3, torch.device("cpu")).numpy()
