"""Anybody's own videos: split folders, a list of splits, and what is told of a folder."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from fame.data.layouts import Entry
from fame.data.layouts.folder import read_class_folders
from fame.data.video import SUFFIXES
from fame.errors import FameError
from tests.data.test_splits import made, own, splits_of
from tests.miniatures import put


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Train", "Validation", "Test"), ("training", "valid", "testing"), ("TRAIN", "dev", "eval")],
)
def test_split_folders_by_any_usual_name(train: str, val: str, test: str, tmp_path: Path) -> None:
    root = made(tmp_path, f"{train}/run/deep/a.MKV", f"{val}/run/b.mp4", f"{test}/run/c.mp4", f"{test}/jump/d.webm")
    put(root / "notes" / "of the test.txt")
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert listing.classes == ["jump", "run"] and not listing.notes and not (tmp_path / "cache").exists()
    assert listing.entries == [
        Entry(f"{train}/run/deep/a.MKV", 1, "train"),
        Entry(f"{val}/run/b.mp4", 1, "val"),
        Entry(f"{test}/jump/d.webm", 0, "test"),
        Entry(f"{test}/run/c.mp4", 1, "test"),
    ]


def test_a_class_may_be_called_as_a_split_is_and_what_may_be_either_is_asked(tmp_path: Path) -> None:
    classes = made(tmp_path / "classes", "train/a.mp4", "car/b.mp4", "bus/c.mp4")
    assert read_class_folders(classes, 1, tmp_path / "cache").classes == ["bus", "car", "train"]
    either = made(tmp_path / "either", "train/s1/a.mp4", "car/s1/b.mp4")
    with pytest.raises(FameError, match=r"is .*/train a split or a class\? car lies beside it"):
        read_class_folders(either, 1, tmp_path / "cache")
    for nothing in (tmp_path / "cache", made(tmp_path / "no classes", "train/a.mp4", "test/b.mp4")):
        with pytest.raises(FameError, match=r"no video in .*CLASS"):
            read_class_folders(nothing, 1, tmp_path / "cache")


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (
            ["train/a/1.mp4", "train/b/2.mp4", "test/a/3.mp4", "extra/a/4.mp4", "5.mp4"],
            "2 videos .* they lie in no class folder .*: 5",
        ),
        (
            ["videos/a/1.mp4", "videos/b/2.mp4"],
            r"has one class, videos, .*: is .*/videos the data set",
        ),
        (["a/1.mp4", "a/2.mp4"], "has one class, a, so there is nothing to tell apart$"),
        (["train_set/1.mp4", "test_set/2.mp4"], "test_set, train_set are not taken for splits"),
        (["a/1.mp4", "b/2.mp4", "Splits.csv"], "Splits.csv not read: a list of the splits is splits.csv"),
        (["a/train/1.mp4", "a/test/2.mp4", "b/train/3.mp4"], "test, train are not taken for splits"),
        (["caf\u00e9/1.mp4", "cafe\u0301/2.mp4"], r"differ in spelling alone: 'cafe\\u0301', 'caf\\xe9'"),
        (["a/1.mp4", "b/2.mp4", "b/3.movie"], r"left out: videos of such a name are not read \(first: b/3"),
    ],
)
def test_what_is_odd_about_a_folder_is_told(paths: list[str], told: str, tmp_path: Path) -> None:
    (note,) = read_class_folders(made(tmp_path, *paths), 1, tmp_path / "cache").notes
    assert re.search(told, note)


def test_every_kind_of_video_is_read_and_what_a_system_leaves_is_no_class(tmp_path: Path) -> None:
    names = [f"{'ab'[index % 2]}/{index}{suffix}" for index, suffix in enumerate(SUFFIXES)]
    root = made(tmp_path / "set", *names, "a/notes.txt", "a/._1.mp4")
    for name in ("@eaDir", "@Recycle", "$Recycle.Bin", "#snapshot", "__MACOSX", ".trash", "System Volume Information"):
        put(root / name / "deep" / "1.mp4")
    (root / "loop").symlink_to(root)
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert sorted(entry.path for entry in listing.entries) == sorted(names) and not listing.notes


def test_a_list_of_splits_is_obeyed(tmp_path: Path) -> None:
    root = own(tmp_path / "set", 2)
    put(root / "walk" / unicodedata.normalize("NFC", "é.mp4"))
    lines = [
        "run/v_run_g00_c01.mp4,train",
        "./walk/v_walk_g00_c01.mp4,val",
        "run/v_run_g01_c01.mp4,test",
        "gone/x.mp4,train",
    ]
    put(root / "splits.csv", "\n".join(["path,split", *lines, unicodedata.normalize("NFD", "walk/é.mp4,test")]))
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert listing.classes == ["gone", "run", "walk"] and listing.missing == ["gone/x.mp4"]
    assert listing.entries == [
        Entry("run/v_run_g00_c01.mp4", 1, "train"),
        Entry("walk/v_walk_g00_c01.mp4", 2, "val"),
        Entry("run/v_run_g01_c01.mp4", 1, "test"),
        Entry(unicodedata.normalize("NFC", "walk/é.mp4"), 2, "test"),
    ]
    assert listing.notes == ["5 videos on disk are left out: splits.csv does not name them (first: run/v_run_g00_c02.mp4)"]
    assert not (tmp_path / "cache").exists()


def test_a_list_may_name_the_classes_and_leave_validation_to_us(tmp_path: Path) -> None:
    root = tmp_path / "set"
    lines = [f'"a, {index}.mp4",{"jump" if index % 2 else "spin"},{"test" if index > 40 else "train"}' for index in range(44)]
    for index in range(44):
        put(root / f"a, {index}.mp4")
    put(root / "splits.csv", b"\xef\xbb\xbf" + "\r\n".join(["path,label,split", *lines]).encode())  # as spreadsheets write it
    listing = read_class_folders(root, 1, tmp_path)
    assert Counter(entry.split for entry in listing.entries) == {"train": 37, "val": 4, "test": 3}
    assert {(entry.path, listing.classes[entry.label]) for entry in listing.entries} >= {
        ("a, 1.mp4", "jump"),
        ("a, 2.mp4", "spin"),
    }
    put(root / "splits.toml", "val = 0\n")
    assert Counter(splits_of(root, tmp_path).values()) == {"train": 41, "test": 3}


def test_split_folders_before_the_class_are_passed_over_and_names_may_break_lines(tmp_path: Path) -> None:
    made(tmp_path, "Train/run/a.mp4", "test/run/b\nc.mp4")
    put(tmp_path / "splits.csv", 'path,split\nTrain/run/a.mp4,train\n"test/run/b\nc.mp4",val\n')
    listing = read_class_folders(tmp_path, 1, tmp_path)
    assert listing.classes == ["run"] and not listing.missing


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run/a.mp4,train\n", "splits.csv begins with run/a.mp4,train; its first line is path,split or path,label,split"),
        ("path,split\nrun/a.mp4,training\n", "line 2 of .* has the split 'training'"),
        ("path,split\nrun/a.mp4\n", "line 2 of .* has the split ''"),
        ("path,split\nrun/a.mp4,train\n\nrun/a.mp4,test\n", "line 4 of .* lists run/a.mp4 a second time"),
        ("path,split\na.mp4,train\n", "'a.mp4' lies in no class folder; add a column label"),
        ("path,label,split\na.mp4,,train\n", "has no label for a.mp4"),
        ("path,split\n../run/a.mp4,train\n", "stay in it"),
        ("path,split\nrun/b.mp4,train\n", "none of the 1 videos"),
        ("path,split\n", "none of the 0 videos"),
        ('path,split\n"' + "x" * 140_000, "line 2 of .*splits.csv is not csv"),
        ("path,split\nrun\\a.mp4,train\n", "lies in no class folder"),
    ],
)
def test_a_bad_list_is_named(text: str, told: str, tmp_path: Path) -> None:
    put(made(tmp_path, "run/a.mp4") / "splits.csv", text)
    with pytest.raises(FameError, match=told):
        read_class_folders(tmp_path, 1, tmp_path)
