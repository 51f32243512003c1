"""Clips: windows, starts, looping, and the pixels and true masks they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config import Clip
from fame.data.clips import VideoSet
from fame.data.manifest import Manifest, Video
from fame.data.staged.render import write_masks
from fame.data.store import FrameStore
from fame.data.video import decode
from tests.videos import moving_square, write_video

LENGTHS = [5, 12, 40, 9]
CLIP = Clip(frames=4, stride=2, size=16)


def make(root: Path, sizes: list[tuple[int, int]], masks: bool = True) -> VideoSet:
    videos = []
    for index, (frames, (height, width)) in enumerate(zip(LENGTHS, sizes, strict=True)):
        path = f"c{index % 2}/{index}.avi"
        shown = moving_square(frames, height, width, seed=index)
        write_video(root / path, shown)
        write_masks(root / f"{index}.npy", shown[..., 0] == 230)
        tags = {"performance": f"p{index}"} | ({"mask": f"{index}.npy"} if masks and index != 3 else {})
        split = ("train", "test", "train", "val")[index]
        videos.append(Video(path, index % 2, split, frames, 12.0, width, height, tags))
    manifest = Manifest("tiny", root, ["c0", "c1"], videos)
    return VideoSet(manifest, FrameStore(manifest, root / "store", 16).prepare())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoSet:
    """One stored size, four lengths."""
    return make(tmp_path_factory.mktemp("one_size"), [(32, 48)] * 4)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> VideoSet:
    """Four stored sizes."""
    return make(tmp_path_factory.mktemp("mixed"), [(32, 48), (48, 32), (32, 32), (16, 40)])


def test_labels_splits_tags_and_lengths(videos: VideoSet) -> None:
    assert len(videos) == 4 and videos.classes == ["c0", "c1"]
    assert videos.splits == ["train", "test", "val"]
    assert videos.select("train").tolist() == [0, 2] and videos.select("balanced").tolist() == []
    assert videos.labels.tolist() == [0, 1, 0, 1] and videos.labels.dtype == torch.int64
    assert videos.length.tolist() == LENGTHS
    assert videos.tag("performance") == ["p0", "p1", "p2", "p3"] and videos.tag("mask")[3] == "" and videos.tag("scene") == [""] * 4
    assert videos.tag("path")[1] == "c1/1.avi"


windows = st.builds(Clip, frames=st.integers(2, 20), stride=st.integers(1, 6), size=st.just(16))


@given(clip=windows, seed=st.integers(0, 2**32), n=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_starts_are_valid_and_frames_in_range(videos: VideoSet, clip: Clip, seed: int, n: int) -> None:
    rows = torch.arange(4).repeat(5)
    last = (videos.length[rows] - clip.frames * clip.stride).clamp_min(0)
    random = videos.random_starts(rows, clip, torch.Generator().manual_seed(seed))
    assert random.shape == (20,) and bool((random >= 0).all()) and bool((random <= last).all())
    uniform = videos.uniform_starts(rows, clip, n)
    assert uniform.shape == (20, n) and bool((uniform >= 0).all()) and bool((uniform <= last[:, None]).all())
    if n > 1:
        assert torch.equal(uniform[:, 0], last * 0) and torch.equal(uniform[:, -1], last)
        assert int((uniform.diff(dim=1).amax(1) - uniform.diff(dim=1).amin(1)).max()) <= 1  # evenly spaced
    numbers = videos.frame_numbers(rows, random, clip)
    for row, start, frames in zip(rows.tolist(), random.tolist(), numbers.tolist(), strict=True):
        unrolled = [start + step * clip.stride for step in range(clip.frames)]
        assert frames == [frame % LENGTHS[row] for frame in unrolled]
        if clip.window <= LENGTHS[row]:
            assert frames == unrolled  # nothing is looped where the window fits
        else:
            assert start == 0


def test_golden_starts(videos: VideoSet) -> None:
    rows = torch.tensor([0, 1, 2])
    clip = Clip(frames=4, stride=2, size=16)  # a window of 8: last starts 0, 4, 32
    assert videos.uniform_starts(rows, clip, 1).tolist() == [[0], [2], [16]]
    assert videos.uniform_starts(rows, clip, 3).tolist() == [[0, 0, 0], [0, 2, 4], [0, 16, 32]]
    assert videos.uniform_starts(rows, clip, 4).tolist() == [[0, 0, 0, 0], [0, 1, 3, 4], [0, 11, 21, 32]]
    assert videos.frame_numbers(rows[:1], torch.tensor([0]), clip).tolist() == [[0, 2, 4, 1]]  # 5 frames, looped


def test_random_starts_reach_every_valid_start_equally(videos: VideoSet) -> None:
    rows = torch.full((20_000,), 1)  # 12 frames, window 8: starts 0..4
    starts = videos.random_starts(rows, CLIP, torch.Generator().manual_seed(0))
    share = torch.bincount(starts, minlength=5) / len(rows)
    assert share.shape == (5,) and float((share - 0.2).abs().max()) < 0.015  # five standard deviations


def test_random_starts_are_the_generators(videos: VideoSet) -> None:
    rows = torch.arange(4)
    drawn = [videos.random_starts(rows, CLIP, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    # one number a row whatever its length, so that a longer video changes no other row's start
    prefix = videos.random_starts(torch.tensor([0, 0, 2]), CLIP, torch.Generator().manual_seed(1))
    assert prefix[2] == videos.random_starts(torch.tensor([2, 2, 2]), CLIP, torch.Generator().manual_seed(1))[2]


def test_videos_of_several_sizes_come_as_a_list(mixed: VideoSet) -> None:
    rows = torch.arange(4)
    clips = mixed.clips(rows, rows * 0, CLIP)
    assert isinstance(clips, list)
    assert [tuple(clip.shape) for clip in clips] == [(4, 16, 24, 3), (4, 24, 16, 3), (4, 16, 16, 3), (4, 16, 40, 3)]
    frames = decode(mixed.manifest.root / "c1/1.avi", 16)
    assert np.array_equal(clips[1].numpy(), frames[[0, 2, 4, 6]])


def test_true_masks_lie_on_the_figure(videos: VideoSet) -> None:
    rows, starts = torch.tensor([2, 0]), torch.tensor([7, 0])
    masks = videos.true_masks(rows, starts, CLIP)
    clips = videos.clips(rows, starts, CLIP)
    assert masks is not None and isinstance(clips, torch.Tensor)
    assert masks.dtype == torch.bool and masks.shape == (2, 4, 16, 24)  # made at 32 x 48, stored at 16 x 24
    bright = clips.float().mean(-1) > 160
    overlap = (masks & bright).sum((2, 3)) / (masks | bright).sum((2, 3))
    assert float(overlap.min()) > 0.5  # each frame against its own mask: the square moves by more than half its side


def test_true_masks_at_their_own_size_are_exact(mixed: VideoSet, tmp_path: Path) -> None:
    videos = VideoSet(mixed.manifest, FrameStore(mixed.manifest, tmp_path / "store", None).prepare())
    masks = videos.true_masks(torch.tensor([2]), torch.tensor([3]), CLIP)
    shown = moving_square(40, 32, 32, seed=2)[..., 0] == 230
    assert masks is not None and np.array_equal(masks[0].numpy(), shown[[3, 5, 7, 9]])


def test_no_mask_is_made_up(videos: VideoSet, tmp_path: Path) -> None:
    assert videos.true_masks(torch.tensor([0, 3]), torch.tensor([0, 0]), CLIP) is None
    assert make(tmp_path, [(32, 48)] * 4, masks=False).true_masks(torch.tensor([0]), torch.tensor([0]), CLIP) is None
