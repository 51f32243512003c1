"""The embedded benchmark beside real video: what makes it hard or easy for the method, measured alike on both.

    python benchmarks/calibration.py REAL --cache CACHE [--replicate 1000] [--videos 60]

REAL holds UCF-101/ with actor_boxes.json, davis2016/ and sbi2015/ (any of them may be absent). Prints the table of
docs/benchmark.md as Markdown. What ours is compared in is fixed by real video, never by what a method gains (DESIGN.md).

Per clip of 16 consecutive frames, short side `SIDE` pixels unless said otherwise:

- figure area, box area: share of the frame, mean over frames; box centre: distance from the frame's centre in sides
- camera: displacement of the whole picture between consecutive frames by phase correlation, percent of the short side
- no change: share of pixels that two consecutive decoded frames share exactly, at native size; ties: share of a clip's pixels whose
  motion S is exactly 0 (where it exceeds 10 %, the background's colour sample is arbitrary)
- contrast: standard deviation of luminance; edges: mean absolute luminance difference of neighbours; both over 0..1
- overlap: histogram intersection of the figure's and the rest's colours, in the method's own levels
- recall lift and AUROC of the masks fame and seed at beta 0.5 (fame/analysis/mask_quality.py), union truth
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image

from fame.analysis.mask_quality import measure, soft_maps, still_pixels
from fame.config import StagedData
from fame.data.staged import render
from fame.data.staged_render import read_masks
from fame.data.video import decode
from fame.errors import FameError
from fame.masks import colours, foreground_mask, frame_difference
from fame.seeds import SELECTION_REPLICATES, Seeds
from studies.scales import SCALES

SIDE = 48
FRAMES = 16
STRIDE = 2  # of the frames that masks are computed on, as in training

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """Sixteen frames at native size with what is known of the figure in them."""

    group: str
    frames: Frames  # (T, H, W, 3)
    masks: NDArray[np.bool_] | None = None  # (T, H, W)
    boxes: NDArray[np.float64] | None = None  # (T, 4): x, y, w, h in pixels


def ucf101(folder: Path, videos: int) -> Iterator[Sample]:
    """Clips with actor boxes first, then others, from the middle of each video."""
    notes = folder / "actor_boxes.json"
    boxed = json.loads(notes.read_text()) if notes.exists() else {}
    files = sorted((folder / "UCF-101").glob("*/*.avi"), key=lambda path: (path.stem not in boxed, path.stem))
    for path in files[:videos]:
        frames, boxes = decode(path), None
        start = max(0, (len(frames) - FRAMES) // 2)
        for track in boxed.get(path.stem, [])[:1]:
            first, found = track["first_frame"] - 1, track["boxes_xywh"]
            start = min(max(start, first), max(first, first + len(found) - FRAMES))
            boxes = np.array(found[start - first : start - first + FRAMES], float)
        yield Sample("UCF101", frames[start : start + FRAMES], boxes=boxes)


def davis(folder: Path, _: int) -> Iterator[Sample]:
    """The object sequences, still and moving cameras apart; two clips of each."""
    for sequence in sorted((folder / "davis2016/JPEGImages").glob("*")):
        names = sorted(path.stem for path in sequence.iterdir())
        for start in (0, len(names) // 2):
            some = names[start : start + FRAMES]
            frames = np.stack([np.asarray(Image.open(sequence / f"{name}.jpg").convert("RGB")) for name in some])
            truth = folder / "davis2016/Annotations" / sequence.name
            masks = np.stack([np.asarray(Image.open(truth / f"{name}.png").convert("L")) > 127 for name in some])
            yield Sample("DAVIS, near-still" if sequence.name == "breakdance" else "DAVIS, moving", frames, masks)


def caviar(folder: Path, _: int) -> Iterator[Sample]:
    """A surveillance camera on its post: clips in which somebody is to be seen."""
    images = sorted((folder / "sbi2015/CAVIAR2/input").glob("*"))
    truths = sorted((folder / "sbi2015/CAVIAR2/groundtruth").glob("*"))
    for start in range(0, len(images) - FRAMES, 2 * FRAMES):
        masks = np.stack([np.asarray(Image.open(path).convert("L")) > 127 for path in truths[start : start + FRAMES]])
        if masks.any(axis=(1, 2)).all():
            frames = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in images[start : start + FRAMES]])
            yield Sample("CAVIAR2, still", frames, masks)


def ours(cache: Path, replicate: int, scale: str, videos: int) -> Iterator[Sample]:
    """Test performances of part A in their own scenes, read back from the coded files."""
    world = SCALES[scale].world
    if world is None:
        raise FameError(f"scale {scale!r} has no embedded benchmark; choose smoke, quick or mini")
    manifest = render(StagedData(part="A", world=world), Seeds(replicate), cache)
    for video in manifest.select("test")[:videos]:
        masks = read_masks(manifest.root / video.tags["mask"], video.width)[:FRAMES]
        yield Sample(f"staged v{world.version}", decode(manifest.root / video.path)[:FRAMES], masks)


def describe(sample: Sample) -> dict[str, float]:
    """Every quantity that the sample knows enough for."""
    frames = sample.frames
    found: dict[str, float] = {"no change": float((frames[1:] == frames[:-1]).all(axis=-1).mean())}
    small = _resize(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)  # (T, 3, h, w)
    grey = (small * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    clip = small[::STRIDE].transpose(0, 1)[None]
    found["contrast"] = float(grey.std(dim=(1, 2)).mean())
    found["edges"] = float((grey.diff(dim=1).abs().mean() + grey.diff(dim=2).abs().mean()) / 2)
    found["camera, % of side"] = 100 * _camera(grey, sample.masks) / SIDE
    found["ties"] = float((frame_difference(clip) == 0).float().mean())
    boxes = _boxes(sample.masks) if sample.masks is not None else sample.boxes
    if boxes is not None and len(boxes):
        height, width = frames.shape[1:3]
        centre = (boxes[:, :2] + boxes[:, 2:] / 2) / (width, height) - 0.5
        found["box area"] = float((boxes[:, 2] * boxes[:, 3]).mean() / (width * height))
        found["off centre"] = float(np.hypot(*centre.T).mean())
    if sample.masks is not None:
        found |= _figure(clip, _resize(torch.from_numpy(sample.masks)[::STRIDE, None].float())[:, 0] > 0.5)
    return found


def _figure(clip: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """clip (1, 3, T, h, w), truth bool (T, h, w)."""
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


def _resize(images: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) with the short side at SIDE, by area."""
    height, width = images.shape[-2:]
    size = (round(height * SIDE / min(height, width)), round(width * SIDE / min(height, width)))
    return images if size == (height, width) else functional.interpolate(images, size, mode="bilinear", antialias=True)


