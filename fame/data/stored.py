"""Read the middle frame of a stored video (fame/data/store.py) for a picture, without its manifest and without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from simplejpeg import decode_jpeg


def middle_frame(path: Path) -> NDArray[np.uint8] | None:
    """Return uint8 (H, W, 3); None where the file is not there or is not a stored video."""
    try:
        if path.suffix == ".npy":
            frames = np.load(path, mmap_mode="r")
            return np.array(frames[len(frames) // 2])
        content = path.read_bytes()
        lengths = np.frombuffer(content, "<u4", len(content) // 4).astype(np.int64)
        ends = 4 * np.arange(2, 2 + len(lengths)) + lengths.cumsum()  # of the file, were it to hold 1, 2, ... frames
        count = int(np.flatnonzero(ends == len(content))[0]) + 1
        begin = 4 * count + int(lengths[: count // 2].sum())
        return decode_jpeg(content[begin : begin + int(lengths[count // 2])], fastupsample=True)
    except (OSError, ValueError, IndexError):
        return None
