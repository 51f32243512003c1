"""Decoding straight from the files: the same pixels as from the raw store, nothing stored, a file that has changed named."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.config import Clip, VideoData
from fame.data import open_videos, scan_videos
from fame.data.clips import VideoSet
from fame.data.faults import VideoError
from fame.data.video import decode, decode_frames
from fame.seeds import Seeds
from tests.videos import moving_square, write_video

CLIP = Clip(frames=4, stride=2, size=16)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("straight")
    for index, (frames, height, width) in enumerate([(5, 64, 96), (24, 64, 96), (17, 96, 64), (31, 64, 96)]):
        name = f"v_{'ab'[index % 2]}_g0{index // 2 + 1}_c01.avi"
        write_video(root / "set" / "ab"[index % 2] / name, moving_square(frames, height, width, seed=index))
    return root


def opened(root: Path, codec: str) -> VideoSet:
    digest = scan_videos(root / "set", "folder", 1, root / "cache").digest()
    data = VideoData(kind="folder", manifest=digest, short_side=32, codec=codec)
    return open_videos(data, Seeds(0), root / "cache", root / "set")


@pytest.mark.parametrize("threads", [1, 2])
def test_clips_are_those_of_the_raw_store(root: Path, threads: int) -> None:
    raw, straight = opened(root, "raw"), opened(root, "straight")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for videos in (straight, pickle.loads(pickle.dumps(straight))):
            rows = torch.tensor([0, 3, 1, 2, 1])
            starts = raw.random_starts(rows, CLIP, torch.Generator().manual_seed(5))
            assert torch.equal(starts, videos.random_starts(rows, CLIP, torch.Generator().manual_seed(5)))
            for exact, same in zip(raw.clips(rows, starts, CLIP), videos.clips(rows, starts, CLIP), strict=True):
                assert torch.equal(exact, same)
    finally:
        torch.set_num_threads(before)


def test_nothing_is_stored(root: Path, tmp_path: Path) -> None:
    digest = scan_videos(root / "set", "folder", 1, tmp_path).digest()
    videos = open_videos(VideoData(kind="folder", manifest=digest, codec="straight"), Seeds(0), tmp_path, root / "set")
    assert len(videos) == 4 and not (tmp_path / "store").exists()


@given(numbers=st.lists(st.integers(0, 23), min_size=1, max_size=8))
def test_frames_come_in_the_order_asked_for(root: Path, numbers: list[int]) -> None:
    path = root / "set" / "b" / "v_b_g01_c01.avi"
    assert np.array_equal(decode_frames(path, numbers, (48, 32)), decode(path, 32)[numbers])


def test_a_file_that_has_become_shorter_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.avi", 6)
    with pytest.raises(VideoError, match=r"short\.avi.*shorter than 9 frames"):
        decode_frames(path, [2, 8], (48, 32))
