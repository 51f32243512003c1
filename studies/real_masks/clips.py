"""Read real video for measurements: DAVIS 2016 and SBI with true masks, UCF101 with actor boxes; and find how its camera moves.

Third-party data: numbers may be written from it, frames never. A folder has any of

    davis2016/JPEGImages/NAME/*.jpg, davis2016/Annotations/NAME/*.png
    sbi2015/NAME/input/*, sbi2015/NAME/groundtruth/*       (in the order of their names)
    UCF-101/CLASS/*.avi, actor_boxes.json                  (per-frame boxes x, y, w, h; first_frame counts from 1)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fame.data.video import decode
from fame.errors import FameError

Frames = NDArray[np.uint8]
Truth = NDArray[np.bool_]

FRAMES, STRIDE = 16, 2  # of a clip, as the method takes them; stride 1 where a sequence is too short for 2
SIDE = 48  # pixels of the short side at which camera motion is measured
REACH = SIDE // 8  # pixels along each axis; a faster camera is found at some displacement within, which is motion enough


@dataclass(frozen=True)
class Track:
    """Hold one actor's box in consecutive frames."""

    first: int  # frame, from 0
    boxes: NDArray[np.float64]  # (n, 4): x, y, w, h in pixels


@dataclass(frozen=True)
class Video:
    """Hold a sequence at native size. `unit`: what is independent of the others; clips of one UCF101 group are one recording."""

    set: str
    name: str
    unit: str
    frames: Frames  # (T, H, W, 3)
    masks: Truth | None = None  # (T, H, W), the object
    tracks: tuple[Track, ...] = ()

    def truth(self) -> Truth | None:
        """Return bool (T, H, W): the object's mask, else all actors' boxes filled; None where neither is known."""
        if self.masks is not None or not self.tracks:
            return self.masks
        filled = np.zeros(self.frames.shape[:3], dtype=bool)
        for track in self.tracks:
            for frame, (x, y, w, h) in zip(filled[track.first :], np.round(track.boxes).astype(int), strict=False):
                frame[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)] = True
        return filled

    def known(self) -> Truth:
        """Return bool (T,): frames in which the truth has been annotated; with masks all of them."""
        if self.masks is not None:
            return np.ones(len(self.frames), dtype=bool)
        annotated = np.zeros(len(self.frames), dtype=bool)
        for track in self.tracks:
            annotated[track.first : track.first + len(track.boxes)] = True
        return annotated


def davis(folder: Path) -> Iterator[Video]:
    """Read the object sequences, in the order of their names."""
    for images in sorted((folder / "davis2016/JPEGImages").glob("*")):
        truth = folder / "davis2016/Annotations" / images.name
        files = sorted(images.glob("*.jpg"))
        masks = [truth / f"{path.stem}.png" for path in files]
        yield Video("DAVIS 2016", images.name, images.name, read_images(files), read_masks(masks))


def sbi(folder: Path) -> Iterator[Video]:
    """Read the sequences of surveillance cameras on their posts."""
    for place in sorted(path.parent for path in (folder / "sbi2015").glob("*/input")):
        files, masks = sorted((place / "input").glob("*")), sorted((place / "groundtruth").glob("*"))
        if len(files) != len(masks):
            raise FameError(f"sbi2015/{place.name}: {len(files)} frames but {len(masks)} masks; get the sequence anew")
        yield Video("SBI", place.name, place.name, read_images(files), read_masks(masks))


def ucf101(folder: Path, most: int | None = None) -> Iterator[Video]:
    """Read videos with actor boxes first, then the others, each by name; at most `most`."""
    notes = folder / "actor_boxes.json"
    boxes: dict[str, list[dict[str, Any]]] = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    files = sorted((folder / "UCF-101").glob("*/*.avi"), key=lambda path: (path.stem not in boxes, path.stem))
    for path in files[:most]:
        tracks = tuple(Track(track["first_frame"] - 1, np.array(track["boxes_xywh"], float)) for track in boxes.get(path.stem, ()))
        unit = path.stem.removeprefix("v_").rpartition("_c")[0] or path.stem
        yield Video("UCF101", path.stem, unit, decode(path), tracks=tracks)


