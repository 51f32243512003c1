"""What clips are cut from: raw frames (store.py), JPEGs (packed.py), or the files themselves, decoded each time (straight.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray


class Prepared(Protocol):
    """An open set of videos. Arrays have one entry a video, in the manifest's order."""

    codec: ClassVar[str]  # as in VideoData

    @property
    def folder(self) -> Path: ...
    @property
    def manifest(self) -> str:
        """Digest of the manifest whose videos these are."""

    @property
    def short_side(self) -> int | None: ...
    @property
    def frames(self) -> NDArray[np.int64]: ...
    @property
    def heights(self) -> NDArray[np.int64]: ...
    @property
    def widths(self) -> NDArray[np.int64]: ...
    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) where all videos have one size, else None."""

    def read(self, rows: Sequence[int], numbers: NDArray[np.int64], out: Sequence[NDArray[np.uint8]]) -> None:
        """Write the frames `numbers[i]` of video `rows[i]` into `out[i]`, uint8 (T, H, W, 3). FameError where they are damaged."""

    def __reduce__(self) -> str | tuple[Any, ...]: ...


def one_size(heights: NDArray[np.int64], widths: NDArray[np.int64]) -> tuple[int, int] | None:
    """(height, width) where all videos have one size, else None."""
    sizes = set(zip(heights.tolist(), widths.tolist(), strict=True))
    return sizes.pop() if len(sizes) == 1 else None


def on_threads(
    read_clip: Callable[[int, NDArray[np.int64], NDArray[np.uint8]], None],
    rows: Sequence[int],
    numbers: NDArray[np.int64],
    out: Sequence[NDArray[np.uint8]],
) -> None:
    """`read_clip(row, numbers, out)` for every clip, on as many threads as torch has: for decoders that release the GIL."""
    threads = min(torch.get_num_threads(), len(rows))
    if threads > 1:
        list(_pool(threads).map(read_clip, rows, numbers, out))
    else:
        for row, shown, target in zip(rows, numbers, out, strict=True):
            read_clip(row, shown, target)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="decode")
