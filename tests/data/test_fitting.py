"""Clips and videos that do not fit: native frames cropped, short videos dropped or stood in for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fame.config import Augment, Backbone, Clip, Optim, VideoData
from fame.data import open_videos, scan_videos
from fame.data.clips import VideoSet, fitting, standing_in, too_short
from fame.data.manifest import check_manifest
from fame.data.video import decode
from fame.errors import FameError
from fame.evaluation import predictions
from fame.evaluation.features import batches
from fame.seeds import Seeds
from fame.training.pretrain import Views, pretrain
from tests.fakes import FakeVideos, contrast, fake_data, fake_run
from tests.videos import moving_square, write_video

NATIVE = Clip(frames=4, stride=2, size=32, resize=False, short="dropped")
LOOPED = Clip(frames=4, stride=2, size=32)
SIZES = [(60, 90), (60, 90), (72, 50), (40, 45), (60, 90), (60, 90)]  # height, width
LENGTHS = [12, 5, 20, 9, 7, 12]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fitting")
    for index, (length, (height, width)) in enumerate(zip(LENGTHS, SIZES, strict=True)):
        split = "test" if index >= 3 else "train"
        write_video(root / "set" / split / "ab"[index % 2] / f"{index}.avi", moving_square(length, height, width, seed=index))
    return root


def opened(root: Path, codec: Any = "raw", short_side: int | None = None) -> VideoSet:
    digest = scan_videos(root / "set", "folder", 1, root / "cache").digest()
    data = VideoData(kind="folder", manifest=digest, short_side=short_side, codec=codec)
    return open_videos(data, Seeds(0), root / "cache", root / "set")


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_a_native_test_crop_is_the_slice_of_the_decoded_frame(root: Path, codec: str) -> None:
    """Exactly, but for JPEG, whose pixels are never exact."""
    videos = opened(root, codec)
    rows = torch.arange(len(videos))
    (crops,) = batches(videos, rows, NATIVE, 1, 64, torch.device("cpu"))
    assert crops.shape == (6, 3, 4, 32, 32)
    starts = videos.uniform_starts(rows, NATIVE, 3)[:, 1]
    numbers = videos.frame_numbers(rows, starts, NATIVE)
    for row, (crop, path) in enumerate(zip(crops, videos.tag("path"), strict=True)):
        frames = decode(root / "set" / path)
        top, left = (frames.shape[1] - 32) // 2, (frames.shape[2] - 32) // 2
        expected = frames[numbers[row].numpy(), top : top + 32, left : left + 32].transpose(3, 0, 1, 2)
        if codec == "jpeg":
            assert np.abs(crop.numpy() * 255 - expected).mean() < 6
        else:
            assert torch.equal(crop, torch.from_numpy(expected.astype(np.float32)) / 255)


def test_a_video_smaller_than_the_crop_is_named_before_anything_is_run(root: Path) -> None:
    large = NATIVE.model_copy(update={"size": 48})
    told = r"test/b/3\.avi is of 45 x 40 pixels, smaller than the test crop of 48.*--size"
    manifest = opened(root).manifest
    with pytest.raises(FameError, match=told):
        check_manifest(manifest, large)
    check_manifest(manifest, large.model_copy(update={"resize": True}))


class Lengths:
    """Just enough of a set."""

    def __init__(self, *lengths: int) -> None:
        self.length = torch.tensor(lengths)


def test_a_short_video_s_place_is_taken_by_the_next_one_that_is_long_enough() -> None:
    videos: Any = Lengths(12, 5, 7, 20, 8, 3)  # the window is 8 frames
    rows = torch.tensor([0, 1, 2, 3, 4, 5])
    assert standing_in(videos, rows, NATIVE).tolist() == [0, 3, 3, 3, 4, 0]
    assert standing_in(videos, torch.tensor([5, 2, 4]), NATIVE).tolist() == [4, 4, 4]  # the list's order, not the set's
    assert fitting(videos, rows, NATIVE).tolist() == [0, 3, 4]
    assert standing_in(videos, rows, LOOPED).tolist() == fitting(videos, rows, LOOPED).tolist() == rows.tolist()


def test_a_set_of_short_videos_only_is_refused_with_the_way_out(root: Path) -> None:
    videos: Any = Lengths(5, 7)
    with pytest.raises(FameError, match=r"all 2 videos of split train are shorter than the 8 frames.*fewer --frames"):
        standing_in(videos, torch.tensor([0, 1]), NATIVE)
    long = NATIVE.model_copy(update={"frames": 16})
    with pytest.raises(FameError, match=r"set: all 3 videos of split train are shorter than the 32 frames"):
        check_manifest(opened(root).manifest, long)
    check_manifest(opened(root).manifest, long.model_copy(update={"short": "looped"}))


def test_tests_and_classifiers_leave_short_videos_out_and_count_them() -> None:
    videos: Any = FakeVideos(per_class=3, frames=12, size=32)  # every third video is of 6 frames
    tests = predictions.tested_splits(videos, NATIVE)
    assert {name: len(rows) for name, rows in tests.items()} == {name: 8 for name in predictions.tested_splits(videos)}
    assert {name: len(rows) for name, rows in predictions.tested_splits(videos, LOOPED).items()} == {name: 12 for name in tests}
    assert (videos.length[predictions.training_rows(videos, NATIVE)] >= 8).all() and len(
        predictions.training_rows(videos, NATIVE)
    ) == 8
    assert too_short(videos, ["train", "test"], NATIVE) == {"too_short": {"train": 4, "test": 4}}
    assert too_short(videos, ["train", "test"], LOOPED) == {}
    with pytest.raises(FameError, match="all 12 videos of split test"):
        predictions.tested_splits(videos, NATIVE.model_copy(update={"frames": 8}))


def test_pretraining_draws_the_stand_in_and_notes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = Views._clips

    def watched(self: Views, rows: torch.Tensor, *given: Any) -> Any:
        seen.extend(rows.tolist())
        return original(self, rows, *given)

    monkeypatch.setattr(Views, "_clips", watched)
    videos = FakeVideos(per_class=2, frames=12, size=32)
    config = contrast(
        data=fake_data(),
        clip=NATIVE,
        augment=Augment(blur=0.0),
        backbone=Backbone(name="r2plus1d_narrow", width=4),
        moco={"dim": 8, "queue": 8, "symmetric": False},
        optim=Optim(batch=4, epochs=1),
    )
    result = pretrain(config, fake_run(tmp_path, videos))
    train = videos.select("train").tolist()
    assert result["notes"]["too_short"] == {"train": 2} and result["notes"]["videos"] == 8
    assert sorted(seen) == sorted(2 * [train[at] for at in (0, 1, 3, 3, 4, 6, 6, 7)])  # two views of each; 2 and 5 are short
    seen.clear()
    looped = pretrain(config.model_copy(update={"clip": LOOPED}), fake_run(tmp_path / "looped", videos))
    assert sorted(seen) == sorted(2 * train) and "too_short" not in looped["notes"]
