"""Prepared videos: every video of a manifest decoded once, at its stored size, into one memory-mapped file of uint8 RGB frames.

`frames.bin` holds the videos one after the other, each (T, H, W, 3); `index.json` says where and of which manifest. The index is
written last: a store is whole if its index is there. All processes that read one store share its pages in memory.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from fame.data.manifest import Manifest, Video, file_sha256
from fame.data.parallel import Progress, counted, each
from fame.data.prepared import one_size
from fame.data.video import DECODER, decode, scaled_size
from fame.errors import FameError
from fame.run import write_json

VERSION = 1
_SPARE = 64 << 20  # bytes left free on the disk beside the store
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)  # file systems without block reservation

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
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            if index["version"] != VERSION or index["decoder"] != DECODER:
                raise FameError(f"{folder}: the prepared videos are of another version of this program; delete the folder")
            columns: dict[str, Any] = {
                name: np.array(index[name], dtype=np.int64) for name in ("offsets", "frames", "heights", "widths")
            }
            data = np.memmap(folder / "frames.bin", dtype=np.uint8, mode="r")
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
        """Open the store of `manifest` in `folder`, made first where it is not there, damaged, or of something else.

        Safe from several processes at once: one makes it, the others wait. FameError where the disk is too small or full, or a
        video has changed since the scan.
        """
        if ready := _opened_if_of(manifest, folder, short_side):
            return ready
        with locked(folder):
            if ready := _opened_if_of(manifest, folder, short_side):
                return ready  # made by the process that held the lock
            _make(manifest, folder, short_side, jobs, progress)
        return cls.open(folder)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock file beside `folder` (made if need be); a second process waits and says so. The system frees it on kill -9."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.info("another process is at work on %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _opened_if_of(manifest: Manifest, folder: Path, short_side: int | None) -> FrameStore | None:
    if not (folder / "index.json").exists():
        return None
    try:
        store = FrameStore.open(folder)
    except FameError:
        return None
    return store if (store.manifest, store.short_side) == (manifest.digest(), short_side) else None


def _make(manifest: Manifest, folder: Path, short_side: int | None, jobs: int, progress: Progress | None) -> None:
    if not manifest.videos:
        raise ValueError(f"{manifest.name}: a manifest without videos cannot be prepared")
    sizes = [scaled_size(video.width, video.height, short_side) for video in manifest.videos]
    frames = [video.frames for video in manifest.videos]
    ends = np.cumsum([count * width * height * 3 for count, (width, height) in zip(frames, sizes, strict=True)], dtype=np.int64)
    offsets, total = [0, *ends[:-1].tolist()], int(ends[-1])
    folder.mkdir(parents=True, exist_ok=True)
    partial_file = folder / "frames.partial"
    for stale in (folder / "index.json", folder / "frames.bin", partial_file):  # of another manifest, or half-written
        stale.unlink(missing_ok=True)
    check_space(folder, total)
    try:
        _allocate(partial_file, total)
        work = partial(_decode_into, partial_file, manifest.root, short_side)
        todo = list(zip(manifest.videos, sizes, offsets, strict=True))
        for _ in counted(each(work, todo, jobs), "decode", len(todo), progress):
            pass
        _flush(partial_file)
        partial_file.replace(folder / "frames.bin")
    except OSError as error:
        raise FameError(
            f"{folder}: the prepared videos ({total} bytes) cannot be written ({error.strerror}); "
            "make room or choose another --out, and run again"
        ) from None
    finally:
        partial_file.unlink(missing_ok=True)
    index = {
        "version": VERSION,
        "decoder": DECODER,
        "manifest": manifest.digest(),
        "short_side": short_side,
        "bytes": total,
        "offsets": offsets,
        "frames": frames,
        "heights": [height for _, height in sizes],
        "widths": [width for width, _ in sizes],
    }
    write_json(folder / "index.json", index)


def _decode_into(file: Path, root: Path, short_side: int | None, item: tuple[Video, tuple[int, int], int]) -> None:
    """Decode one video into its place. Written, not mapped: on a full disk a write fails, a mapped page kills the process."""
    video, _, offset = item
    decoded = decode_scanned(root, video, short_side)
    with file.open("r+b", buffering=0) as target:
        target.seek(offset)
        view = decoded.reshape(-1).data
        while view:  # an unbuffered write may stop short
            view = view[target.write(view) :]


def decode_scanned(root: Path, video: Video, short_side: int | None) -> NDArray[np.uint8]:
    """All frames of a manifest's video, uint8 (T, H, W, 3); FameError where the file is not the one that was scanned."""
    path = root / video.path
    decoded = decode(path, short_side)
    width, height = scaled_size(video.width, video.height, short_side)
    if decoded.shape != (video.frames, height, width, 3) or (video.sha256 and file_sha256(path) != video.sha256):
        raise FameError(f"{path}: the file has changed since it was scanned or rendered; run again to scan it anew")
    return decoded


def check_space(folder: Path, needed: int) -> None:
    """FameError where the disk has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise FameError(
            f"{folder}: the prepared videos need {needed} bytes ({needed / 2**30:.2f} GiB) and {free} bytes are free; "
            "make room, choose another --out, or a smaller stored size (real videos: --codec jpeg)"
        )


def _allocate(file: Path, size: int) -> None:
    """A file of `size` bytes whose blocks are reserved where the system can, so that a full disk shows now."""
    with file.open("wb") as target:
        try:
            os.posix_fallocate(target.fileno(), 0, size)
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _CANNOT_RESERVE:
                raise
            target.truncate(size)


def _flush(file: Path) -> None:
    with file.open("rb") as target:
        os.fsync(target.fileno())
