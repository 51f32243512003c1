"""The files of the embedded benchmark: videos by codec, and true masks. A codec is told to leave out its version."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]

CODECS: dict[str, tuple[str, str, dict[str, str]]] = {  # file ending, pixel format, options
    "mpeg4": ("avi", "yuv420p", {"qmin": "2", "qmax": "3", "flags": "+bitexact"}),
    "libx264": ("mp4", "yuv420p", {"preset": "ultrafast", "crf": "18", "flags": "+bitexact"}),
    "ffv1": ("avi", "bgr0", {"flags": "+bitexact"}),
}


def write_video(path: Path, frames: Frames, codec: str, fps: int) -> None:
    """Encode uint8 (T, H, W, 3) RGB into a file; the same frames give the same bytes, on one build of the codec."""
    _, pixels, options = CODECS[codec]
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=fps, options=options))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        stream.bit_rate = 4_000_000  # never the limit: the quantiser's range decides
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_masks(path: Path, masks: Mask) -> None:
    """bool (T, H, W), packed to bits along the width, as an `.npy` file; read by `read_masks`."""
    np.save(path, np.packbits(masks, axis=-1))


def read_masks(path: Path, width: int) -> Mask:
    """The true masks of one performance, bool (T, H, width)."""
    return np.unpackbits(np.load(path), axis=-1, count=width).astype(np.bool_)
