"""Inspect one video file: decode it whole, count its frames, and remark on what a user may want to act on.

What decodes decides, never what a header announces. Frames are decoded and not scaled, one at a time: memory does not grow with a
video's length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from fame.data.faults import Remark, VideoError
from fame.data.video import decoded, opened

WINDOW = 32  # frames that a clip of the paper spans: 16 at stride 2
_UNEVEN = 0.25  # share of the mean time between frames by which single ones may differ
_OPEN = 1 << 30  # frames that an avi announces whose length was not known when it was written
_EARLY = 0.1  # share of its duration that a video may end before


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: frames that decode, frames per second, width and height in pixels; remarks with a line each."""

    frames: int
    fps: float
    width: int
    height: int
    remarks: dict[Remark, str] = field(default_factory=dict)


def inspect(path: Path) -> VideoInfo:
    """Decode the whole file and count. VideoError where it is no usable video."""
    with opened(path) as (container, stream):
        width, height = stream.width, stream.height  # before decoding, which follows a change of size
        clock = _Clock()
        frames = damaged = rotation = 0
        for frame in decoded(path, container, stream):
            if (frame.width, frame.height) != (width, height):
                change = f"{width} x {height}, and {frame.width} x {frame.height} from frame {frames} on"
                raise VideoError(path, "size-changes", f"its pictures are of several sizes: {change}")
            rotation = rotation or frame.rotation
            damaged += bool(frame.is_corrupt)
            frames += 1
            clock.see(frame.time)
        if frames == 1:
            raise VideoError(path, "one-frame", "a single frame shows no motion")
        remarks: dict[Remark, str] = {}
        tick = float(stream.time_base or 0)
        if early := _ends_early(container, stream, clock.last):
            remarks["ends-early"] = early
        if clock.is_uneven(tick):
            remarks["variable-rate"] = f"frames are {clock.least:.3g} to {clock.most:.3g} s apart, {clock.mean:.3g} s on average"
        if rotation:
            remarks["rotated"] = f"to be shown turned by {rotation} degrees, which is not applied"
        if frames < WINDOW:
            remarks["short"] = f"{frames} frames, a clip of 16 at stride 2 spans {WINDOW}: it is looped"
        if damaged:
            remarks["concealed"] = f"the decoder conceals errors in {damaged} of {frames} frames"
        return VideoInfo(frames, round(float(stream.average_rate or 0), 3), width, height, remarks)


class _Clock:
    """Measure the time between frames, in seconds: the least, the most and the mean."""

    def __init__(self) -> None:
        self.first = self.last = self.most = 0.0
        self.least = float("inf")
        self.steps = -1

    @property
    def mean(self) -> float:
        return (self.last - self.first) / self.steps if self.steps > 0 else 0.0

    def see(self, time: float | None) -> None:
        if time is None:
            return
        if self.steps < 0:
            self.first = time
        elif time <= self.last:  # the same time twice, or a jump back: no step
            return
        else:
            self.least, self.most = min(self.least, time - self.last), max(self.most, time - self.last)
        self.last = time
        self.steps += 1

    def is_uneven(self, tick: float) -> bool:
        """Whether single steps differ from the mean by more than a tick of the container's clock, which is rounding."""
        bound = max(1.001 * tick, _UNEVEN * self.mean)
        return self.steps > 1 and max(self.most - self.mean, self.mean - self.least) > bound


def _ends_early(container: InputContainer, stream: VideoStream, last: float) -> str:
    """Say when the last frame is shown where that is long before the announced end of the stream, else ""."""
    if stream.frames >= _OPEN:
        return ""
    if stream.duration and stream.time_base and stream.frames:
        end = float(stream.duration * stream.time_base)
        begin = float((stream.start_time or 0) * stream.time_base)
    elif container.duration and len(container.streams) == 1:  # of several streams it is the longest one's
        end, begin = container.duration / av.time_base, (container.start_time or 0) / av.time_base
    else:
        return ""
    if last - begin >= (1 - _EARLY) * end - 2 / float(stream.average_rate or 25):
        return ""
    return f"the last frame is shown at {last - begin:.1f} s of {end:.1f} s announced: cut off, or damaged?"
