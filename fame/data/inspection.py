"""One file looked at whole: how many frames decode, of what size and rate, and what is worth a remark (fame/data/faults.py).

The pass decodes and never scales: a third of the time of preparing the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
import numpy as np
from numpy.typing import NDArray

from fame.data.faults import Remark, VideoError
from fame.data.video import frames_of, opened

WINDOW = 32  # frames that a clip of the paper spans: 16 at stride 2
_GREY = 2.0  # mean distance of the chroma from neutral, in 8-bit levels, below which a picture has no colour
_EVERY = 16  # one frame in so many is looked at for colour, until one has it
_UNEVEN = 0.25  # share of the usual time between frames by which the others may differ


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: frames that decode, frames per second, width and height in pixels; remarks with a line each."""

    frames: int
    fps: float
    width: int
    height: int
    remarks: dict[Remark, str] = field(default_factory=dict)


def inspect(path: Path) -> VideoInfo:
    """Decode the whole file and count; VideoError where a user would otherwise train on half a video."""
    with opened(path) as (container, stream):
        width, height = stream.width, stream.height  # before decoding, which follows a change of size
        frames = damaged = 0
        rotation, coloured = 0, False
        times: list[int] = []
        for frame in frames_of(path, container, stream):
            if (frame.width, frame.height) != (width, height):
                change = f"{width} x {height}, and {frame.width} x {frame.height} from frame {frames} on"
                raise VideoError(path, "size-changes", f"its pictures are of several sizes: {change}")
            coloured = coloured or (frames % _EVERY == 0 and _has_colour(frame))
            rotation = rotation or frame.rotation
            damaged += bool(frame.is_corrupt)
            frames += 1
            if frame.pts is not None:
                times.append(frame.pts)
        if frames == 1:
            raise VideoError(path, "one-frame", "a single frame shows no motion")
        fps = round(float(stream.average_rate or 0), 3)
        remarks: dict[Remark, str] = {}
        if uneven := _uneven(times, stream.time_base):
            remarks["variable-rate"] = uneven
        if rotation:
            remarks["rotated"] = f"to be shown turned by {rotation} degrees, which is not applied"
        if width % 2 or height % 2:
            remarks["odd-size"] = f"{width} x {height} pixels"
        if not coloured:
            remarks["grey"] = "no colour in the frames looked at"
        if frames < WINDOW:
            remarks["short"] = f"{frames} frames, a clip of 16 at stride 2 spans {WINDOW}: it is looped"
        if damaged:
            remarks["concealed"] = f"the decoder conceals errors in {damaged} of {frames} frames"
        return VideoInfo(frames, fps, width, height, remarks)


def _has_colour(frame: av.VideoFrame) -> bool:
    form = frame.format
    if form.name.startswith(("gray", "mono", "ya8", "ya16")):
        return False
    if not form.name.startswith(("yuv4", "yuvj4")) or form.components[0].bits != 8:  # packed, RGB or deeper than 8 bits
        frame = frame.reformat(format="yuv444p")
    return any(float(np.abs(_plane(frame, index).astype(np.int16) - 128).mean()) > _GREY for index in (1, 2))


def _plane(frame: av.VideoFrame, index: int) -> NDArray[np.uint8]:
    """uint8 (h, w): a plane without the padding at the ends of its lines."""
    plane = frame.planes[index]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _uneven(times: list[int], base: Fraction | None) -> str:
    """How frames are spaced where that is uneven, else "". A tick of the container's clock is rounding, not unevenness."""
    ordered = sorted(set(times))
    steps = [later - earlier for earlier, later in pairwise(ordered)]
    if len(steps) < 2 or base is None:
        return ""
    usual = float(median(steps))
    if max(abs(step - usual) for step in steps) <= max(1.0, _UNEVEN * usual):
        return ""
    least, most, often = (float(step * float(base)) for step in (min(steps), max(steps), usual))
    return f"frames are {least:.3g} to {most:.3g} s apart, {often:.3g} s mostly"
