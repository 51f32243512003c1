"""Decoding: one video file to uint8 RGB frames, with PyAV. The only place of the project that reads compressed video.

The number of frames is what decodes, never what the header says. Decoding and scaling run on one thread: parallelism is over files.
Scaling takes swscale's bit-exact paths with full chroma: the same pixels on every machine, and the right brightness, which the fast
unscaled path misses by more than a grey level. Display rotation is not applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fame.data.containers import cut_off
from fame.data.faults import VideoError

DECODER = "pyav-1"  # changed when the pixels or the counting change: stores and cached scans are then made anew
SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")

_CONCEALED = 0.05  # share of frames with concealed errors from which on a file counts as corrupt
_LOCAL = {"protocol_whitelist": "file"}  # whatever a file says, nothing is fetched from a network
_PLAYLISTS = ("concat", "dash", "hls", "rtsp", "sdp")  # formats that name other files: a text file would be a video of theirs
_READ = 0.8  # share of a file's bytes that its packets reach where nothing is lost; the rest is an index at most
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT


def scaled_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """(width, height) with the short side at `short_side` and the aspect ratio kept; unchanged for None."""
    short = min(width, height)
    if short_side is None or short_side == short:
        return width, height
    return round(width * short_side / short), round(height * short_side / short)


def decode(path: Path, short_side: int | None = None) -> NDArray[np.uint8]:
    """All frames of a file: uint8 (T, H, W, 3), RGB, the short side scaled to `short_side` pixels by area averaging."""
    with opened(path) as (container, stream):
        convert = _converter(*scaled_size(stream.width, stream.height, short_side))
        return np.stack([convert(frame) for frame in frames_of(path, container, stream)])


def decode_frames(path: Path, numbers: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Frames by number, in any order and more than once: uint8 (T, H, W, 3), scaled to `size`, (width, height), as by `decode`.

    Everything up to the last of them is decoded, only they are converted. VideoError where the file has fewer.
    """
    wanted, last = set(numbers), max(numbers)
    found: dict[int, NDArray[np.uint8]] = {}
    with opened(path) as (container, stream):
        convert = _converter(*size)
        for number, frame in enumerate(frames_of(path, container, stream)):
            if number in wanted:
                found[number] = convert(frame)
            if number == last:
                return np.stack([found[each] for each in numbers])
    raise VideoError(path, "truncated", f"has become shorter than {last + 1} frames since it was scanned")


def _converter(width: int, height: int) -> Callable[[av.VideoFrame], NDArray[np.uint8]]:
    reformatter = VideoReformatter()  # kept over the frames: building swscale's tables costs ten times a frame's conversion

    def convert(frame: av.VideoFrame) -> NDArray[np.uint8]:
        scaled = reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation=_SCALING, threads=1)
        return cast(NDArray[np.uint8], scaled.to_ndarray())

    return convert


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A file and its first video stream, set to decode on one thread. VideoError where there is none."""
    try:
        if path.is_dir():
            raise VideoError(path, "folder", "it is a folder, not a file")
        if path.stat().st_size == 0:
            raise VideoError(path, "empty", "the file is empty")
        container = av.open(str(path), options=_LOCAL)
    except FileNotFoundError:
        if path.exists():
            raise VideoError(path, "not-a-video", "it names another file, which is not there") from None
        raise VideoError(path, "absent", "there is no such file") from None
    except PermissionError:
        raise VideoError(path, "unreadable", "the file may not be read (permissions)") from None
    except av.error.FFmpegError as error:
        if _ends_early(path):
            raise VideoError(path, "truncated", f"cut off before its index ({error.strerror})") from None
        raise VideoError(path, "not-a-video", f"not a video ({error.strerror})") from None
    except OSError as error:
        raise VideoError(path, "unreadable", f"the file cannot be read ({error.strerror})") from None
    with container:
        if container.format.name in _PLAYLISTS:
            raise VideoError(path, "not-a-video", f"a list of other files ({container.format.name}), not a video")
        if not container.streams.video:
            sound = "sound only: " if container.streams.audio else ""
            raise VideoError(path, "audio-only" if sound else "not-a-video", f"{sound}it has no video stream")
        stream = container.streams.video[0]
        if container.format.name.endswith("_pipe"):
            raise VideoError(path, "image", f"a still picture ({container.format.name.removesuffix('_pipe')}), not a video")
        if stream.codec_context is None:
            raise VideoError(path, "no-decoder", "no decoder knows its video stream")
        stream.thread_type = "NONE"
        yield container, stream


def frames_of(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Every frame that decodes; VideoError at the end where that are none, or markedly fewer than announced."""
    decoded = damaged = read = 0
    latest = 0.0  # when the last frame is shown, in seconds
    try:
        for packet in container.demux(stream):
            if packet.pos is not None:
                read = max(read, packet.pos + packet.size)
            for frame in packet.decode():
                decoded += 1
                damaged += bool(frame.is_corrupt)
                latest = max(latest, frame.time or 0.0)
                yield frame
    except av.error.FFmpegError as error:
        if _ends_early(path):
            raise VideoError(path, "truncated", f"cut off: decoding ends after {decoded} frames") from None
        raise VideoError(path, "corrupt", f"decoding fails after {decoded} frames ({error.strerror})") from None
    announced, tolerance = _announced(container, stream)
    of_all = f"{decoded} of {announced} frames decode"
    if decoded == 0:
        truncated = _ends_early(path)
        raise VideoError(path, "truncated" if truncated else "no-frames", of_all if announced else "no frame of it decodes")
    if announced - decoded > max(2, tolerance * announced):
        if _ends_early(path):
            raise VideoError(path, "truncated", f"cut off: {of_all}")
        if damaged or read < _READ * path.stat().st_size:
            raise VideoError(path, "corrupt", f"damaged within: {of_all}")
        if stream.frames or not _reaches_end(container, latest, tolerance):  # else the rate is an upper one: uneven, and whole
            raise VideoError(path, "overstated", f"sound, but its header announces more: {of_all}")
    if damaged > _CONCEALED * decoded:
        raise VideoError(path, "corrupt", f"damaged within: the decoder conceals errors in {damaged} of {decoded} frames")
    if not announced and _ends_early(path):
        raise VideoError(path, "truncated", f"cut off after {decoded} frames")


def _ends_early(path: Path) -> bool:
    try:
        return cut_off(path)
    except OSError:
        return False


def _reaches_end(container: InputContainer, latest: float, tolerance: float) -> bool:
    """Whether the last frame is shown about when the container says that it ends: then no frame is missing behind it."""
    begin, length = (container.start_time or 0) / av.time_base, (container.duration or 0) / av.time_base
    return latest - begin >= (1 - tolerance) * length


def _announced(container: InputContainer, stream: VideoStream) -> tuple[int, float]:
    """Frames the container announces (0: nothing known) and the share by which healthy files fall short of it.

    Header counts are off by a frame in some files of UCF101; where there is only a duration, the rate makes it coarser.
    """
    if stream.frames:
        return stream.frames, 0.02
    if container.duration and stream.average_rate:
        return round(container.duration / av.time_base * float(stream.average_rate)), 0.1
    return 0, 0.0
