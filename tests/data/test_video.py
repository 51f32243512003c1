"""Decoding: the right pixels, the true number of frames, and one clear line for each way a file can be broken."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fame.data.faults import VideoError
from fame.data.inspection import inspect
from fame.data.video import decode
from fame.files import sha256_of
from tests.videos import moving_square, truncate, write_video


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mpeg4"), ("mp4", "libx264"), ("webm", "libvpx-vp9")])
def test_frames_decode_as_written_and_files_are_inspected(tmp_path: Path, suffix: str, codec: str) -> None:
    written = moving_square(12, 32, 48)
    path = write_video(tmp_path / f"a.{suffix}", written, fps=25, codec=codec)
    found = inspect(path)
    assert (found.frames, found.fps, found.width, found.height) == (12, 25.0, 48, 32)
    assert found.sha256 == sha256_of(path) and not found.remarks
    decoded = decode(path)
    assert decoded.dtype == np.uint8 and decoded.shape == (12, 32, 48, 3)
    assert np.abs(decoded.astype(int) - written).mean() < 8
    for t in range(12):  # frame t is frame t, and red is red: the written frame is the nearest of all
        assert np.argmin([np.abs(decoded[t].astype(int) - frame).mean() for frame in written]) == t


def test_brightness_is_right_without_scaling(tmp_path: Path) -> None:
    grey = np.full((3, 32, 32, 3), 77, np.uint8)
    path = write_video(tmp_path / "grey.mkv", grey, codec="ffv1")
    assert np.abs(decode(path).astype(float) - 77).max() <= 1.0


def test_the_short_side_is_scaled_by_area(tmp_path: Path) -> None:
    stripes = np.zeros((2, 64, 96, 3), np.uint8)
    stripes[:, :, ::2] = 200  # columns of two, averaged away by area scaling to a half
    path = write_video(tmp_path / "stripes.mkv", stripes, codec="ffv1")
    small = decode(path, 32)
    assert small.shape == (2, 32, 48, 3)
    assert small[:, 4:-4, 4:-4].std() < 4 and abs(float(small.mean()) - 100) < 6
    assert np.array_equal(decode(path, 64), decode(path))


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path: path.mkdir(), "unreadable: it is a folder"),
        (lambda path: None, "unreadable: the file cannot be read .No such file"),
        (lambda path: truncate(write_video(path, 40), 0.002), "not-a-video: not a video that FFmpeg opens"),
    ],
)
@pytest.mark.parametrize("read", [inspect, decode])
def test_a_fault_is_named_with_the_mend(
    make: Callable[[Path], object], fault: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "broken.avi"
    make(path)
    with pytest.raises(VideoError, match=fault) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "--exclude-broken" in message and "\n" not in message
    error = pickle.loads(pickle.dumps(caught.value))  # as between processes
    assert (error.name, error.fault, error.code) == (caught.value.name, caught.value.fault, 2)


# a display matrix's four numbers: (1, 0) and (0, 1) in the picture are shown to the right and below
SHOWN = {
    (1, 0, 0, 1): lambda video: video,
    (0, -1, 1, 0): lambda video: np.rot90(video, 1, axes=(1, 2)),  # against the clock
    (-1, 0, 0, -1): lambda video: np.rot90(video, 2, axes=(1, 2)),
    (0, 1, -1, 0): lambda video: np.rot90(video, 3, axes=(1, 2)),  # a phone held upright
    (-1, 0, 0, 1): lambda video: video[:, :, ::-1],  # a mirrored selfie
    (1, 0, 0, -1): lambda video: video[:, ::-1],
    (0, 1, 1, 0): lambda video: video.swapaxes(1, 2),
}


@pytest.mark.parametrize("matrix", SHOWN)
def test_a_phone_s_rotation_and_mirror_are_applied(matrix: tuple[int, ...], tmp_path: Path) -> None:
    path = write_video(tmp_path / "turned.mp4", moving_square(40), codec="libx264")
    stored = decode(path, 16)
    content = bytearray(path.read_bytes())
    a, b, c, d = (number << 16 for number in matrix)
    struct.pack_into(">9i", content, content.find(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    shown, found = decode(path, 16), inspect(path)
    assert np.array_equal(shown, SHOWN[matrix](stored)) and found.remarks == {}
    assert (found.width, found.height) == ((48, 32) if matrix[0] else (32, 48))
