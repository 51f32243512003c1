"""Whether a video file ends before its own structure does: the difference between a broken download and a wrong header.

RIFF (avi) states its length in its head; the boxes of ISO media (mp4, mov) and the segment of Matroska (mkv, webm) state theirs.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_MEDIA_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")  # one of them begins every mp4 and mov


def cut_off(path: Path) -> bool:
    """True where the structure of an avi, mp4, mov, mkv or webm reaches beyond the end of the file; False where it does not, or
    the file is none of these, or leaves its length open (a stream written without seeking). OSError where it cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            return len(head) < 12 or struct.unpack("<I", head[4:8])[0] + 8 > size
        if head[4:8] in _MEDIA_BOXES:
            return _boxes_end(file, size) > size
        if head[:4] == _EBML:
            return _segment_end(file, size) > size
    return False


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last box that begins within the file ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:  # the length follows, in 64 bits
            wide = file.read(8)
            length = struct.unpack(">Q", wide)[0] if len(wide) == 8 else size
        if length == 0 or not kind.isascii():  # up to the end of the file, or something else behind the boxes
            return size
        if length < 8:
            return size
        at += length
    return at


def _segment_end(file: BinaryIO, size: int) -> int:
    """Where Matroska's segment ends; the file's own size where it is open or not found."""
    file.seek(4)
    length, at = _vint(file)
    at += 4 + length
    file.seek(at)
    if file.read(4) != _SEGMENT:
        return size
    length, many = _vint(file)
    open_ended = length == (1 << 7 * many) - 1
    return size if open_ended else at + 4 + many + length


def _vint(file: BinaryIO) -> tuple[int, int]:
    """EBML's integer of variable length: (value, bytes)."""
    first = file.read(1)
    if not first or first[0] == 0:
        return 0, 1
    many = 9 - first[0].bit_length()
    return int.from_bytes(bytes([first[0] & (0xFF >> many)]) + file.read(many - 1), "big"), many
