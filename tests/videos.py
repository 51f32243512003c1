"""Small video files for tests, written with PyAV."""

from __future__ import annotations

import struct
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
from PIL import Image

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


# ---------------------------------------------------------------- files that are odd or broken


def noise(frames: int = 40, height: int = 32, width: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)


def patched(path: Path, begin: float, end: float) -> None:
    """Random bytes over a part of a file."""
    content = bytearray(path.read_bytes())
    first, last = int(begin * len(content)), int(end * len(content))
    content[first:last] = np.random.default_rng(1).integers(0, 256, last - first, dtype=np.uint8).tobytes()
    path.write_bytes(content)


def overstated(path: Path) -> None:
    """An avi whose header and stream header claim twice the frames."""
    content = bytearray(write_video(path, noise()).read_bytes())
    for at in (content.find(b"avih") + 24, content.find(b"strh") + 40):
        assert struct.unpack_from("<I", content, at) == (40,)
        struct.pack_into("<I", content, at, 80)
    path.write_bytes(content)


def two_sizes(path: Path) -> None:
    """Two transport streams of different sizes, one after the other."""
    parts = [write_video(path.with_suffix(f".{width}.ts"), noise(width=width), codec="libx264") for width in (32, 48)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()


def image(path: Path) -> None:
    """A picture under a video's name."""
    Image.fromarray(noise()[0]).save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)


def held_in_parts(path: Path) -> None:
    """Damage within one frame, which the decoder conceals."""
    write_video(path, noise())
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
    path.write_bytes(content)


def with_longer_sound(path: Path, late: int = 0) -> None:
    """A video of 40 frames, 3.3 s, that begins after `late` seconds, and whose sound goes on for 9 s."""
    with av.open(str(path), "w") as container:
        encode(container, noise(), codec="libx264", clock=lambda index: index + 12 * late, sound=9)


def through_a_pipe(path: Path) -> None:
    """An avi whose writer could not go back to state lengths in its header."""

    class Pipe:
        def __init__(self) -> None:
            self.content = b""

        def write(self, more: bytes) -> int:
            self.content += more
            return len(more)

    pipe = Pipe()
    with av.open(pipe, "w", format="avi") as container:
        encode(container, noise())
    path.write_bytes(pipe.content)


def cut_without_encoding(path: Path) -> None:
    """The last 40 of 100 frames, copied with their lead-in from the keyframe on, which an edit list hides."""
    whole = write_video(path.with_name("whole.mp4"), noise(100), codec="libx264", options={"g": "100", "bf": "0"})
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        old = source.streams.video[0]
        new = container.add_stream_from_template(old)
        assert old.time_base
        shift = round(60 / 12 / old.time_base)
        for packet in source.demux(old):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, new
                container.mux(packet)
    whole.unlink()
