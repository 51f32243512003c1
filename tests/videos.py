"""Small video files for tests, written with PyAV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

PIXELS = {  # yuv420p of every other codec
    "mjpeg": "yuvj420p", "gif": "rgb8", "prores": "yuv422p10le", "qtrle": "rgb24", "png": "rgb24", "huffyuv": "yuv422p",
    "cinepak": "rgb24", "msvideo1": "rgb555le", "flashsv": "bgr24",
}  # fmt: skip
RATE = 8000  # samples of sound a second


def moving_square(frames: int = 12, height: int = 32, width: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (T, H, W, 3): a bright square crosses a coloured background; both depend on the seed."""
    random = np.random.default_rng(seed)
    video = np.empty((frames, height, width, 3), np.uint8)
    video[:] = random.integers(20, 120, 3)
    side, y = height // 4, int(random.integers(0, height - height // 4))
    for t in range(frames):
        x = (t * 3) % (width - side)
        video[t, y : y + side, x : x + side] = 230
    return video


def write_video(
    path: Path,
    frames: NDArray[np.uint8] | int = 12,
    fps: int = 12,
    codec: str = "mpeg4",
    seed: int = 0,
    clock: Callable[[int], int] | None = None,
    options: dict[str, str] | None = None,
    pixels: str | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """Write uint8 (T, H, W, 3) frames, or that many of `moving_square`."""
    shown = moving_square(frames, seed=seed) if isinstance(frames, int) else frames
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=muxing) as container:
        encode(container, shown, fps, codec, clock, options, pixels=pixels)
    return path


def encode(
    container: OutputContainer,
    shown: NDArray[np.uint8],
    fps: int = 12,
    codec: str = "mpeg4",
    clock: Callable[[int], int] | None = None,
    options: dict[str, str] | None = None,
    sound: int = 0,
    pixels: str | None = None,
) -> None:
    """Encode uint8 (T, H, W, 3) frames, frame t shown at `clock(t)`, and `sound` seconds."""
    stream = cast(VideoStream, container.add_stream(codec, rate=fps, options=options))
    stream.height, stream.width = shown.shape[1:3]
    stream.pix_fmt = pixels or PIXELS.get(codec, "yuv420p")
    stream.bit_rate = 2_000_000
    silence = silent(container) if sound else None
    for index, picture in enumerate(shown):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = None if clock is None else clock(index)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
    if silence:
        add_silence(container, silence, sound)


def write_sound(path: Path, cover: bool = False) -> Path:
    """A file with an audio stream and no video; with `cover` one with a picture attached, as music has it."""
    with av.open(str(path), "w") as container:
        stream = silent(container)
        if cover:
            picture = cast(VideoStream, container.add_stream("mjpeg", rate=1))
            picture.width, picture.height, picture.pix_fmt, picture.disposition = (
                32,
                32,
                "yuvj420p",
                Disposition.attached_pic,
            )
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            container.mux(picture.encode())
        add_silence(container, stream, 1)
    return path


def silent(container: OutputContainer) -> AudioStream:
    """Add a stream for sound to a container."""
    stream = cast(AudioStream, container.add_stream("aac", rate=RATE))
    stream.layout = "mono"
    return stream


def add_silence(container: OutputContainer, stream: AudioStream, seconds: int) -> None:
    """Encode seconds of silence into a stream of a container."""
    for second in range(seconds):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, RATE * second
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def truncate(path: Path, share: float = 0.5) -> Path:
    """Cut a file off after `share` of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
