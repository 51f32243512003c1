"""What the benchmarks compute on: clips with something moving in them, and small renderings of the embedded benchmark."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fame.config import StagedData
from fame.data import open_videos
from fame.data.clips import VideoSet
from fame.seeds import SELECTION_REPLICATES, Seeds
from studies.setting.scales import world


def moving_clips(batch: int, frames: int, size: int, device: torch.device | str = "cpu", seed: int = 0) -> Tensor:
    """Float (batch, 3, frames, size, size) in [0, 1]: a still backdrop, a square that crosses it, sensor noise.

    Made on the CPU from `seed`, so equal on every device. Noise alone would put all pixels into few colours, of no real clip.
    """
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, max(2, size // 16), max(2, size // 16), generator=generator)
    clips = F.interpolate(coarse, (size, size), mode="bilinear")[:, :, None].repeat(1, 1, frames, 1, 1)
    side = size // 4
    paint = torch.rand(batch, 3, 1, 1, generator=generator)
    for frame in range(frames):
        left = (size - side) * frame // max(1, frames - 1)
        clips[:, :, frame, size // 3 : size // 3 + side, left : left + side] = paint
    clips.add_(torch.randn(clips.shape, generator=generator), alpha=0.01).clamp_(0, 1)
    return clips.to(device)


def staged_videos(folder: Path, train: int, size: int = 48) -> tuple[StagedData, VideoSet]:
    """`train` training videos of a selection world (no verdict rests on it) at `size` pixels, rendered and decoded in `folder`."""
    small = world(train=train, source=train, small=16, test=8, val=8).model_copy(update={"size": size})
    data = StagedData(part="source", world=small, short_side=size)
    return data, open_videos(data, Seeds(SELECTION_REPLICATES), folder / "cache")
