"""Prepared videos: every video of a manifest decoded once, at its stored size, into one memory-mapped file of uint8 RGB frames.

`frames.bin` holds the videos one after the other, each (T, H, W, 3); `index.json` says where and of which manifest. The index is
written last (filling.py): a store is whole if its index is there. All processes that read one store share its pages in memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from fame.data.filling import FRAMES, INDEX, VERSION, fill
from fame.data.manifest import Manifest
from fame.data.parallel import Progress
from fame.data.prepared import one_size
from fame.data.room import writing
from fame.data.video import DECODER
from fame.errors import FameError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameStore:
    """An open store. Arrays have one entry a video, in the manifest's order: `offsets` (bytes), `frames`, `heights`, `widths`."""

    codec: ClassVar[str] = "raw"

    folder: Path
    manifest: str  # digest
    short_side: int | None
    offsets: NDArray[np.int64]
    frames: NDArray[np.int64]
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    data: np.memmap[Any, np.dtype[np.uint8]]  # flat, read-only
    again: tuple[Any, ...] | None = None  # how another process opens it where its rows are in another order (shared.py)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) where all videos have one size, else None."""
        return one_size(self.heights, self.widths)

    def video(self, row: int) -> NDArray[np.uint8]:
        """One video, a view uint8 (T, H, W, 3) into the file."""
        shape = (int(self.frames[row]), int(self.heights[row]), int(self.widths[row]), 3)
        start = int(self.offsets[row])
        return self.data[start : start + int(np.prod(shape))].reshape(shape)

    def read(self, rows: Sequence[int], numbers: NDArray[np.int64], out: Sequence[NDArray[np.uint8]]) -> None:
        """Write the frames `numbers[i]` of video `rows[i]` into `out[i]`, uint8 (T, H, W, 3)."""
        for row, shown, target in zip(rows, numbers, out, strict=True):
            target[:] = np.take(self.video(row), shown, axis=0)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.again or (FrameStore.open, (self.folder,))  # another process maps the file; a memmap would pickle its bytes

    @classmethod
    def open(cls, folder: Path) -> FrameStore:
        """Open a prepared store; FameError where there is none, or it is damaged or of another version."""
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            if index["version"] != VERSION or index["decoder"] != DECODER:
                raise FameError(f"{folder}: the prepared videos are of another version of this program; delete the folder")
            columns: dict[str, Any] = {
                name: np.array(index[name], dtype=np.int64) for name in ("offsets", "frames", "heights", "widths")
            }
            data = np.memmap(folder / FRAMES, dtype=np.uint8, mode="r")
        except FileNotFoundError:
            raise FameError(f"{folder}: no prepared videos there; run the command that prepares them again") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FameError(f"{folder}: the prepared videos are damaged ({error}); delete the folder") from None
        if data.size != index["bytes"]:
            raise FameError(f"{folder}: frames.bin has {data.size} bytes, its index says {index['bytes']}; delete the folder")
        return cls(folder, index["manifest"], index["short_side"], **columns, data=data)

    @classmethod
    def prepare(
        cls, manifest: Manifest, folder: Path, short_side: int | None, jobs: int, progress: Progress | None = None
    ) -> FrameStore:
        """Open the store of `manifest` in `folder`, made or completed first where it is not whole, damaged, or of something else.

        Safe from several processes at once: one makes it, the others wait. FameError where the disk is too small or full, or a
        video has changed since the scan.
        """
        if ready := _opened_if_of(manifest, folder, short_side):
            return ready
        with alone(folder):
            if ready := _opened_if_of(manifest, folder, short_side):
                return ready  # made by the process that held the lock
            fill(manifest, folder, short_side, jobs, progress)
        return cls.open(folder)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """As `locked`; FameError where the lock file cannot be written."""
    with ExitStack() as held:
        with writing(folder.parent, "its lock file"):
            held.enter_context(locked(folder))
        yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock file beside `folder` (made if need be); a second process waits and says so. The system frees it on kill -9."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.warning("another process is at work on %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _opened_if_of(manifest: Manifest, folder: Path, short_side: int | None) -> FrameStore | None:
    if not (folder / INDEX).exists():
        return None
    try:
        store = FrameStore.open(folder)
    except FameError:
        return None
    return store if (store.manifest, store.short_side) == (manifest.digest(), short_side) else None
