"""Cut clips from prepared videos: windows of frames, by row number, as tensors.

A window covers `clip.frames * clip.stride` frames; a start is valid in [0, length - window]. By `Clip.short`, a video shorter than
the window is looped from 0 (frame i is frame i modulo its length), or dropped as in the released code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.config import Clip
from fame.data.manifest import Manifest, is_fold, none_fits
from fame.data.staged.render import read_masks
from fame.data.store import FrameStore
from fame.errors import FameError


class VideoSet:
    """The videos of a manifest, prepared. Rows number them in the manifest's order; row and start tensors are int64, on the CPU."""

    def __init__(self, manifest: Manifest, store: FrameStore) -> None:
        self.manifest = manifest
        self.store = store
        self.classes = manifest.classes
        self._split = [video.split for video in manifest.videos]
        self.splits = list(dict.fromkeys(self._split))  # names, in order of first appearance
        self.labels = torch.tensor([video.label for video in manifest.videos])
        self.length = torch.from_numpy(store.frames.copy())  # frames

    def __len__(self) -> int:
        return len(self.manifest.videos)

    def select(self, split: str) -> Tensor:
        """Rows of one split, in order; empty where the set has no such split."""
        return torch.tensor([row for row, name in enumerate(self._split) if name == split], dtype=torch.long)

    def folds(self) -> list[Tensor]:
        """Rows of each fold of cross-validation; empty where the set has none."""
        return [self.select(split) for split in sorted(self.splits) if is_fold(split)]

    def tag(self, name: str) -> list[str]:
        """One tag of every video, "" where a video has none; `path` is the path below the manifest's root."""
        if name == "path":
            return [video.path for video in self.manifest.videos]
        return [video.tags.get(name, "") for video in self.manifest.videos]

    def random_starts(self, rows: Tensor, clip: Clip, generator: torch.Generator) -> Tensor:
        """One start a row, uniform over the valid ones: (B,). One number is drawn a row, whatever its length."""
        valid = self._last_start(rows, clip) + 1
        draw = torch.rand(len(rows), generator=generator, dtype=torch.float64)
        return torch.minimum((draw * valid).long(), valid - 1)

    def uniform_starts(self, rows: Tensor, clip: Clip, n: int) -> Tensor:
        """`n` starts a row, evenly spaced from the first valid one to the last, rounded: (B, n); the middle one for n = 1."""
        last = self._last_start(rows, clip)[:, None]
        if n == 1:
            return last // 2
        return (2 * torch.arange(n)[None] * last + (n - 1)) // (2 * (n - 1))

    def _last_start(self, rows: Tensor, clip: Clip) -> Tensor:
        return (self.length[rows] - clip.window).clamp_min(0)

    def frame_numbers(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor:
        """Frames of its video that each clip shows, (B, T); short videos are looped."""
        return (starts[:, None] + torch.arange(clip.frames)[None] * clip.stride) % self.length[rows][:, None]

    def clips(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor | list[Tensor]:
        """uint8 (B, T, H, W, 3), contiguous, where all videos of the set have one size; else a list of (T, H, W, 3)."""
        numbers = self.frame_numbers(rows, starts, clip)
        if self.store.size is not None:
            clips = np.empty((len(rows), clip.frames, *self.store.size, 3), np.uint8)
            self.store.read(rows.tolist(), numbers.numpy(), list(clips))
            return torch.from_numpy(clips)
        sizes = zip(self.store.heights[rows.numpy()].tolist(), self.store.widths[rows.numpy()].tolist(), strict=True)
        each = [np.empty((clip.frames, *size, 3), np.uint8) for size in sizes]
        self.store.read(rows.tolist(), numbers.numpy(), each)
        return [torch.from_numpy(shown) for shown in each]

    def true_masks(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor | None:
        """The figure in each frame of `clips`, bool (B, T, H, W), at the stored size; None where a row has no true mask."""
        videos = [self.manifest.videos[row] for row in rows.tolist()]
        if not videos or not all(video.tags.get("mask") for video in videos):
            return None
        masks = []
        for row, video, frames in zip(rows.tolist(), videos, self.frame_numbers(rows, starts, clip).numpy(), strict=True):
            truth = read_masks(self.manifest.root / video.tags["mask"], video.width)[frames]
            y, x = (
                ((np.arange(stored) + 0.5) * side / stored).astype(int)  # the nearest pixel
                for side, stored in zip(truth.shape[1:], (self.store.heights[row], self.store.widths[row]), strict=True)
            )
            masks.append(truth[:, y[:, None], x])
        return torch.from_numpy(np.stack(masks))


def fitting(videos: VideoSet, rows: Tensor, clip: Clip) -> Tensor:
    """Return the rows that are used: all where short videos are looped, else those as long as the window."""
    return rows if clip.short == "looped" else rows[videos.length[rows] >= clip.window]


def standing_in(videos: VideoSet, rows: Tensor, clip: Clip) -> Tensor:
    """Return the rows with the next one that is long enough, cyclic, for each that is not. FameError where none is."""
    if clip.short == "looped" or not len(rows):
        return rows
    long_enough = (videos.length[rows] >= clip.window).nonzero()[:, 0]
    if not len(long_enough):
        raise FameError(none_fits(len(rows), "train", clip))
    place = torch.searchsorted(long_enough, torch.arange(len(rows))) % len(long_enough)
    return rows[long_enough[place]]


def too_short(videos: VideoSet, splits: list[str], clip: Clip) -> dict[str, Any]:
    """Return `{"too_short": {split: videos}}`, for a run's notes, of those that are not used; empty where there is none."""
    if clip.short == "looped":
        return {}
    found = {split: int((videos.length[videos.select(split)] < clip.window).sum()) for split in splits}
    found = {split: number for split, number in found.items() if number}
    return {"too_short": found} if found else {}
