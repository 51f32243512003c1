"""The embedded benchmark beside real video: `python -m benchmarks.calibration REAL --cache CACHE`.

For REAL see studies/real_masks/clips.py. Measures, per clip of 16 consecutive frames, short side 48 pixels unless said otherwise:

- figure area, box area: share of the frame, mean over frames; off centre: the box's distance from the frame's centre, in sides
- no change: share of pixels that two consecutive decoded frames share exactly, at native size
- contrast: standard deviation of luminance; edges: mean absolute luminance difference of neighbours; both over 0..1
- colour overlap: histogram intersection of the figure's and the rest's colours, in the method's own levels
- recall lift of the masks fame and seed at beta 0.5 (fame/evaluation/analysis/mask_quality.py), union truth
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torchvision.ops import masks_to_boxes

from fame.config import StagedData
from fame.data.staged.render import read_masks
from fame.data.staged.videos import render
from fame.data.video import decode
from fame.method.masks import colours, foreground_mask
from fame.seeds import SELECTION_REPLICATES, Seeds
from studies.real_masks.clips import FRAMES, STRIDE, Frames, Truth, Video, davis, grey, resize, sbi, ucf101
from studies.setting.scales import SCALES

Boxes = NDArray[np.float64]  # (T, 4): x, y, w, h in pixels
Sample = tuple[str, Frames, Truth | None, Boxes | None]  # group, frames (T, H, W, 3), masks (T, H, W)
VIDEOS = 60  # at most, of UCF101 and of ours


def real(folder: Path) -> Iterator[Sample]:
    """Read a clip of each UCF101 video (its middle, or its first actor's), two of each DAVIS sequence, and SBI's with figures."""
    for video in ucf101(folder, VIDEOS):
        boxes, start = None, max(0, (len(video.frames) - FRAMES) // 2)
        for track in video.tracks[:1]:
            start = min(max(start, track.first), max(track.first, track.first + len(track.boxes) - FRAMES))
            boxes = track.boxes[start - track.first : start - track.first + FRAMES]
        yield "UCF101", video.frames[start : start + FRAMES], None, boxes
    for video in davis(folder):
        group = "DAVIS, near-still" if video.name == "breakdance" else "DAVIS, moving"
        yield from ((group, *clip, None) for clip in _clips(video, (0, len(video.frames) // 2)))
    for video in sbi(folder):
        clips = _clips(video, range(0, len(video.frames) - FRAMES, 2 * FRAMES))
        yield from ((f"{video.name}, still", frames, masks, None) for frames, masks in clips if masks.any(axis=(1, 2)).all())


def _clips(video: Video, starts: Iterable[int]) -> Iterator[tuple[Frames, Truth]]:
    assert video.masks is not None
    for start in starts:
        yield video.frames[start : start + FRAMES], video.masks[start : start + FRAMES]


def ours(cache: Path) -> Iterator[Sample]:
    """Read test performances of part A in their own scenes back from the coded files, of a selection world at scale quick."""
    world = SCALES["quick"].world
    assert world is not None
    manifest = render(StagedData(part="A", world=world), Seeds(SELECTION_REPLICATES), cache)
    for video in manifest.select("test")[:VIDEOS]:
        masks = read_masks(manifest.root / video.tags["mask"], video.width)[:FRAMES]
        yield f"staged v{world.version}", decode(manifest.root / video.path)[:FRAMES], masks, None


def describe(frames: Frames, masks: Truth | None, boxes: Boxes | None) -> dict[str, float]:
    """Return every quantity that the sample knows enough for."""
    small = resize(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)  # (T, 3, h, w)
    light = grey(small)
    found = {"no change": float((frames[1:] == frames[:-1]).all(axis=-1).mean())}
    found["contrast"] = float(light.std(dim=(1, 2)).mean())
    found["edges"] = float((light.diff(dim=1).abs().mean() + light.diff(dim=2).abs().mean()) / 2)
    if masks is not None:
        corners = masks_to_boxes(torch.from_numpy(masks[masks.any(axis=(1, 2))])).double().numpy()  # the last pixel included
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2] + 1], axis=1)
        truth = resize(torch.from_numpy(masks)[::STRIDE, None].float())[:, 0] > 0.5
        found |= figure(small[::STRIDE].transpose(0, 1)[None], truth)
    if boxes is not None and len(boxes):
        height, width = frames.shape[1:3]
        centre = (boxes[:, :2] + boxes[:, 2:] / 2) / (width, height) - 0.5
        found["box area"] = float((boxes[:, 2] * boxes[:, 3]).mean() / (width * height))
        found["off centre"] = float(np.hypot(*centre.T).mean())
    return found


def figure(clip: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """Return what needs true masks: clip (1, 3, T, h, w), truth bool (T, h, w)."""
    found = {"figure area": float(truth.float().mean())}
    union = truth.any(0)
    if not union.any() or union.all():
        return found
    levels = colours(clip.mean(2), "paper")[0]
    inside, outside = (torch.bincount(levels[where], minlength=1000).double() for where in (union, ~union))
    found["colour overlap"] = float(torch.minimum(inside / inside.sum(), outside / outside.sum()).sum())
    for variant in ("fame", "seed"):
        mask = foreground_mask(clip, variant=variant, beta=0.5)[0].double()
        found[f"{variant}: recall lift"] = float((mask[union].mean() - mask.mean()) / (1 - mask.mean()))
    return found


def main() -> None:
    """Print Markdown: a row a quantity, a column a group, mean over its clips (number of clips in the head)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    samples = chain(real(asked.real), ours(asked.cache))
    rows = [{"group": group, **describe(frames, masks, boxes)} for group, frames, masks, boxes in samples]
    groups = pd.DataFrame(rows).groupby("group", sort=False)
    heads = [f"{group} ({count})" for group, count in groups.size().items()]
    print(f"| {' | '.join(['per clip', *heads])} |", "| --- " * (len(heads) + 1) + "|", sep="\n")
    for quantity, means in groups.mean().sort_index(axis=1).items():
        print(f"| {quantity} | " + " | ".join(f"{mean:.3f}" if pd.notna(mean) else "-" for mean in means) + " |")


if __name__ == "__main__":
    main()
