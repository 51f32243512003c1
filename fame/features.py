"""Frozen features of uniform clips: what every evaluation reads, extracted once and shared by all heads and measures.

The test protocol of the paper: `clips` uniformly spaced clips of a video, centre crop, no augmentation; the encoder in eval mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fame.augment import centre_crop, normalise
from fame.backbones import Encoder, fast_layout
from fame.checkpoint import load_encoder
from fame.config import Augment, Backbone, Clip, Precision
from fame.errors import FameError
from fame.precision import autocast, resolve

if TYPE_CHECKING:
    from fame.data.clips import VideoSet
    from fame.run import Run

BATCH = 64  # clips a forward pass: it moves no number beyond rounding, so it is no scientific choice


def open_encoder(path: Path | None, run: Run) -> tuple[Encoder, Backbone]:
    """The encoder that the upstream stage left, in eval mode on the run's device. ValueError where a stage was given none."""
    if path is None:
        raise ValueError("this evaluation reads an encoder and was given none; pretraining of kind 'random' makes an untrained one")
    encoder, backbone = load_encoder(path)
    return fast_layout(encoder.to(run.device)).eval(), backbone


def batches(videos: VideoSet, rows: Tensor, clip: Clip, clips: int, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Centre crops float (at most `batch`, 3, T, size, size) in [0, 1] of `clips` uniform clips of each row (of one: the
    middle)."""
    starts = middle_starts(videos, rows, clip) if clips == 1 else videos.uniform_starts(rows, clip, clips).reshape(-1)
    for part, begin in zip(rows.repeat_interleave(clips).split(batch), starts.split(batch), strict=True):
        yield centre_crop(videos.clips(part, begin, clip), clip.size).to(device)


def middle_starts(videos: VideoSet, rows: Tensor, clip: Clip) -> Tensor:
    """The start of the middle one of three uniform clips of each row: LongTensor (B,)."""
    return videos.uniform_starts(rows, clip, 3)[:, 1]


@torch.inference_mode()
def extract(
    encoder: Encoder,
    videos: VideoSet,
    rows: Tensor,
    *,
    clip: Clip,
    clips: int,
    device: torch.device,
    augment: Augment | None = None,
    precision: Precision = "auto",
    batch: int = BATCH,
) -> Tensor:
    """Pooled features of `clips` uniform clips of each row (of one: the middle clip): float32 (N, clips, dim) on the CPU.

    The encoder is put in eval mode and left as it was found. `augment` gives mean and std of the normalisation (default: those of
    training); nothing is drawn at random. FameError where a feature is NaN or infinite: it would win every comparison.
    """
    if not len(rows):
        return torch.empty(0, clips, encoder.dim)
    dtype = resolve(precision, device)
    before = encoder.training
    encoder.eval()
    found = []
    try:
        for clip_batch in batches(videos, rows, clip, clips, batch, device):
            with autocast(dtype, device):
                found.append(encoder(normalise(clip_batch, augment or Augment())).float().cpu())
    finally:
        encoder.train(before)
    features = torch.cat(found).reshape(len(rows), clips, -1)
    if not features.isfinite().all():
        raise FameError(
            "the encoder gives features that are not finite: its training diverged; lower the learning rate and pretrain again"
        )
    return features
