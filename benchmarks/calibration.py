"""The embedded benchmark beside real video: what makes it hard or easy for the method, measured alike on both.

    python -m benchmarks.calibration REAL --cache CACHE [--replicate 1000] [--videos 60]

REAL holds UCF-101/ with actor_boxes.json, davis2016/ and sbi2015/ (any of them may be absent). Prints the table of
docs/benchmark.md as Markdown. What ours is compared in is fixed by real video, never by what a method gains (docs/rules.md).

Per clip of 16 consecutive frames, short side `SIDE` pixels unless said otherwise:

- figure area, box area: share of the frame, mean over frames; box centre: distance from the frame's centre in sides
- camera: displacement of the whole picture between consecutive frames that fits best outside the figure, percent of the short side
- no change: share of pixels that two consecutive decoded frames share exactly, at native size; ties: share of a clip's pixels whose
  motion S is exactly 0 (where it exceeds 10 %, the background's colour sample is arbitrary)
- contrast: standard deviation of luminance; edges: mean absolute luminance difference of neighbours; both over 0..1
- overlap: histogram intersection of the figure's and the rest's colours, in the method's own levels
- recall lift and AUROC of the masks fame and seed at beta 0.5 (fame/evaluation/analysis/mask_quality.py), union truth
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torchvision.ops import masks_to_boxes

from fame.config import StagedData
from fame.data.staged.render import read_masks
from fame.data.staged.videos import render
from fame.data.video import decode
from fame.evaluation.analysis.mask_quality import measure, soft_maps, still_pixels
from fame.method.masks import colours, foreground_mask, frame_difference
from fame.seeds import SELECTION_REPLICATES, Seeds
from studies.real_masks.clips import FRAMES, STRIDE, Frames, Truth, camera_motion, davis, grey, resize, sbi, ucf101
from studies.setting.scales import SCALES


class Sample(NamedTuple):
    """Sixteen frames at native size with what is known of the figure in them."""

    group: str
    frames: Frames  # (T, H, W, 3)
    masks: Truth | None = None  # (T, H, W)
    boxes: NDArray[np.float64] | None = None  # (T, 4): x, y, w, h in pixels


def real(folder: Path, videos: int) -> Iterator[Sample]:
    """Read a clip of each UCF101 video (its middle, or its first actor's), two of each DAVIS sequence, and SBI's with figures."""
    for video in ucf101(folder, videos):
        boxes, start = None, max(0, (len(video.frames) - FRAMES) // 2)
        for track in video.tracks[:1]:
            start = min(max(start, track.first), max(track.first, track.first + len(track.boxes) - FRAMES))
            boxes = track.boxes[start - track.first : start - track.first + FRAMES]
        yield Sample("UCF101", video.frames[start : start + FRAMES], boxes=boxes)
    for video in davis(folder):
        assert video.masks is not None
        for start in (0, len(video.frames) // 2):
            part = slice(start, start + FRAMES)
            group = "DAVIS, near-still" if video.name == "breakdance" else "DAVIS, moving"
            yield Sample(group, video.frames[part], video.masks[part])
    for video in sbi(folder):
        assert video.masks is not None
        for start in range(0, len(video.frames) - FRAMES, 2 * FRAMES):
            part = slice(start, start + FRAMES)
            if video.masks[part].any(axis=(1, 2)).all():
                yield Sample(f"{video.name}, still", video.frames[part], video.masks[part])


def ours(cache: Path, replicate: int, scale: str, videos: int) -> Iterator[Sample]:
    """Read test performances of part A in their own scenes back from the coded files."""
    world = SCALES[scale].world
    assert world is not None
    manifest = render(StagedData(part="A", world=world), Seeds(replicate), cache)
    for video in manifest.select("test")[:videos]:
        masks = read_masks(manifest.root / video.tags["mask"], video.width)[:FRAMES]
        yield Sample(f"staged v{world.version}", decode(manifest.root / video.path)[:FRAMES], masks)


def describe(sample: Sample) -> dict[str, float]:
    """Return every quantity that the sample knows enough for."""
    frames, masks, boxes = sample.frames, sample.masks, sample.boxes
    small = resize(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)  # (T, 3, h, w)
    light, clip = grey(small), small[::STRIDE].transpose(0, 1)[None]
    found: dict[str, float] = {
        "no change": float((frames[1:] == frames[:-1]).all(axis=-1).mean()),
        "contrast": float(light.std(dim=(1, 2)).mean()),
        "edges": float((light.diff(dim=1).abs().mean() + light.diff(dim=2).abs().mean()) / 2),
        "camera, % of side": camera_motion(light, masks),
        "ties": float((frame_difference(clip) == 0).float().mean()),
    }
    if masks is not None:
        corners = masks_to_boxes(torch.from_numpy(masks[masks.any(axis=(1, 2))])).double().numpy()  # the last pixel included
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2] + 1], axis=1)
        found |= _figure(clip, resize(torch.from_numpy(masks)[::STRIDE, None].float())[:, 0] > 0.5)
    if boxes is not None and len(boxes):
        height, width = frames.shape[1:3]
        centre = (boxes[:, :2] + boxes[:, 2:] / 2) / (width, height) - 0.5
        found["box area"] = float((boxes[:, 2] * boxes[:, 3]).mean() / (width * height))
        found["off centre"] = float(np.hypot(*centre.T).mean())
    return found


def _figure(clip: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """Return what needs true masks: clip (1, 3, T, h, w), truth bool (T, h, w)."""
    found = {"figure area": float(truth.float().mean())}
    union = truth.any(0)
    if not union.any() or union.all():
        return found
    levels = colours(clip.mean(2), "paper")[0]
    inside, outside = (torch.bincount(levels[where], minlength=1000).double() for where in (union, ~union))
    found["colour overlap"] = float(torch.minimum(inside / inside.sum(), outside / outside.sum()).sum())
    maps = soft_maps(clip, "paper")
    still = still_pixels(frame_difference(clip), union[None])
    for variant in ("fame", "seed"):
        mask = foreground_mask(clip, variant=variant, beta=0.5) > 0.5  # type: ignore[arg-type]
        values = measure(mask, maps[variant], truth[None], still)  # type: ignore[index]
        found |= {f"{variant}: {name}": float(values[key][0]) for name, key in (("recall lift", "recall_lift"), ("AUROC", "auroc"))}
    return found


def table(samples: Iterator[Sample]) -> str:
    """Return Markdown: a row a quantity, a column a group, mean over its clips (number of clips in the head)."""
    groups = pd.DataFrame([{"group": sample.group, **describe(sample)} for sample in samples]).groupby("group", sort=False)
    heads = [f"{group} ({count})" for group, count in groups.size().items()]
    lines = [f"| {' | '.join(['per clip', *heads])} |", "| --- " * (len(heads) + 1) + "|"]
    for name, means in groups.mean().sort_index(axis=1).items():
        lines.append(f"| {name} | " + " | ".join(f"{mean:.3f}" if pd.notna(mean) else "-" for mean in means) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--replicate", type=int, default=SELECTION_REPLICATES, help="a selection world, %(default)s or later")
    parser.add_argument("--scale", default="quick", choices=["smoke", "quick", "mini"])
    parser.add_argument("--videos", type=int, default=60, help="at most, of UCF101 and of ours")
    args = parser.parse_args()
    if args.replicate < SELECTION_REPLICATES:
        parser.error(f"verdict worlds are not to be looked at: --replicate {SELECTION_REPLICATES} or later")
    torch.set_num_threads(1)
    print(table(chain(real(args.real, args.videos), ours(args.cache, args.replicate, args.scale, args.videos))))


if __name__ == "__main__":
    main()
