"""Writing a raw store: every video of a manifest decoded once, into its own place in one file of uint8 RGB frames.

The place of a video is known beforehand, so they are done in any order. While `frames.partial` fills, `journal.jsonl` has a line
for every video that is whole in it, with the CRC-32 of its bytes. A process that is killed leaves both; the next one reads what the
journal names against its checksums and goes on with the rest. The file gets its name, and then its index, when it is whole.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fame.data.faults import VideoError
from fame.data.manifest import Manifest, Video, file_sha256
from fame.data.parallel import Progress, counted, each
from fame.data.room import check_space, writing
from fame.data.video import DECODER, decode, scaled_size
from fame.errors import FameError
from fame.files import write_atomically, write_json

VERSION = 1
INDEX, FRAMES, PARTIAL, JOURNAL = "index.json", "frames.bin", "frames.partial", "journal.jsonl"
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)  # file systems without block reservation


class ChangedVideo(FameError):
    """A file that is not the one that was scanned or rendered."""


class Place(NamedTuple):
    """Where one video's frames go, in bytes; `size` is (width, height) in pixels."""

    row: int
    video: Video
    size: tuple[int, int]
    offset: int

    @property
    def bytes(self) -> int:
        return self.video.frames * self.size[0] * self.size[1] * 3


def fill(manifest: Manifest, folder: Path, short_side: int | None, jobs: int, progress: Progress | None) -> None:
    """Make the store in `folder`, or go on where a process was stopped. The caller holds the folder's lock. FameError."""
    if not manifest.videos:
        raise ValueError(f"{manifest.name}: a manifest without videos cannot be prepared")
    places = _places(manifest, short_side)
    total = places[-1].offset + places[-1].bytes
    head = {"version": VERSION, "decoder": DECODER, "manifest": manifest.digest(), "short_side": short_side, "bytes": total}
    file, journal = folder / PARTIAL, folder / JOURNAL
    with writing(folder, f"the prepared videos ({total} bytes)"):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / FRAMES).exists() and not (folder / INDEX).exists():
            (folder / FRAMES).replace(file)  # stopped between its name and its index
        for stale in (folder / INDEX, folder / FRAMES):  # of another manifest or version, or damaged
            stale.unlink(missing_ok=True)
        whole = dict(_whole(file, journal, head, places))
        if not whole:
            file.unlink(missing_ok=True)
        check_space(folder, total - (512 * file.stat().st_blocks if file.exists() else 0))
        _allocate(file, total)
        todo = [place for place in places if place.row not in whole]
        kept: list[dict[str, Any]] = [head, *({"row": row, "crc": crc} for row, crc in whole.items())]
        write_atomically(journal, lambda beside: beside.write_bytes(b"".join(map(_line, kept))))
        with journal.open("ab", buffering=0) as lines:
            try:
                work = partial(_decode_into, file, manifest.root, short_side)
                for row, crc in counted(each(work, todo, jobs), "decode", len(todo), progress):
                    lines.write(_line({"row": row, "crc": crc}))
            except (ChangedVideo, VideoError):  # no run wants the store of this manifest any more
                file.unlink()
                raise
        _flush(file)
        file.replace(folder / FRAMES)
        columns = {
            "offsets": [place.offset for place in places],
            "frames": [place.video.frames for place in places],
            "heights": [place.size[1] for place in places],
            "widths": [place.size[0] for place in places],
        }
        write_json(folder / INDEX, head | columns)
        journal.unlink()


def decode_scanned(root: Path, video: Video, short_side: int | None) -> NDArray[np.uint8]:
    """All frames of a manifest's video, uint8 (T, H, W, 3). ChangedVideo where the file is not the one that was scanned."""
    path = root / video.path
    decoded = decode(path, short_side)
    width, height = scaled_size(video.width, video.height, short_side)
    try:
        same = decoded.shape == (video.frames, height, width, 3) and video.sha256 in ("", file_sha256(path))
    except OSError as error:
        raise VideoError(path, "unreadable", f"the file cannot be read ({error.strerror})") from None
    if not same:
        again = "run again to scan it anew (where its size and time are those of the scan, `touch` it first)"
        raise ChangedVideo(f"{path}: the file has changed since it was scanned or rendered; {again}")
    return decoded


def _places(manifest: Manifest, short_side: int | None) -> list[Place]:
    places, end = [], 0
    for row, video in enumerate(manifest.videos):
        places.append(Place(row, video, scaled_size(video.width, video.height, short_side), end))
        end += places[-1].bytes
    return places


def _whole(file: Path, journal: Path, head: dict[str, Any], places: list[Place]) -> Iterator[tuple[int, int]]:
    """(row, CRC-32) of the videos that an earlier process left whole; none where it was at another store."""
    try:
        lines = [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]]
        if not lines or lines[0] != head or file.stat().st_size != head["bytes"]:
            return
        with file.open("rb") as filled:
            for line in lines[1:]:
                place = places[line["row"]]
                if _checksum(filled, place) == line["crc"]:
                    yield place.row, line["crc"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, IndexError):
        return


def _checksum(filled: BinaryIO, place: Place) -> int:
    """The CRC-32 of what lies in a video's place, read by frames."""
    filled.seek(place.offset)
    crc = 0
    for _ in range(place.video.frames):
        crc = zlib.crc32(filled.read(place.bytes // place.video.frames), crc)
    return crc


def _decode_into(file: Path, root: Path, short_side: int | None, place: Place) -> tuple[int, int]:
    """Decode one video into its place. Written, not mapped: on a full disk a write fails, a mapped page kills the process."""
    content = decode_scanned(root, place.video, short_side).reshape(-1).data
    view = content
    with file.open("r+b", buffering=0) as target:
        target.seek(place.offset)
        while view:  # an unbuffered write may stop short
            view = view[target.write(view) :]
    return place.row, zlib.crc32(content)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _allocate(file: Path, size: int) -> None:
    """A file of `size` bytes whose blocks are reserved where the system can, so that a full disk shows now. What it holds stays."""
    with file.open("ab") as target:
        try:
            os.posix_fallocate(target.fileno(), 0, size)
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _CANNOT_RESERVE:
                raise
            target.truncate(size)


def _flush(file: Path) -> None:
    with file.open("rb") as target:
        os.fsync(target.fileno())