def clip_frames(video: Video) -> tuple[list[NDArray[np.int_]], int]:
    """Return frame numbers (FRAMES,) of disjoint clips amid the annotated stretches, and their stride; empty where none fits."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], video.known(), [False]])))  # of the annotated stretches: first, end
    for stride in (STRIDE, 1):
        span = (FRAMES - 1) * stride + 1
        clips = []
        for first, end in edges.reshape(-1, 2).tolist():
            begin = first + (end - first) % span // 2
            clips += [start + stride * np.arange(FRAMES) for start in range(begin, end - span + 1, span)]
        if clips:
            return clips, stride
    return [], 0


def read_images(files: Sequence[Path]) -> Frames:
    """Read pictures as uint8 (T, H, W, 3), RGB."""
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])


def read_masks(files: Sequence[Path]) -> Truth:
    """Read masks as bool (T, H, W); grey levels above the middle are the object (SBI marks doubtful pixels with 170)."""
    return np.stack([np.asarray(Image.open(path).convert("L")) > 127 for path in files])


def resize(images: Tensor, side: int = SIDE) -> Tensor:
    """Resize float (N, C, H, W) to have the short side at `side`, bilinear with antialiasing."""
    height, width = images.shape[-2:]
    size = (round(height * side / min(height, width)), round(width * side / min(height, width)))
    return images if size == (height, width) else functional.interpolate(images, size, mode="bilinear", antialias=True)


def grey(images: Tensor) -> Tensor:
    """Return luminance (N, H, W) of float (N, 3, H, W) in [0, 1]."""
    return (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)


def camera_motion(pictures: Tensor, figure: NDArray[np.bool_] | None) -> float:
    """Return the median displacement of the background between consecutive pictures in percent of the short side.

    pictures: luminance (T, h, w) in [0, 1], short side SIDE; figure: bool (T, H, W) at native size, left out where it is known, not
    painted over: a painted patch has edges that stand still. NaN where the figure fills every picture.
    """
    seen = torch.ones_like(pictures, dtype=torch.bool)
    if figure is not None:
        seen = resize(torch.from_numpy(figure)[:, None].float())[:, 0] == 0
    both = seen[:-1] & seen[1:]
    moved = [displacement(a, b, m) for a, b, m in zip(pictures[:-1], pictures[1:], both, strict=True) if m.any()]
    return 100 * float(np.median(moved)) / SIDE if moved else float("nan")


def displacement(one: Tensor, other: Tensor, seen: Tensor) -> float:
    """Return by how many pixels (h, w) is displaced in the other: least mean squared difference where both are `seen`."""
    height, width = one.shape
    padded = (height + REACH, width + REACH)
    there = seen.double()
    a, b = ((picture.double() - picture[seen].double().mean()) * there for picture in (one, other))

    def correlate(left: Tensor, right: Tensor) -> Tensor:
        """Sum over x of left(x) right(x + d), for d from -REACH to REACH along both axes."""
        product = torch.fft.rfft2(left, padded).conj() * torch.fft.rfft2(right, padded)
        return torch.fft.irfft2(product, padded).roll((REACH, REACH), (0, 1))[: 2 * REACH + 1, : 2 * REACH + 1]

    squares = correlate(a * a, there) + correlate(there, b * b) - 2 * correlate(a, b)
    mean = squares / correlate(there, there).clamp(min=0.5)
    y, x = divmod(int(mean.argmin()), 2 * REACH + 1)
    return float(np.hypot(_lowest(mean[:, x], y) - REACH, _lowest(mean[y], x) - REACH))


def _lowest(line: Tensor, at: int) -> float:
    """Return the place of the minimum near `at`, by the parabola through it and its neighbours."""
    if not 0 < at < len(line) - 1:
        return float(at)
    left, middle, right = (float(value) for value in line[at - 1 : at + 2])
    bend = left - 2 * middle + right
    return at + (left - right) / (2 * bend) if bend > 0 else float(at)
