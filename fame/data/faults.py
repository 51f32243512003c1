"""Name what can be wrong with a video file: faults, with which it is not used, and remarks, with which it is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from fame.errors import FameError

Fault = Literal[
    "unreadable",  # not there, permissions, or the disk fails
    "not-a-video",  # FFmpeg does not open it, or it has no picture that moves
    "corrupt",  # the decoder fails in it, gives no frame, or conceals much; or FFmpeg does not know its colours
    "one-frame",  # no motion to learn from, and none to tell a foreground by
    "size-changes",  # the picture's size changes within the stream
]
Remark = Literal[
    "ends-early",  # the last frame is shown long before the file says that it ends: cut off, or damaged?
    "concealed",  # the decoder has painted over damage in a few frames
    "leaked",  # the same bytes in train or val and in test: left as the lists have it, but numbers on it are no test
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
REMARKS: tuple[Remark, ...] = get_args(Remark)
MOST_BROKEN = 0.01  # share of a set that --exclude-broken leaves out; beyond it the copy is damaged and numbers are of another set


class VideoError(FameError):
    """Say that a file is no usable video: `name` is the kind of fault, `fault` what is wrong, without the file's name."""

    def __init__(self, path: Path, name: Fault, fault: str) -> None:
        super().__init__(f"{path}: {name}: {fault}; replace the file, or rerun with --exclude-broken to leave it out")
        self.path = path
        self.name = name
        self.fault = fault

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, Fault, str]]:
        return VideoError, (self.path, self.name, self.fault)  # so that it travels from a decoding process