def _camera(grey: torch.Tensor, masks: NDArray[np.bool_] | None) -> float:
    """Median displacement between consecutive frames (T, h, w), pixels; where the figure is known it is painted out first."""
    if masks is not None:
        hidden = _resize(torch.from_numpy(masks.any(axis=0))[None, None].float())[0, 0] > 0
        grey = grey.masked_fill(hidden, float(grey[:, ~hidden].mean()))
    return float(np.median([_shift(a, b) for a, b in itertools.pairwise(grey)]))


def _shift(one: torch.Tensor, other: torch.Tensor) -> float:
    """Displacement in pixels that explains most of the picture's change: the peak of the phase correlation, to a fraction."""
    window = torch.outer(torch.hann_window(one.shape[0], periodic=False), torch.hann_window(one.shape[1], periodic=False))
    a, b = (torch.fft.fft2((image - image.mean()) * window) for image in (one, other))
    cross = a * b.conj()
    peak = torch.fft.ifft2(cross / (cross.abs() + 1e-9)).real
    at = [int(v) for v in np.unravel_index(int(peak.argmax()), peak.shape)]
    moved = []
    for axis, place in enumerate(at):
        size = peak.shape[axis]
        line = peak.select(1 - axis, at[1 - axis])
        left, middle, right = (max(0.0, float(line[(place + step) % size])) for step in (-1, 0, 1))
        fraction = (right - left) / (left + middle + right + 1e-9)
        moved.append((place if place <= size // 2 else place - size) + fraction)
    return float(np.hypot(moved[0], moved[1]))


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    boxes = []
    for mask in masks[masks.any(axis=(1, 2))]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append((columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1))
    return np.array(boxes, float).reshape(-1, 4)


def table(samples: Iterator[Sample]) -> str:
    """Markdown: a row a quantity, a column a group, mean over its clips (number of clips in the head)."""
    values: dict[str, list[dict[str, float]]] = {}
    for sample in samples:
        values.setdefault(sample.group, []).append(describe(sample))
    names = list(dict.fromkeys(name for found in values.values() for clip in found for name in clip))
    lines = ["| per clip | " + " | ".join(f"{group} ({len(found)})" for group, found in values.items()) + " |"]
    lines.append("| --- " * (len(values) + 1) + "|")
    for name in sorted(names):
        cells = []
        for found in values.values():
            known = [clip[name] for clip in found if name in clip and np.isfinite(clip[name])]
            cells.append(f"{np.mean(known):.3f}" if known else "-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--replicate", type=int, default=SELECTION_REPLICATES, help="a selection world, %(default)s or later")
    parser.add_argument("--scale", default="quick")
    parser.add_argument("--videos", type=int, default=60, help="at most, of UCF101 and of ours")
    args = parser.parse_args()
    if args.replicate < SELECTION_REPLICATES:
        parser.error(f"verdict worlds are not to be looked at: --replicate {SELECTION_REPLICATES} or later")
    torch.set_num_threads(1)

    def samples() -> Iterator[Sample]:
        for part in (ucf101, davis, caviar):
            yield from part(args.real, args.videos)
        yield from ours(args.cache, args.replicate, args.scale, args.videos)

    print(table(samples()))


if __name__ == "__main__":
    main()
