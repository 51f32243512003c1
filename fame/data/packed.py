"""Prepared videos that fit: every frame a JPEG of its own, a twelfth of `store.py`'s bytes, slower to read and not exact.

A clip costs the decoding of its own frames, whatever lies between them. Every frame is read against its checksum, so damage on the
disk is an error that names the video, and never other pixels. Several threads, as many as torch has, decode the clips of a batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from simplejpeg import decode_jpeg

from fame.data.manifest import Manifest
from fame.data.packing import (
    FRAMES,
    INDEX,
    QUALITY,
    VERSION,
    DamagedRecord,
    Place,
    check_record,
    head_of,
    jpeg_of,
    pack,
    pack_again,
    table_of,
)
from fame.data.parallel import Progress, counted
from fame.data.prepared import on_threads, one_size
from fame.data.store import alone
from fame.data.video import DECODER
from fame.errors import FameError

_MEND = "`data prepare --check` with the run's own options finds and mends all such videos"


@dataclass(frozen=True)
class PackedStore:
    """An open store. Arrays have one entry a video, in the manifest's order: `offsets` and `sizes` in bytes, `tables` checksums."""

    codec: ClassVar[str] = "jpeg"

    folder: Path
    manifest: str  # digest
    short_side: int | None
    paths: list[str]  # of the videos, for messages
    frames: NDArray[np.int64]
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    tables: NDArray[np.int64]
    data: np.memmap[Any, np.dtype[np.uint8]]  # flat, read-only
    again: tuple[Any, ...] | None = None  # how another process opens it where its rows are in another order (shared.py)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) where all videos have one size, else None."""
        return one_size(self.heights, self.widths)

    def read(self, rows: Sequence[int], numbers: NDArray[np.int64], out: Sequence[NDArray[np.uint8]]) -> None:
        """Write the frames `numbers[i]` of video `rows[i]` into `out[i]`, uint8 (T, H, W, 3). FameError where they are damaged."""
        on_threads(self._read_clip, rows, numbers, out)

    def frames_of(self, row: int, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """Frames of one video by number, uint8 (T, H, W, 3)."""
        found = np.empty((len(numbers), int(self.heights[row]), int(self.widths[row]), 3), np.uint8)
        self._read_clip(row, np.asarray(numbers, np.int64), found)
        return found

    def check(self, progress: Progress | None = None) -> list[int]:
        """Rows of the videos that are not as they were written, after reading every byte."""

        def damaged(row: int) -> bool:
            try:
                check_record(self._record(row), int(self.frames[row]), int(self.tables[row]))
            except DamagedRecord:
                return True
            return False

        found = counted(map(damaged, range(len(self))), "check", len(self), progress)
        return [row for row, bad in enumerate(found) if bad]

    def mend(self, manifest: Manifest, rows: list[int]) -> PackedStore:
        """Pack these videos anew from their files; the store to go on with. FameError as for `prepare`."""
        places = {row: Place(row, int(self.offsets[row]), int(self.sizes[row]), int(self.tables[row])) for row in range(len(self))}
        with alone(self.folder):
            pack_again(manifest, self.folder, self.short_side, places, rows)
        return self.open(self.folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.again or (PackedStore.open, (self.folder,))  # another process maps the file; a memmap would pickle its bytes

    @classmethod
    def open(cls, folder: Path) -> PackedStore:
        """Open a packed store; FameError where there is none, or it is cut off or of another version."""
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            if (index["version"], index["decoder"], index["quality"]) != (VERSION, DECODER, QUALITY):
                raise FameError(f"{folder}: the prepared videos are of another version of this program; delete the folder")
            names = ("frames", "heights", "widths", "offsets", "sizes", "tables")
            columns = [np.array(index[name], dtype=np.int64) for name in names]
            about = index["manifest"], index["short_side"], index["paths"]
            data = np.memmap(folder / FRAMES, dtype=np.uint8, mode="r")
            if data.size < index["bytes"]:  # more is what a mending that was killed left
                raise FameError(f"{folder}: {FRAMES} has {data.size} bytes, its index says {index['bytes']}; delete the folder")
        except FileNotFoundError:
            raise FameError(f"{folder}: no prepared videos there; run the command that prepares them again") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FameError(f"{folder}: the prepared videos are damaged ({error}); delete the folder") from None
        frames, heights, widths, offsets, sizes, tables = columns
        return cls(folder, *about, frames, heights, widths, offsets, sizes, tables, data)

    @classmethod
    def prepare(
        cls, manifest: Manifest, folder: Path, short_side: int | None, jobs: int, progress: Progress | None = None
    ) -> PackedStore:
        """Open the store of `manifest` in `folder`, made or completed first where it is not whole, damaged, or of something else.

        Safe from several processes at once: one makes it, the others wait. FameError where the disk is too small or full, or a
        video has changed since the scan.
        """
        if ready := cls._opened_if_of(manifest, folder, short_side):
            return ready
        with alone(folder):
            if ready := cls._opened_if_of(manifest, folder, short_side):
                return ready  # made by the process that held the lock
            pack(manifest, folder, short_side, jobs, progress)
        return cls.open(folder)

    @classmethod
    def _opened_if_of(cls, manifest: Manifest, folder: Path, short_side: int | None) -> PackedStore | None:
        if not (folder / INDEX).exists():
            return None
        try:
            store = cls.open(folder)
        except FameError:
            return None
        head = head_of(manifest, short_side)
        return store if (store.manifest, store.short_side) == (head["manifest"], head["short_side"]) else None

    def _record(self, row: int) -> NDArray[np.uint8]:
        start = int(self.offsets[row])
        return self.data[start : start + int(self.sizes[row])].view(np.ndarray)

    def _read_clip(self, row: int, numbers: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        record = self._record(row)
        try:
            bounds, checksums = table_of(record, int(self.frames[row]), int(self.tables[row]))
            for place, number in enumerate(numbers.tolist()):
                decode_jpeg(jpeg_of(record, bounds, checksums, number), fastupsample=True, buffer=out[place])
        except (DamagedRecord, ValueError) as error:
            frame = f"frame {error.frame}" if isinstance(error, DamagedRecord) and error.frame is not None else "the record"
            raise FameError(f"{self.folder / FRAMES}: {frame} of {self.paths[row]} is damaged; {_MEND}") from None
