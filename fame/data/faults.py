"""What can be wrong with a video file, by name: faults, with which it is not used, and remarks, with which it is.

The names are stable: they stand in the scan's report and may be searched for. A fault leaves the video out of every split, or stops
the run (fame/data/scan.py); a remark changes nothing and is written down, so that nobody has to find it out from the pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from fame.errors import FameError

Fault = Literal[
    "absent",  # no such file, or a link to none
    "unreadable",  # permissions, or the disk fails
    "folder",  # a folder with a video's name
    "empty",  # of 0 bytes
    "not-a-video",  # text, an archive, a web page saved under a video's name
    "image",  # a still picture
    "audio-only",  # sound and no picture
    "no-decoder",  # a codec that this build of FFmpeg lacks
    "no-frames",  # opens, and nothing of it decodes
    "truncated",  # the file ends before what its own structure announces
    "corrupt",  # whole in length, but the decoder fails in it or conceals much
    "overstated",  # a sound stream, and the header announces more frames
    "one-frame",  # no motion to learn from, and none to tell a foreground by
    "size-changes",  # the picture's size changes within the stream
]
Remark = Literal[
    "variable-rate",  # frames are not evenly spaced in time; clips count frames all the same
    "rotated",  # the container asks for a rotated display, which is not applied
    "odd-size",  # an odd width or height
    "grey",  # no colour in any frame looked at
    "short",  # fewer frames than a clip of the paper spans: the clip loops
    "concealed",  # the decoder has painted over damage in a few frames
    "duplicate",  # the same bytes as another video, both to train and validate with or both to test with
    "leaked",  # the same bytes in train or val and in test: left as the lists have it, but numbers on it are no test
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
REMARKS: tuple[Remark, ...] = get_args(Remark)
MOST_BROKEN = 0.01  # share of a set that --exclude-broken leaves out; beyond it the copy is damaged and numbers are of another set
PASSING: tuple[Fault, ...] = ("absent", "unreadable", "folder")  # may be mended without a change of the file: never remembered


class VideoError(FameError):
    """A file that is no usable video. `name` is the kind of fault, `fault` says what is wrong without the file's name."""

    def __init__(self, path: Path, name: Fault, fault: str) -> None:
        super().__init__(f"{path}: {name}: {fault}; replace the file, or rerun with --exclude-broken to leave it out")
        self.path = path
        self.name = name
        self.fault = fault

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, Fault, str]]:
        return VideoError, (self.path, self.name, self.fault)  # so that it travels from a decoding process
