"""Decoding: the right pixels, the true number of frames, and one clear line for each way a file can be broken."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from fame.data.faults import VideoError
from fame.data.inspection import VideoInfo, inspect
from fame.data.video import decode, scaled_size
from tests.videos import moving_square, truncate, write_sound, write_video


@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "mpeg4"), ("mp4", "libx264"), ("mkv", "ffv1"), ("mov", "mpeg4"), ("webm", "libvpx-vp9")]
)
def test_containers_and_codecs_decode_to_the_frames_written(tmp_path: Path, suffix: str, codec: str) -> None:
    written = moving_square(12, 32, 48)
    path = write_video(tmp_path / f"a.{suffix}", written, fps=12, codec=codec)
    assert (found := inspect(path)) == VideoInfo(12, 12.0, 48, 32, found.remarks) and set(found.remarks) == {"short"}
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


def test_scaled_sizes() -> None:
    assert scaled_size(320, 240, 128) == (171, 128)
    assert scaled_size(240, 320, 128) == (128, 171)
    assert scaled_size(320, 240, None) == (320, 240)
    assert scaled_size(48, 48, 48) == (48, 48)


def test_a_single_frame_decodes_and_is_no_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.avi", 1)
    assert decode(path).shape[0] == 1
    with pytest.raises(VideoError, match="one-frame: a single frame shows no motion"):
        inspect(path)


def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), dtype=np.uint8)


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("not a video\n" * 50)


def _header_only(path: Path) -> None:
    truncate(write_video(path, _noise()), 0.002)


def _folder(path: Path) -> None:
    path.mkdir()


FAULTS = {
    "empty": (_empty, "the file is empty"),
    "text": (_text, "not a video"),
    "header": (_header_only, "not-a-video: not a video that FFmpeg opens"),
    "folder": (_folder, "it is a folder"),
    "sound": (lambda path: write_sound(path), "no video stream"),
    "absent": (lambda path: None, "No such file"),
}


@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("read", [inspect, decode])
def test_a_broken_file_is_named_with_its_fault_and_the_mend(tmp_path: Path, case: str, read) -> None:
    make, fault = FAULTS[case]
    path = tmp_path / "broken.avi"
    make(path)
    with pytest.raises(VideoError, match=fault) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "--exclude-broken" in message and "\n" not in message


def test_a_fault_travels_between_processes(tmp_path: Path) -> None:
    error = pickle.loads(pickle.dumps(VideoError(tmp_path / "a.avi", "not-a-video", "the file is empty")))
    assert error.name == "not-a-video" and error.fault == "the file is empty" and error.code == 2
