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
    """Those of the rows, in order, that are used: all where short videos are looped, else those as long as the window."""
    return rows if clip.short == "looped" else rows[videos.length[rows] >= clip.window]


def standing_in(videos: VideoSet, rows: Tensor, clip: Clip) -> Tensor:
    """The rows with the next one that is long enough in place of every one that is not, cyclic; as many as there were.

    FameError where none is long enough.
    """
    if clip.short == "looped" or not len(rows):
        return rows
    long_enough = (videos.length[rows] >= clip.window).nonzero()[:, 0]
    if not len(long_enough):
        raise FameError(none_fits(len(rows), "train", clip))
    place = torch.searchsorted(long_enough, torch.arange(len(rows))) % len(long_enough)
    return rows[long_enough[place]]


def too_short(videos: VideoSet, splits: list[str], clip: Clip) -> dict[str, Any]:
    """`{"too_short": {split: videos}}` for a run's notes, of those that are not used; empty where there is none."""
    if clip.short == "looped":
        return {}
    found = {split: int((videos.length[videos.select(split)] < clip.window).sum()) for split in splits}
    found = {split: number for split, number in found.items() if number}
    return {"too_short": found} if found else {}


def none_fits(videos: int, split: str, clip: Clip) -> str:
    """What is said where every video of a split is too short."""
    return (
        f"all {videos} videos of split {split} are shorter than the {clip.window} frames of a clip ({clip.frames}, {clip.stride} "
        "apart), and this protocol drops such videos: ask for fewer --frames, or for the one that loops them (--protocol corrected)"
    )


def check_crop(videos: VideoSet, rows: Tensor, clip: Clip) -> None:
    """FameError, naming the first video, where a frame is smaller than a centre crop that is not resized."""
    if clip.resize:
        return
    heights, widths = (torch.from_numpy(side)[rows] for side in (videos.store.heights, videos.store.widths))
    small = rows[torch.minimum(heights, widths) < clip.size].tolist()
    if small:
        size = int(videos.store.widths[small[0]]), int(videos.store.heights[small[0]])
        raise FameError(_too_small(videos.manifest.name, videos.tag("path")[small[0]], size, len(small), clip))


def check_manifest(manifest: Manifest, clip: Clip) -> None:
    """The same of a whole set at its files' own size, and whether its train and test splits have a video that fits: before any
    run."""
    if not clip.resize:
        small = [video for video in manifest.videos if min(video.width, video.height) < clip.size]
        if small:
            raise FameError(_too_small(manifest.name, small[0].path, (small[0].width, small[0].height), len(small), clip))
    if clip.short == "dropped":
        for split in ("train", "test"):
            lengths = [video.frames for video in manifest.videos if video.split == split]
            if lengths and max(lengths) < clip.window:
                raise FameError(f"{manifest.name}: {none_fits(len(lengths), split, clip)}")


def _too_small(name: str, path: str, size: tuple[int, int], many: int, clip: Clip) -> str:
    others = f" (and {many - 1} others)" if many > 1 else ""
    return (
        f"{name}: {path} is of {size[0]} x {size[1]} pixels{others}, smaller than the test crop of {clip.size}, and this protocol "
        "does not resize: ask for a smaller --size, leave the video out, or resize (--protocol corrected)"
    )
