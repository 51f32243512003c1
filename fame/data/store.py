"""Store decoded videos: each decoded once, at its stored size, into one file of its own, named by the source's hash and the size.

`raw`: `KEY.npy`, uint8 (T, H, W, 3), and a CRC-32. `jpeg`: `KEY.jpegs`, T lengths (uint32, little endian), T JPEGs, a CRC-32.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import shutil
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray
from simplejpeg import decode_jpeg, encode_jpeg

from fame.data.disk import locked, writing
from fame.data.faults import VideoError
from fame.data.manifest import Manifest, Video
from fame.data.parallel import Progress, counted, each
from fame.data.video import DECODER, frames_of, scaled_size
from fame.errors import FameError
from fame.files import sha256_of, write_atomically

Codec = Literal["raw", "jpeg"]
Shape = tuple[int, int, int, int]  # T, H, W, 3
QUALITY = 85  # of the JPEGs
_SUFFIX = {"raw": ".npy", "jpeg": ".jpegs"}
_JPEG_SHARE = 0.08  # of the raw bytes that JPEGs take at most, about, to refuse a disk that is much too small
_MAPPED = 16384  # files that a process keeps mapped: a quarter of what Linux allows
_CRC = 4  # bytes
_SPARE = 64 << 20  # bytes left free on the disk

log = logging.getLogger(__name__)


class ChangedVideo(FameError):
    """A file that is not the one that was scanned or rendered."""


class FrameStore:
    """Read the frames of a manifest's videos, in its order; several threads and processes may do so at once."""

    def __init__(self, manifest: Manifest, folder: Path, short_side: int | None, codec: Codec = "raw") -> None:
        self._manifest = manifest
        self.manifest = manifest.digest()
        self.folder = folder
        self.short_side = short_side  # pixels; None: the files' own size
        self.codec: Codec = codec
        sizes = [scaled_size(video.width, video.height, short_side) for video in manifest.videos]
        self.frames = np.array([video.frames for video in manifest.videos], dtype=np.int64)
        self.heights = np.array([height for _, height in sizes], dtype=np.int64)
        self.widths = np.array([width for width, _ in sizes], dtype=np.int64)
        self._mapped: dict[int, NDArray[np.uint8]] = {}  # by row: frames (T, H, W, 3) for raw, the file's bytes for jpeg
        self._checked: set[int] = set()  # rows whose checksum this process has read

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameStore, (self._manifest, self.folder, self.short_side, self.codec)

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """(height, width) where all videos have one size, else None."""
        sizes = set(zip(self.heights.tolist(), self.widths.tolist(), strict=True))
        return sizes.pop() if len(sizes) == 1 else None

    @cached_property
    def paths(self) -> list[Path]:
        """The stored file of every video."""
        root = self._manifest.root
        return [self.folder / _name(root, video, self.short_side, self.codec) for video in self._manifest.videos]

    def read(self, rows: Sequence[int], numbers: NDArray[np.int64], out: Sequence[NDArray[np.uint8]]) -> None:
        """Write frames `numbers[i]` of video `rows[i]` into `out[i]`, uint8 (T, H, W, 3); FameError where they cannot be had."""
        threads = 1 if self.codec == "raw" else min(torch.get_num_threads(), len(rows))
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(self._read, rows, numbers, out))
        else:
            for row, shown, target in zip(rows, numbers, out, strict=True):
                self._read(row, shown, target)

    def video(self, row: int) -> NDArray[np.uint8]:
        """Return all frames of one video, uint8 (T, H, W, 3)."""
        found = np.empty(self._shape(row), np.uint8)
        self.read([row], np.arange(len(found))[None], [found])
        return found

    def prepare(self, jobs: int = 1, progress: Progress | None = None) -> FrameStore:
        """Decode the videos whose files are missing; FameError where the disk is too small, or a video has changed since."""
        if self._missing():
            with locked(self.folder), writing(self.folder, "the decoded videos"):
                self.folder.mkdir(parents=True, exist_ok=True)
                for left in self.folder.glob("*/.*"):  # by a process that was killed
                    left.unlink(missing_ok=True)
                self._make(self._missing(), jobs, progress)
        with writing(self.folder, "that the videos are decoded"):
            (self.folder / f"{self.manifest}.ready").touch()
        return self

    def _read(self, row: int, numbers: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        content = self._opened(row)
        if self.codec == "raw":
            content.take(numbers, 0, out, "clip")  # "clip" writes into `out` without a copy between
            return
        lengths = content[: 4 * int(self.frames[row])].view("<u4")
        bounds = lengths.nbytes + np.cumsum(lengths, dtype=np.int64)
        for place, number in enumerate(numbers.tolist()):
            begin = bounds[number] - lengths[number]
            decode_jpeg(content[begin : bounds[number]].data, fastupsample=True, buffer=out[place])

    def _opened(self, row: int) -> NDArray[np.uint8]:
        """The mapped file of a video, checked the first time; one that is damaged or gone is decoded anew. FameError."""
        if row in self._mapped:
            return self._mapped[row]
        if row not in self._checked and not self._is_sound(row):
            with locked(self.folder), writing(self.folder, "the decoded videos"):
                if not self._is_sound(row):  # else the process that held the lock has done it
                    path = self._manifest.videos[row].path
                    log.warning("%s: the stored frames of %s are damaged or gone; decoded anew", self.paths[row], path)
                    self._make([row], 1, None)
        self._checked.add(row)
        content = self._map(row)[:-_CRC]
        if self.codec == "raw":
            shape = self._shape(row)
            content = content[len(_header(shape)) :].reshape(shape)
        if len(self._mapped) >= _MAPPED:
            self._mapped.clear()
        self._mapped[row] = content
        return content

    def _map(self, row: int) -> NDArray[np.uint8]:
        """The file's bytes. torch maps them: unlike NumPy, it keeps no file descriptor open."""
        path = self.paths[row]
        mapped = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)
        return cast(NDArray[np.uint8], mapped.numpy())

    def _is_sound(self, row: int) -> bool:
        if not self.paths[row].is_file() or self.paths[row].stat().st_size <= _CRC:
            return False
        content = self._map(row)
        return zlib.crc32(content[:-_CRC].data) == int.from_bytes(content[-_CRC:].tobytes(), "little")

    def _shape(self, row: int) -> Shape:
        return int(self.frames[row]), int(self.heights[row]), int(self.widths[row]), 3

    def _missing(self) -> list[int]:
        """Rows whose file is not there, one row a file."""
        rows = {path: row for row, path in reversed(list(enumerate(self.paths)))}
        return sorted(row for path, row in rows.items() if not path.exists())

    def _make(self, rows: list[int], jobs: int, progress: Progress | None) -> None:
        values = sum(math.prod(self._shape(row)) for row in rows)
        needed = round(values * (1 if self.codec == "raw" else _JPEG_SHARE))
        free = shutil.disk_usage(self.folder).free
        if free < needed + _SPARE:
            raise FameError(
                f"{self.folder}: the decoded videos need {needed} bytes ({needed / 2**30:.2f} GiB) and {free} bytes are free; "
                "make room, choose another --out, or a smaller stored size (real videos: --codec jpeg)"
            )
        todo = [(self._manifest.root, self._manifest.videos[row], self.paths[row], self.short_side, self.codec) for row in rows]
        for _ in counted(each(_store, todo, jobs), "decode", len(todo), progress):
            pass


