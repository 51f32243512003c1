"""Kinetics-400 on disk: with lists and without, names of files and classes, what is missing, and what bad lists say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fame.data.layouts import read_kinetics
from fame.data.layouts.kinetics import video_of
from fame.errors import FameError
from tests.miniatures import counts, kinetics, kinetics_id, of, put


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("lists", ["", "annotations", None])
def test_kinetics_is_the_same_with_lists_and_without(tmp_path: Path, spaces: bool, lists: str | None) -> None:
    listing = read_kinetics(kinetics(tmp_path, lists=lists, spaces=spaces), 1)
    assert counts(listing) == {"train": 16, "test": 4} and not listing.missing and not listing.notes
    assert listing.classes[0] == "abseiling" and len(listing.classes) == 2
    assert all(entry.label == int("massaging" in entry.path) for entry in listing.entries)
    assert all(entry.path.startswith("val/") == (entry.split == "test") for entry in listing.entries)
    assert all((tmp_path / entry.path).is_file() for entry in listing.entries)


def test_kinetics_missing_videos_are_counted_not_an_error(tmp_path: Path) -> None:
    root = kinetics(tmp_path)
    gone = sorted((root / "train").rglob("*.mp4"))[::2]
    for path in gone:
        path.unlink()
    listing = read_kinetics(root, 1)
    assert counts(listing) == {"train": 8, "test": 4}
    assert sorted(listing.missing) == sorted(path.relative_to(root).with_suffix("").as_posix() for path in gone)


def test_kinetics_a_class_that_is_missing_whole_keeps_its_number(tmp_path: Path) -> None:
    root = kinetics(tmp_path)
    for split in ("train", "val"):
        shutil.rmtree(root / split / "abseiling")
    listing = read_kinetics(root, 1)
    assert listing.classes == ["abseiling", "massaging person's head"] and {entry.label for entry in listing.entries} == {1}


def test_kinetics_without_a_val_folder_can_be_pretrained_on(tmp_path: Path) -> None:
    root = kinetics(tmp_path, lists=None)
    for path in (root / "val").rglob("*.mp4"):
        path.unlink()
    assert counts(read_kinetics(root, 1)) == {"train": 16}


def test_kinetics_names_with_the_id_alone_and_in_no_class_folder(tmp_path: Path) -> None:
    """Flat folders, as the archives unpack, and short names: the list says the class, and no file becomes two entries."""
    root = kinetics(tmp_path)
    for path in sorted((root / "train").rglob("*.mp4")):
        path.rename(root / "train" / f"{video_of(path.name)}.mp4")
    with (root / "train.csv").open("a") as file:
        file.write(f"abseiling,{kinetics_id(1)},50,60,train\n")  # the same video, for another class: one file is one entry
        file.write(f"abseiling,{kinetics_id(9)},9,19,train\n")  # a row twice
    listing = read_kinetics(root, 1)
    train = {entry.path: entry.label for entry in listing.entries if entry.split == "train"}
    assert len(train) == 16 == len(of(listing, "train"))
    assert train[f"train/{kinetics_id(1)}.mp4"] == 1 and train[f"train/{kinetics_id(9)}.mp4"] == 0
    assert listing.missing == [f"train/abseiling/{kinetics_id(1)}_000050_000060"]


def test_kinetics_of_two_files_with_one_name_each_class_gets_its_own(tmp_path: Path) -> None:
    root = kinetics(tmp_path)
    put(root / "train/abseiling" / f"{kinetics_id(1)}_000001_000011.mp4")
    with (root / "train.csv").open("a") as file:
        file.write(f"abseiling,{kinetics_id(1)},1,11,train\n")
    train = [e for e in read_kinetics(root, 1).entries if kinetics_id(1) in e.path]
    assert sorted((e.path.split("/")[1], e.label) for e in train) == [("abseiling", 0), ("massaging person's head", 1)]


def test_kinetics_validation_only_when_asked_and_stable(tmp_path: Path) -> None:
    """A threshold on the video's hash: what a copy lacks moves no other video, and two clips of one video stay together."""
    root = kinetics(tmp_path, videos=40)
    assert counts(read_kinetics(root, 1)) == {"train": 80, "test": 4}
    put(root / "splits.toml", "val = 0.25\n")
    whole = {entry.path: entry.split for entry in read_kinetics(root, 1).entries}
    assert 8 <= sum(split == "val" for split in whole.values()) <= 32 and sum(split == "test" for split in whole.values()) == 4
    for path in sorted((root / "train").rglob("*.mp4"))[::3]:
        path.unlink()
    part = {entry.path: entry.split for entry in read_kinetics(root, 1).entries}
    assert len(part) < len(whole) and all(whole[path] == split for path, split in part.items())
    put(root / "splits.toml", "val = 0.25\nseed = 1\n")
    assert {path for path, split in part.items() if split == "val"} != set(of(read_kinetics(root, 1), "val"))
    put(root / "splits.toml", "test = 0.25\n")
    with pytest.raises(FameError, match=r"splits\.toml sets test; what may be set here is val, seed"):
        read_kinetics(root, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("youtube_id,time_start\nx,1\n", "train.csv has no column label"),
        ("", "has no column label and no column youtube_id"),
        ("label,youtube_id\nabseiling,\n", "line 2 of .* has no youtube_id"),
        ("label,youtube_id,time_start,time_end\nabseiling,x,soon,2\n", "line 2 of .* has time_start 'soon', which is no number"),
        ("label,youtube_id\nabseiling,elsewhere1\n", r"none of the 1 videos that .*train\.csv lists is in .*train"),
    ],
)
def test_kinetics_a_bad_list_is_named(tmp_path: Path, text: str, told: str) -> None:
    root = kinetics(tmp_path, videos=1)
    for path in (root / "val").rglob("*.mp4"):
        path.unlink()
    (root / "validate.csv").unlink()
    put(root / "train.csv", text)
    with pytest.raises(FameError, match=told):
        read_kinetics(root, 1)


def test_kinetics_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="has no folder train or videos_train"):
        read_kinetics(tmp_path, 1)
    (tmp_path / "train").mkdir()
    with pytest.raises(FameError, match=r"no video in .*train/CLASS and no csv list"):
        read_kinetics(tmp_path, 1)
