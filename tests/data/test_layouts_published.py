"""All layouts alike: the published counts, and the way from the command line's choice to a manifest."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from fame.config import VideoData
from fame.data.layouts import Entry, Kind, Listing, compare_with_official, read_layout
from fame.data.layouts.official import OFFICIAL
from fame.data.scan import scan
from fame.errors import FameError
from studies.setting.asked import resolve
from studies.setting.options import Options
from studies.setting.paper_sets import PAPER
from tests.miniatures import counts, diving48, folder, hmdb51, kinetics, ucf101
from tests.videos import write_video

REAL = Path(__file__).parents[3] / "shared" / "real-video"
needs_real = pytest.mark.skipif(not (REAL / "hmdb51_splits").is_dir(), reason="no ../shared/real-video beside the checkout")
BUILDERS: dict[Kind, Callable[..., Path]] = {
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kinetics400": kinetics,
    "diving48": diving48,
    "folder": folder,
}


# ---------------------------------------------------------------- the published counts


def listing_of(train: int, val: int, test: int, classes: int) -> Listing:
    splits = ["train"] * train + ["val"] * val + ["test"] * test
    return Listing([], [Entry(str(index), index % classes, split) for index, split in enumerate(splits)])


def test_counts_are_compared_with_the_official_ones() -> None:
    assert compare_with_official("ucf101", 1, listing_of(55, 5, 48, 64)) == [
        "ucf101 fold 1: train 60 of 9537 videos",
        "ucf101 fold 1: test 48 of 3783 videos",
        "ucf101 fold 1: videos of 64 of 101 classes",
    ]
    whole = compare_with_official("hmdb51", 3, listing_of(3230, 340, 1530, 51))
    assert whole == ["hmdb51 fold 3: 3570 train and 1530 test videos of 51 classes, as published"]
    assert compare_with_official("kinetics400", 1, listing_of(9, 0, 0, 2))[0] == "kinetics400: train 9 of 246534 videos"
    assert compare_with_official("folder", 1, listing_of(1, 0, 0, 1)) == []


def test_each_fold_of_ucf101_has_all_its_videos() -> None:
    assert {kind for kind, _ in OFFICIAL} | {"folder", "staged", PAPER} == set(get_args(Options.model_fields["dataset"].annotation))
    assert {OFFICIAL["ucf101", fold].train + OFFICIAL["ucf101", fold].test for fold in (1, 2, 3)} == {13320}


@needs_real
@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_official_counts_are_those_of_the_official_lists(fold: int) -> None:
    for split in ("train", "test"):
        lines = (REAL / "ucfTrainTestlist" / f"{split}list{fold:02d}.txt").read_text().split("\n")
        assert sum(bool(line.strip()) for line in lines) == getattr(OFFICIAL["ucf101", fold], split)
    numbers = Counter(
        line.split()[-1]
        for file in (REAL / "hmdb51_splits").glob(f"*_split{fold}.txt")
        for line in file.read_text().splitlines()
        if line.strip()
    )
    assert (numbers["1"], numbers["2"]) == (OFFICIAL["hmdb51", fold].train, OFFICIAL["hmdb51", fold].test)


# ---------------------------------------------------------------- every layout, from the command line's choice to a manifest


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", 6).read_bytes()


@pytest.mark.parametrize("kind", list(BUILDERS))
def test_every_layout_is_scanned_and_becomes_a_setting(
    kind: Kind, tmp_path: Path, clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    root = BUILDERS[kind](tmp_path / "set", clip)
    asked = resolve(Options(scale="paper", dataset=kind, data_root=root), tmp_path / "cache", 1)
    assert asked.setting.videos is not None and asked.setting.videos.kind == kind
    assert asked.folds[0]["A"].counts == counts(read_layout(root, kind, 1, tmp_path / "cache" / "scan"))
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert any(line.startswith(kind) and " of " in line for line in told) == (kind != "folder")
    caplog.clear()
    manifest = scan(root, kind, 1, tmp_path / "cache" / "scan", 1)
    assert manifest.digest() == asked.setting.videos.manifest
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]  # told once
    assert VideoData.model_validate_json(json.dumps(asked.setting.videos.model_dump())) == asked.setting.videos


@pytest.mark.parametrize(
    ("kind", "fold", "told"), [("diving48", 2, "the only one"), ("kinetics400", 3, "the only one"), ("hmdb51", 4, "3 are")]
)
def test_a_fold_that_nobody_published(kind: Kind, fold: int, told: str, tmp_path: Path) -> None:
    with pytest.raises(FameError, match=rf"{kind}: there is no fold {fold}; fold 1 .*{told}"):
        read_layout(BUILDERS[kind](tmp_path), kind, fold, tmp_path)
