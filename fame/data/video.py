"""Decode one video file to uint8 RGB frames, with PyAV, on one thread: parallelism is over files.

Scaling takes swscale's bit-exact paths with full chroma: the same pixels on every machine; the fast path is off by a grey level.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fame.data.faults import VideoError

DECODER = "pyav-3"  # changed when the pixels or the counting change: stores and cached scans are then made anew
SUFFIXES = (
    ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".dav", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc",
    ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg",
    ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m",
)  # fmt: skip

_CONCEALED = 0.05  # share of frames with concealed errors from which on a file counts as corrupt
_LOCAL = {"protocol_whitelist": "file"}  # whatever a file says, nothing is fetched from a network
_PLAYLISTS = ("concat", "dash", "hls", "rtsp", "sdp")  # formats that name other files
_RESERVED = 3  # colour matrix without a meaning, which some encoders write
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT


def scaled_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """(width, height) with the short side at `short_side` and the aspect ratio kept; unchanged for None."""
    short = min(width, height)
    if short_side is None or short_side == short:
        return width, height
    return round(width * short_side / short), round(height * short_side / short)


def frames_of(path: Path, short_side: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield a file's frames: uint8 (H, W, 3), RGB, the short side averaged to `short_side` pixels."""
    with opened(path) as (container, stream):
        reformatter = VideoReformatter()  # kept: building its tables costs ten frames' conversion
        size = None
        for frame in decoded(path, container, stream):
            size = size or scaled_size(frame.width, frame.height, short_side)
            yield upright(to_rgb(path, frame, size, reformatter), frame)


def to_rgb(path: Path, frame: av.VideoFrame, size: tuple[int, int], reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """Return a frame as uint8 (H, W, 3), scaled to `size` (width, height); VideoError where swscale does not know its colours."""
    width, height = size
    if frame.colorspace == _RESERVED:
        frame.colorspace = Colorspace.DEFAULT
    try:
        scaled = reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation=_SCALING, threads=1)
    except OSError as error:
        matrix = f"colour matrix {int(frame.colorspace)}, range {int(frame.color_range)}"
        raise VideoError(path, "corrupt", f"its pictures cannot be turned into RGB: {matrix} ({error.strerror})") from None
    return cast(NDArray[np.uint8], scaled.to_ndarray())


def upright(picture: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return a picture (H, W, ...) of `frame` turned by quarters, and mirrored, as its display matrix asks a player to."""
    try:
        matrix = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]
    except KeyError:
        return picture
    except ValueError:  # beside it is data of a kind that PyAV does not know
        return np.rot90(picture, round(frame.rotation / 90) % 4)
    right, down = np.frombuffer(matrix, np.int32, 9).reshape(3, 3)[:2, :2]  # where those directions of the picture are shown
    if abs(right[1]) > abs(right[0]):
        picture, right, down = picture.swapaxes(0, 1), down, right
    return picture[:: -1 if down[1] < 0 else 1, :: -1 if right[0] < 0 else 1]


def decode(path: Path, short_side: int | None = None) -> NDArray[np.uint8]:
    """Return all frames of a file: uint8 (T, H, W, 3), as `frames_of` yields them."""
    return np.stack(list(frames_of(path, short_side)))


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream, set to decode on one thread. VideoError where there is none."""
    try:
        if path.is_dir():
            raise VideoError(path, "unreadable", "it is a folder, not a file")
        if path.exists() and path.stat().st_size == 0:
            raise VideoError(path, "not-a-video", "the file is empty")
        container = av.open(str(path), options=_LOCAL, metadata_errors="replace")  # titles are of any encoding
    except (av.error.FFmpegError, OSError) as error:
        if os.access(path, os.R_OK):  # of a damaged file FFmpeg may say "Operation not permitted" as well
            raise VideoError(path, "not-a-video", f"not a video that FFmpeg opens ({error.strerror})") from None
        raise VideoError(path, "unreadable", f"the file cannot be read ({error.strerror})") from None
    with container:
        form = container.format.name
        if form in _PLAYLISTS:
            raise VideoError(path, "not-a-video", f"a list of other files ({form}), not a video")
        if form.endswith("_pipe"):
            raise VideoError(path, "not-a-video", f"a still picture ({form.removesuffix('_pipe')}), not a video")
        moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        best = container.streams.best("video")  # what a player shows: Matroska has covers that are not marked
        stream = best if best in moving else next(iter(moving), None)
        if stream is None:
            sound = "sound only: " if container.streams.audio else ""
            raise VideoError(path, "not-a-video", f"{sound}it has no video stream")
        if stream.codec_context is None:
            raise VideoError(path, "not-a-video", "FFmpeg has no decoder for its video stream")
        stream.thread_type = "NONE"
        yield container, stream


def decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield every frame that decodes; VideoError where the decoder fails, gives none, or conceals errors in many."""
    frames = damaged = 0
    try:
        for frame in container.decode(stream):
            frames += 1
            damaged += bool(frame.is_corrupt)
            yield frame
    except av.error.FFmpegError as error:
        raise VideoError(path, "corrupt", f"decoding fails after {frames} frames ({error.strerror})") from None
    if frames == 0:
        raise VideoError(path, "corrupt", "no frame of it decodes")
    if damaged > _CONCEALED * frames:
        raise VideoError(path, "corrupt", f"the decoder conceals errors in {damaged} of {frames} frames")
