"""Videos that are not prepared at all: each clip is decoded from its file when it is asked for.

For a try, or where there is no disk: the pixels are those of `store.py`'s raw frames, at many times the work (docs/performance.md).
A clip costs the decoding of everything before it: the frames are counted from the beginning, because positions in time, which
seeking goes by, do not find the same frame in every container. Files are not hashed again; one that has become shorter is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fame.data.manifest import Manifest
from fame.data.prepared import on_threads, one_size
from fame.data.video import decode_frames, scaled_size


@dataclass(frozen=True)
class StraightVideos:
    """The files of a manifest. Arrays have one entry a video, in the manifest's order."""

    codec: ClassVar[str] = "straight"

    folder: Path  # of the files
    manifest: str  # digest
    short_side: int | None
    paths: list[str]
    frames: NDArray[np.int64]
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) where all videos have one size, else None."""
        return one_size(self.heights, self.widths)

    def read(self, rows: Sequence[int], numbers: NDArray[np.int64], out: Sequence[NDArray[np.uint8]]) -> None:
        """Write the frames `numbers[i]` of video `rows[i]` into `out[i]`, uint8 (T, H, W, 3). VideoError where one is damaged."""
        on_threads(self._read_clip, rows, numbers, out)

    def _read_clip(self, row: int, numbers: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        out[:] = decode_frames(self.folder / self.paths[row], numbers.tolist(), (int(self.widths[row]), int(self.heights[row])))

    @classmethod
    def of(cls, manifest: Manifest, short_side: int | None) -> StraightVideos:
        """The videos of a manifest, their short side scaled to `short_side` pixels (None: as they are). Nothing is read yet."""
        if not manifest.videos:
            raise ValueError(f"{manifest.name}: a manifest without videos has nothing to decode")
        widths, heights = zip(*(scaled_size(video.width, video.height, short_side) for video in manifest.videos), strict=True)
        lengths = [video.frames for video in manifest.videos]
        columns = (np.array(column, dtype=np.int64) for column in (lengths, heights, widths))
        return cls(manifest.root, manifest.digest(), short_side, [video.path for video in manifest.videos], *columns)
