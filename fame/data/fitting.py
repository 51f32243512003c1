"""Which videos a clip fits into, in time and in space, and what is done with those it does not fit.

In time, `Clip.short`: a video shorter than the window is looped (clips.py), or dropped, as in the released code, whose windows lie
inside a video or nowhere: a test leaves it out, and so do finetuning and the probe; in pretraining the next video of the list
stands in for it. In space, `Clip.resize`: a test that does not resize needs frames at least as large as its crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fame.config import Clip
from fame.errors import FameError

if TYPE_CHECKING:
    from fame.data.clips import VideoSet
    from fame.data.manifest import Manifest


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


def none_fits(videos: int, split: str, clip: Clip) -> str:
    """Say that every video of a split is too short."""
    return (
        f"all {videos} videos of split {split} are shorter than the {clip.window} frames of a clip ({clip.frames}, {clip.stride} "
        "apart), and this protocol drops such videos: ask for fewer --frames, or for the one that loops them (--protocol corrected)"
    )


def check_manifest(manifest: Manifest, clip: Clip) -> None:
    """Raise FameError where a file is smaller than a crop that is not resized, or no video of train or test is long enough."""
    small = [video for video in manifest.videos if min(video.width, video.height) < clip.size and not clip.resize]
    if small:
        first, others = small[0], f" (and {len(small) - 1} others)" if len(small) > 1 else ""
        raise FameError(
            f"{manifest.name}: {first.path} is of {first.width} x {first.height} pixels{others}, smaller than the test crop of "
            f"{clip.size}, and this protocol does not resize: ask for a smaller --size, leave the video out, or resize "
            "(--protocol corrected)"
        )
    for split in ("train", "test"):
        lengths = [video.frames for video in manifest.videos if video.split == split]
        if clip.short == "dropped" and lengths and max(lengths) < clip.window:
            raise FameError(f"{manifest.name}: {none_fits(len(lengths), split, clip)}")
