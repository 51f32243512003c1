"""Contact sheets of the embedded benchmark: what one looks at before one believes a number.

One row a video: frames in order, read back from the coded file, and under them the same with the true figure outlined.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fame.data.manifest import Manifest, Video
from fame.data.staged.files import read_masks
from fame.data.video import decode
from fame.files import write_atomically

_OUTLINE = (255, 255, 255)
_LABEL = 132  # pixels left of a row


def training_sheet(manifest: Manifest, path: Path, *, videos: int = 8, frames: int = 12, zoom: int = 2) -> None:
    """Write a PNG with the first `videos` training videos, which take turns over the classes, and their outlines."""
    _sheet(manifest, manifest.select("train")[:videos], path, frames, zoom, masks=True)


def conditions_sheet(manifest: Manifest, path: Path, *, performances: int = 4, frames: int = 12, zoom: int = 2) -> None:
    """Write a PNG with the same test performances in every condition that the part has, one under another."""
    splits = [split for split in manifest.splits if split == "test" or split.startswith("test/")]
    by_name = {(video.tags["performance"], video.split): video for video in manifest.videos}
    names = [video.tags["performance"] for video in manifest.select("test")[:performances]]
    _sheet(manifest, [by_name[name, split] for name in names for split in splits], path, frames, zoom, masks=False)


def _sheet(manifest: Manifest, videos: list[Video], path: Path, frames: int, zoom: int, masks: bool) -> None:
    rows = [(_title(manifest, video), _strip(manifest, video, frames, zoom, masks)) for video in videos]
    height, width = sum(strip.shape[0] + 2 for _, strip in rows), max(strip.shape[1] for _, strip in rows)
    sheet = Image.new("RGB", (_LABEL + width, height), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    for title, strip in rows:
        pen.multiline_text((4, top + 4), title, fill="black")
        sheet.paste(Image.fromarray(strip), (_LABEL, top))
        top += strip.shape[0] + 2
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda beside: sheet.save(beside, format="PNG"))


def _title(manifest: Manifest, video: Video) -> str:
    scene = video.tags.get("scene_action", "")
    whose = f"scene of {manifest.classes[int(scene)]}" if scene else "no scene"
    return f"{manifest.classes[video.label]}\n{whose}\n{video.split}\n{video.tags['performance']}"


def _strip(manifest: Manifest, video: Video, frames: int, zoom: int, masks: bool) -> NDArray[np.uint8]:
    every = np.linspace(0, video.frames - 1, frames).round().astype(int)
    shown = decode(manifest.root / video.path)[every]
    lines = [_enlarge(shown, zoom)]
    if masks and video.tags.get("mask"):
        inside = _enlarge(read_masks(manifest.root / video.tags["mask"], video.width)[every], zoom)
        within = inside & np.roll(inside, 1, 1) & np.roll(inside, -1, 1) & np.roll(inside, 1, 2) & np.roll(inside, -1, 2)
        outlined = lines[0] // 2
        outlined[inside] = lines[0][inside]
        outlined[inside & ~within] = _OUTLINE
        lines.append(outlined)
    return np.concatenate([np.concatenate(list(line), axis=1) for line in lines], axis=0)


Pixels = TypeVar("Pixels", np.uint8, np.bool_)


def _enlarge(images: NDArray[Pixels], zoom: int) -> NDArray[Pixels]:
    return images.repeat(zoom, axis=1).repeat(zoom, axis=2)
