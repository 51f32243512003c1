"""Decoding: one video file to uint8 RGB frames, with PyAV. The only place of the project that reads compressed video.

The number of frames is what decodes, never what the header says. Decoding and scaling run on one thread: parallelism is over files.
Scaling takes swscale's bit-exact paths with full chroma: the same pixels on every machine, and the right brightness, which the fast
unscaled path misses by more than a grey level. Display rotation is not applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fame.errors import FameError

DECODER = "pyav-1"  # changed when the pixels or the counting change: stores and cached scans are then made anew
SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")

_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT


class VideoError(FameError):
    """A file that is no usable video. `fault` says what is wrong without the file's name."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path}: {fault}; replace the file, or rerun with --exclude-broken to leave it out")
        self.path = path
        self.fault = fault

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str]]:
        return VideoError, (self.path, self.fault)  # so that it travels from a decoding process


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: frames that decode, frames per second, width and height in pixels."""

    frames: int
    fps: float
    width: int
    height: int


def scaled_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """(width, height) with the short side at `short_side` and the aspect ratio kept; unchanged for None."""
    short = min(width, height)
    if short_side is None or short_side == short:
        return width, height
    return round(width * short_side / short), round(height * short_side / short)


def inspect(path: Path) -> VideoInfo:
    """Decode the whole file and count; VideoError where a user would otherwise train on half a video."""
    with _opened(path) as (container, stream):
        frames = sum(1 for _ in _frames(path, container, stream))
        return VideoInfo(frames, round(float(stream.average_rate or 0), 3), stream.width, stream.height)


def decode(path: Path, short_side: int | None = None) -> NDArray[np.uint8]:
    """All frames of a file: uint8 (T, H, W, 3), RGB, the short side scaled to `short_side` pixels by area averaging."""
    with _opened(path) as (container, stream):
        width, height = scaled_size(stream.width, stream.height, short_side)
        reformatter = VideoReformatter()  # kept over the frames: building swscale's tables costs ten times a frame's conversion
        return np.stack(
            [
                reformatter.reformat(
                    frame, width=width, height=height, format="rgb24", interpolation=_SCALING, threads=1
                ).to_ndarray()
                for frame in _frames(path, container, stream)
            ]
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        if path.is_dir():
            raise VideoError(path, "it is a folder, not a file")
        if path.stat().st_size == 0:
            raise VideoError(path, "the file is empty")
        container = av.open(str(path))
    except FileNotFoundError:
        raise VideoError(path, "there is no such file") from None
    except PermissionError:
        raise VideoError(path, "the file may not be read (permissions)") from None
    except av.error.FFmpegError as error:
        fault = f"not a video, or cut off before its index ({error.strerror})"
        raise VideoError(path, fault) from None
    except OSError as error:
        raise VideoError(path, f"the file cannot be read ({error.strerror})") from None
    with container:
        if not container.streams.video:
            raise VideoError(path, "it has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise VideoError(path, "no decoder knows its video stream")
        stream.thread_type = "NONE"
        yield container, stream


def _frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Every frame that decodes; VideoError at the end where that are none, or markedly fewer than announced."""
    decoded = 0
    try:
        for frame in container.decode(stream):
            decoded += 1
            yield frame
    except av.error.FFmpegError as error:
        raise VideoError(path, f"decoding fails after {decoded} frames ({error.strerror})") from None
    announced, tolerance = _announced(container, stream)
    if decoded == 0:
        raise VideoError(path, f"no frame of it decodes{f' ({announced} announced)' if announced else ''}")
    if announced - decoded > max(2, tolerance * announced):
        raise VideoError(path, f"truncated or damaged: {decoded} of {announced} frames decode")


def _announced(container: InputContainer, stream: VideoStream) -> tuple[int, float]:
    """Frames the container announces (0: nothing known) and the share by which healthy files fall short of it.

    Header counts are off by a frame in some files of UCF101; where there is only a duration, the rate makes it coarser.
    """
    if stream.frames:
        return stream.frames, 0.02
    if container.duration and stream.average_rate:
        return round(container.duration / av.time_base * float(stream.average_rate)), 0.1
    return 0, 0.0
