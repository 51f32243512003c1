"""Frame n of a clip is frame n of the video, whatever stores it and however the file orders and times its frames.

Every frame shows its own number as eight black or white blocks, so what a store returns can be read, not only compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from simplejpeg import decode_jpeg, encode_jpeg

from fame.config import Clip, VideoData
from fame.data import open_videos, scan_videos
from fame.data.clips import VideoSet
from fame.data.store import QUALITY
from fame.data.video import decode
from fame.seeds import Seeds
from tests.videos import write_video

HEIGHT, WIDTH, SIDE = 32, 64, 16
CODECS = ("raw", "jpeg")
Clock = Callable[[int], int]


def numbered(frames: int) -> NDArray[np.uint8]:
    """uint8 (T, 32, 64, 3): frame t shows t in binary, a column of 8 pixels a bit, over a slowly moving grey."""
    bits = (np.arange(frames)[:, None] >> np.arange(8)) & 1
    shown = np.repeat(np.repeat((40 + 175 * bits)[:, None, :], HEIGHT, axis=1), WIDTH // 8, axis=2)
    moving = (np.arange(HEIGHT)[None, :] + np.arange(frames)[:, None]) % HEIGHT
    return np.repeat((shown + moving[:, :, None])[..., None], 3, axis=3).astype(np.uint8)


def number_of(frame: NDArray[np.uint8]) -> int:
    """The number that a frame shows, at whatever size."""
    columns = frame.reshape(frame.shape[0], 8, -1, 3)[:, :, 1:-1].mean(axis=(0, 2, 3))
    return int(((columns > 140) * (1 << np.arange(8))).sum())


def steady(index: int) -> int:
    return index


def halting(index: int) -> int:
    """Eight frames, a pause of five, ..."""
    return index + 5 * (index // 8)


B_FRAMES = {"bf": "3", "b_strategy": "0", "g": "12"}
FILES: dict[str, tuple[int, str, Clock, dict[str, str]]] = {
    "plain.avi": (21, "mpeg4", steady, {"g": "12"}),
    "b_frames.avi": (30, "mpeg4", steady, B_FRAMES),
    "b_frames.mp4": (33, "libx264", steady, B_FRAMES),
    "b_frames.mkv": (40, "libx264", steady, B_FRAMES),
    "uneven.mp4": (45, "libx264", halting, B_FRAMES),
    "uneven.mkv": (50, "libx264", halting, {"bf": "0"}),
    "short.mov": (5, "libx264", steady, B_FRAMES),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoSet]:
    """The same files by each codec, as a run opens them."""
    root = tmp_path_factory.mktemp("exact")
    for name, (frames, codec, clock, options) in FILES.items():
        write_video(root / "set" / "train" / "a" / name, numbered(frames), codec=codec, clock=clock, options=options)
    digest = scan_videos(root / "set", "folder", 1, root / "cache").digest()
    return {
        codec: open_videos(
            VideoData(kind="folder", manifest=digest, short_side=SIDE, codec=codec), Seeds(0), root / "cache", root / "set"
        )
        for codec in CODECS
    }


@pytest.fixture(scope="module")
def decoded(sets: dict[str, VideoSet]) -> list[NDArray[np.uint8]]:
    """Each video decoded whole, by the manifest's rows."""
    manifest = sets["raw"].manifest
    return [decode(manifest.root / video.path, SIDE) for video in manifest.videos]


def test_every_frame_decodes_at_its_number(decoded: list[NDArray[np.uint8]], sets: dict[str, VideoSet]) -> None:
    for frames, video in zip(decoded, sets["raw"].manifest.videos, strict=True):
        assert [number_of(frame) for frame in frames] == list(range(FILES[Path(video.path).name][0])), video.path


def as_jpeg(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One frame as a stored JPEG, and back."""
    return decode_jpeg(encode_jpeg(frame, QUALITY, colorsubsampling="420", fastdct=False), fastupsample=True)


@settings(max_examples=60)
@given(data=st.data())
def test_a_clip_of_any_store_shows_the_frames_of_its_numbers(
    sets: dict[str, VideoSet], decoded: list[NDArray[np.uint8]], data: st.DataObject
) -> None:
    """Videos in any order and more than once, any start, any clip; a clip beyond the end of a short video is looped."""
    rows = torch.tensor(data.draw(st.lists(st.integers(0, len(decoded) - 1), min_size=1, max_size=4), label="rows"))
    clip = Clip(frames=data.draw(st.integers(2, 9)), stride=data.draw(st.integers(1, 4)), size=16)
    length = [len(decoded[row]) for row in rows.tolist()]
    starts = torch.tensor([data.draw(st.integers(0, max(0, of - clip.frames * clip.stride)), label="start") for of in length])
    order = data.draw(st.permutations(CODECS), label="order")
    found = {codec: sets[codec].clips(rows, starts, clip) for codec in order}
    for index, (row, start) in enumerate(zip(rows.tolist(), starts.tolist(), strict=True)):
        numbers = [(start + step * clip.stride) % length[index] for step in range(clip.frames)]
        expected = decoded[row][numbers]
        for codec in CODECS:
            shown = found[codec][index].numpy()
            assert [number_of(frame) for frame in shown] == numbers, codec
            exact = np.stack([as_jpeg(frame) for frame in expected]) if codec == "jpeg" else expected
            assert np.array_equal(shown, exact), codec