def ready_file(manifest: str, cache: Path, short_side: int | None, codec: str) -> Path:
    """Return the empty file that says that all videos of the manifest with this digest are stored below `cache`."""
    return cache / "videos" / f"{DECODER}-{short_side or 'native'}-{codec}" / f"{manifest}.ready"


def open_store(
    manifest: Manifest,
    cache: Path,
    short_side: int | None,
    codec: Codec = "raw",
    jobs: int = 1,
    progress: Progress | None = None,
) -> FrameStore:
    """Open the frames of a manifest's videos below `cache/videos`, decoded where missing. FameError."""
    folder = ready_file(manifest.digest(), cache, short_side, codec).parent
    return FrameStore(manifest, folder, short_side, codec).prepare(jobs, progress)


def _store(item: tuple[Path, Video, Path, int | None, Codec]) -> None:
    root, video, path, short_side, codec = item
    source = root / video.path
    try:
        if video.sha256 not in ("", sha256_of(source)):
            raise _changed(source)
    except OSError as error:
        raise VideoError(source, "unreadable", f"the file cannot be read ({error.strerror})") from None
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda beside: _write(beside, source, video, short_side, codec))


def _write(path: Path, source: Path, video: Video, short_side: int | None, codec: Codec) -> None:
    width, height = scaled_size(video.width, video.height, short_side)
    shape = video.frames, height, width, 3
    frames = _of_its_size(source, shape, short_side)
    if codec == "raw":
        parts: Iterator[Any] = chain([_header(shape)], frames)
    else:
        jpegs = [encode_jpeg(frame, QUALITY, colorsubsampling="420", fastdct=False) for frame in frames]
        parts = chain([np.array([len(jpeg) for jpeg in jpegs], dtype="<u4").tobytes()], jpegs)
    crc = 0
    with path.open("wb") as file:
        for part in parts:
            crc = zlib.crc32(part, crc)
            file.write(part)
        file.write(crc.to_bytes(_CRC, "little"))


def _of_its_size(source: Path, shape: Shape, short_side: int | None) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video; ChangedVideo where they are not as many and as large as `shape` says."""
    count = 0
    for frame in frames_of(source, short_side):
        count += 1
        if frame.shape != shape[1:] or count > shape[0]:
            raise _changed(source)
        yield np.ascontiguousarray(frame)
    if count != shape[0]:
        raise _changed(source)


def _changed(source: Path) -> ChangedVideo:
    again = "run again to scan it anew (where its size and time are those of the scan, `touch` it first)"
    return ChangedVideo(f"{source}: the file has changed since it was scanned or rendered; {again}")


@cache
def _header(shape: Shape) -> bytes:
    file = io.BytesIO()
    write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _name(root: Path, video: Video, short_side: int | None, codec: Codec) -> str:
    """The stored file's name: 2 hex / 24 hex. Without a hash of the source, its path stands for it."""
    content = f"{video.sha256 or root / video.path} {video.frames} {video.width} {video.height} {short_side} {QUALITY}"
    key = hashlib.sha256(content.encode()).hexdigest()[:24]
    return f"{key[:2]}/{key}{_SUFFIX[codec]}"
