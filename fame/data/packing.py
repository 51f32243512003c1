"""Writing a packed store: every video of a manifest decoded once, each frame a JPEG of its own, in one file.

`frames.bin` is a row of records, one a video, in the order in which they were done: a table of T pairs (length, CRC-32), both
uint32, little endian, and then the T JPEGs. While it grows, `journal.jsonl` has a line for every record that is whole. A process
that is killed leaves both; the next one reads the records against their checksums, cuts off what is half-written, and goes on.
`index.json` is written last: a store is whole if its index is there.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from simplejpeg import encode_jpeg

from fame.data.filling import decode_scanned
from fame.data.manifest import Manifest, Video
from fame.data.parallel import Progress, counted, each
from fame.data.room import check_space, writing
from fame.data.video import DECODER, scaled_size
from fame.files import write_json

VERSION = 1
QUALITY = 85
INDEX, FRAMES, JOURNAL = "index.json", "frames.bin", "journal.jsonl"
_ENTRY = 8  # bytes of a frame's line in the table
_A_PIXEL = 0.25  # bytes that a pixel takes about, to refuse a disk that is much too small


@dataclass(frozen=True)
class Place:
    """Where the record of one video lies, in bytes; `table` is the CRC-32 of its table, which holds those of its frames."""

    row: int
    offset: int
    size: int
    table: int


class DamagedRecord(Exception):
    """A record that is not as it was written; `frame` is its first damaged frame, None where the table itself is."""

    def __init__(self, frame: int | None) -> None:
        super().__init__(frame)
        self.frame = frame


def head_of(manifest: Manifest, short_side: int | None) -> dict[str, Any]:
    """What a store is of."""
    return {
        "version": VERSION,
        "decoder": DECODER,
        "quality": QUALITY,
        "manifest": manifest.digest(),
        "short_side": short_side,
    }


def pack(manifest: Manifest, folder: Path, short_side: int | None, jobs: int, progress: Progress | None) -> None:
    """Make the store in `folder`, or go on where a process was stopped. The caller holds the folder's lock. FameError."""
    if not manifest.videos:
        raise ValueError(f"{manifest.name}: a manifest without videos cannot be prepared")
    with writing(folder, "the prepared videos"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        head = head_of(manifest, short_side)
        places = _resume(folder, head, manifest)
        todo = [row for row in range(len(manifest.videos)) if row not in places]
        check_space(folder, round(_A_PIXEL * sum(_pixels(manifest.videos[row], short_side) for row in todo)))
        with (folder / FRAMES).open("ab") as frames, (folder / JOURNAL).open("ab") as journal:
            for place in _append(frames, manifest, todo, short_side, jobs, "pack", progress):
                places[place.row] = place
                _journal(journal, asdict(place))
        _write_index(folder, head, manifest, places)
        (folder / JOURNAL).unlink()


def pack_again(manifest: Manifest, folder: Path, short_side: int | None, places: dict[int, Place], rows: list[int]) -> None:
    """New records for these rows, at the end of the file; their old ones are left as they are. The caller holds the lock."""
    with writing(folder, "the prepared videos"):
        with (folder / FRAMES).open("ab") as frames:
            new = {place.row: place for place in _append(frames, manifest, rows, short_side, 1, "mend", None)}
        _write_index(folder, head_of(manifest, short_side), manifest, places | new)


def table_of(record: NDArray[np.uint8], frames: int, checksum: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Bounds of the JPEGs within the record, (T + 1,), and their checksums, (T,). DamagedRecord where the table is not sound."""
    head = record[: frames * _ENTRY].tobytes()
    if zlib.crc32(head) != checksum:
        raise DamagedRecord(None)
    table = np.frombuffer(head, dtype="<u4").reshape(frames, 2)
    bounds = frames * _ENTRY + np.concatenate([[0], np.cumsum(table[:, 0], dtype=np.int64)])
    if bounds[-1] != len(record):
        raise DamagedRecord(None)
    return bounds, table[:, 1]


def jpeg_of(record: NDArray[np.uint8], bounds: NDArray[np.int64], checksums: NDArray[np.uint32], frame: int) -> NDArray[np.uint8]:
    """The bytes of one frame, a view. DamagedRecord where they are not what was written."""
    jpeg = record[bounds[frame] : bounds[frame + 1]]
    if zlib.crc32(jpeg.data) != checksums[frame]:
        raise DamagedRecord(frame)
    return jpeg


def check_record(record: NDArray[np.uint8], frames: int, checksum: int) -> None:
    """Read a record against its checksums; DamagedRecord where a byte is wrong or missing."""
    bounds, checksums = table_of(record, frames, checksum)
    for frame in range(frames):
        jpeg_of(record, bounds, checksums, frame)


# ---------------------------------------------------------------- records


def _append(
    frames: BinaryIO, manifest: Manifest, rows: list[int], short_side: int | None, jobs: int, what: str, progress: Progress | None
) -> Iterator[Place]:
    """Each record once it is in the file (flushed to the system), in any order; all are on the disk at the end."""
    work = partial(_record, manifest.root, short_side)
    todo = [(row, manifest.videos[row]) for row in rows]
    for row, record, table in counted(each(work, todo, jobs), what, len(todo), progress):
        place = Place(row, frames.tell(), len(record), table)
        frames.write(record)
        frames.flush()
        yield place
    os.fsync(frames.fileno())


def _record(root: Path, short_side: int | None, item: tuple[int, Video]) -> tuple[int, bytes, int]:
    """The video's row, its record, and the checksum of the record's table."""
    row, video = item
    decoded = decode_scanned(root, video, short_side)
    jpegs = [encode_jpeg(frame, QUALITY, colorsubsampling="420", fastdct=False) for frame in decoded]
    table = np.array([(len(jpeg), zlib.crc32(jpeg)) for jpeg in jpegs], dtype="<u4").tobytes()
    return row, table + b"".join(jpegs), zlib.crc32(table)


def _pixels(video: Video, short_side: int | None) -> int:
    width, height = scaled_size(video.width, video.height, short_side)
    return video.frames * width * height


# ---------------------------------------------------------------- the journal and the index


def _journal(journal: BinaryIO, value: dict[str, Any]) -> None:
    journal.write(json.dumps(value).encode() + b"\n")
    journal.flush()


def _resume(folder: Path, head: dict[str, Any], manifest: Manifest) -> dict[int, Place]:
    """Places of the records that an earlier process left whole; both files are cut back to them, or begun anew."""
    frames, journal = folder / FRAMES, folder / JOURNAL
    places = {place.row: place for place in _left(frames, journal, head, manifest)}
    with frames.open("ab") as file:
        file.truncate(sum(place.size for place in places.values()))
    with journal.open("wb") as file:
        for value in (head, *map(asdict, places.values())):
            _journal(file, value)
    return places


def _left(frames: Path, journal: Path, head: dict[str, Any], manifest: Manifest) -> Iterator[Place]:
    """The records from the file's beginning to the first that is not whole."""
    try:
        lines = [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]]
    except (FileNotFoundError, ValueError):
        return
    if not frames.exists() or not lines or lines[0] != head:
        return
    end = 0
    with frames.open("rb") as file:
        for place in (Place(**line) for line in lines[1:]):
            record = np.frombuffer(file.read(place.size), dtype=np.uint8)
            try:
                check_record(record, manifest.videos[place.row].frames, place.table)
            except DamagedRecord:
                return
            if place.offset != end:
                return
            end += place.size
            yield place


def _write_index(folder: Path, head: dict[str, Any], manifest: Manifest, places: dict[int, Place]) -> None:
    inside = [places[row] for row in range(len(manifest.videos))]
    sizes = [scaled_size(video.width, video.height, head["short_side"]) for video in manifest.videos]
    columns = {
        "paths": [video.path for video in manifest.videos],
        "frames": [video.frames for video in manifest.videos],
        "heights": [height for _, height in sizes],
        "widths": [width for width, _ in sizes],
        "offsets": [place.offset for place in inside],
        "sizes": [place.size for place in inside],
        "tables": [place.table for place in inside],
    }
    end = max(place.offset + place.size for place in inside)
    write_json(folder / INDEX, {**head, "bytes": end, **columns})
