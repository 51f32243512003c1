"""Describe clips without a network: what a probe must beat, and how far appearance or motion alone gives a label away."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from fame.config import Probe
from fame.data.clips import VideoSet
from fame.evaluation.features import batches

CELLS = 8  # a side of the grid that frames are averaged to
BATCH = 64  # clips at a time


def described(videos: VideoSet, rows: Tensor, config: Probe) -> Tensor:
    """Return descriptors (N, clips, D) of the clips that a probe reads, by `config.reads`; D is 192 or, for `file_facts`, 4."""
    if config.reads == "file_facts":
        found = (videos.manifest.videos[row] for row in rows.tolist())
        return torch.tensor([[[one.frames, one.fps, one.width, one.height]] for one in found]).expand(-1, config.clips, -1)
    described = []
    for clips in batches(videos, rows, config.clip, config.clips, BATCH, torch.device("cpu")):
        still = clips.mean(dim=2) if config.reads == "mean_frame" else clips.diff(dim=2).abs().mean(dim=2)
        described.append(adaptive_avg_pool2d(still, CELLS).flatten(1))
    return torch.cat(described).reshape(len(rows), config.clips, -1)
