"""Inspect one video file by what decodes, not by its header: count its frames, and remark on what a user may want to act on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from fame.data.faults import Remark, VideoError
from fame.data.video import decoded, opened, to_rgb, upright
from fame.files import sha256_of

_OPEN = 1 << 30  # frames that an avi announces whose length was not known when it was written
_EARLY = 0.1  # share of its duration that a video may end before


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: frames that decode, frames per second, width and height in pixels as shown."""

    frames: int
    fps: float
    width: int
    height: int
    sha256: str
    remarks: dict[Remark, str]


def inspect(path: Path) -> VideoInfo:
    """Decode the whole file and count. VideoError where it is no usable video."""
    with opened(path) as (container, stream):
        coded = width, height = 0, 0
        frames, damaged, last = 0, 0, 0.0
        for frame in decoded(path, container, stream):
            if not frames:  # the header may say another size, and a player heeds what decodes
                coded = frame.width, frame.height
                height, width = upright(to_rgb(path, frame, coded, VideoReformatter()), frame).shape[:2]
            if (frame.width, frame.height) != coded:
                change = f"{coded[0]} x {coded[1]}, and {frame.width} x {frame.height} from frame {frames} on"
                raise VideoError(path, "size-changes", f"its pictures are of several sizes: {change}")
            damaged += bool(frame.is_corrupt)
            frames += 1
            last = max(last, frame.time or 0.0)
        if frames == 1:
            raise VideoError(path, "one-frame", "a single frame shows no motion")
        found: dict[Remark, str] = {
            "ends-early": _ends_early(container, stream, last),
            "concealed": f"the decoder conceals errors in {damaged} of {frames} frames" if damaged else "",
        }
        fps = round(float(stream.average_rate or stream.guessed_rate or 0), 3)
        return VideoInfo(frames, fps, width, height, sha256_of(path), {name: says for name, says in found.items() if says})


def _ends_early(container: InputContainer, stream: VideoStream, last: float) -> str:
    """Say when the last frame is shown where that is long before the announced end of the stream, else ""."""
    if stream.frames >= _OPEN:
        return ""
    if stream.duration and stream.time_base and stream.frames:
        end = float(stream.duration * stream.time_base)
        begin = float((stream.start_time or 0) * stream.time_base)
    elif container.duration and len(container.streams) == 1:  # of several streams it is the longest one's
        begin = (container.start_time or 0) / av.time_base
        end = container.duration / av.time_base - max(0, begin)  # Matroska counts from 0; a wrapped clock begins below
    else:
        return ""
    if last - begin >= (1 - _EARLY) * end - 2 / float(stream.average_rate or 25):
        return ""
    return f"the last frame is shown at {last - begin:.1f} s of {end:.1f} s announced: cut off, or damaged?"
