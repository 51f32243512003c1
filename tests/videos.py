"""Small video files for tests, written with PyAV."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


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


def write_video(path: Path, frames: NDArray[np.uint8] | int = 12, fps: int = 12, codec: str = "mpeg4", seed: int = 0) -> Path:
    """Write uint8 (T, H, W, 3) frames, or that many of `moving_square`; the container is the suffix's."""
    shown = moving_square(frames, seed=seed) if isinstance(frames, int) else frames
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = shown.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        for frame in shown:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A file with an audio stream and no video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp2", rate=44100)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def truncate(path: Path, share: float = 0.5) -> Path:
    """Cut a file off after `share` of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
