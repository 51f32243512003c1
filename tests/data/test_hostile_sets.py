"""Copies of data sets as they come: edited lists, odd names, links. Each is read aright, or is one clear line."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.config import VideoData
from fame.data import open_videos, scan_videos
from fame.data.faults import VideoError
from fame.data.inspection import inspect
from fame.data.layouts import Kind, listing, read_layout
from fame.data.manifest import Manifest
from fame.errors import FameError
from fame.seeds import Seeds
from tests.miniatures import counts, diving48, folder, hmdb51, kinetics, put, ucf101
from tests.videos import write_video

UCF_LISTS, HMDB_LISTS = "ucfTrainTestlist", "testTrainMulti_7030_splits"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", 6).read_bytes()


def edit(file: Path, change: Callable[[list[str]], list[str]], end: str = "\n") -> None:
    file.write_bytes(end.join(change(file.read_text(encoding="utf-8").splitlines())).encode())


def from_windows(*lists: Path) -> None:
    """A byte order mark, \\r\\n, blanks behind every line and blank lines."""
    for file in lists:
        edit(file, lambda lines: ["\ufeff" + lines[0], *(line + " \t" for line in lines[1:]), "", "  ", ""], "\r\n")


# ---------------------------------------------------------------- lists


def test_lists_from_windows_say_what_they_said(tmp_path: Path) -> None:
    for kind, make in {"ucf101": ucf101, "hmdb51": hmdb51, "kinetics400": kinetics, "diving48": diving48}.items():
        plain, other = make(tmp_path / kind), make(tmp_path / f"{kind} from windows")
        from_windows(*(path for path in other.rglob("*") if path.suffix in (".txt", ".csv", ".json")))
        before, after = (read_layout(root, kind, 1, tmp_path / "cache") for root in (plain, other))
        assert before == after and not after.missing


def test_blanks_around_a_csv_s_values_are_no_part_of_them(tmp_path: Path) -> None:
    plain, other = kinetics(tmp_path / "plain"), kinetics(tmp_path / "other")
    for name in ("train.csv", "validate.csv"):
        edit(other / name, lambda lines: [line.replace(",", " , ") for line in lines])
    assert read_layout(plain, "kinetics400", 1, tmp_path) == read_layout(other, "kinetics400", 1, tmp_path)


def train_list(kind: Kind, root: Path) -> Path:
    names = {
        "ucf101": f"{UCF_LISTS}/trainlist01.txt",
        "hmdb51": f"{HMDB_LISTS}/kick_test_split1.txt",
        "diving48": "Diving48_V2_train.json",
    }
    return root / names[kind]


@pytest.mark.parametrize(("kind", "make"), [("ucf101", ucf101), ("hmdb51", hmdb51)])
def test_a_line_that_stands_twice_is_one_video(kind: Kind, make: Callable[..., Path], tmp_path: Path, clip: bytes) -> None:
    root = make(tmp_path / "set", clip)
    once = read_layout(root, kind, 1, tmp_path / "cache")
    edit(train_list(kind, root), lambda lines: [*lines, lines[4], lines[4]])
    assert read_layout(root, kind, 1, tmp_path / "cache") == once and not once.missing
    assert len(scan_videos(root, kind, 1, tmp_path / "cache").videos) == len(once.entries)


def in_train_and_test(kind: Kind, root: Path) -> None:
    def in_both(lines: list[str]) -> list[str]:
        return [*lines, lines[4].strip()[:-1] + "2"]

    if kind == "hmdb51":
        edit(train_list(kind, root), in_both)
    else:
        first = train_list(kind, root).read_text(encoding="utf-8").splitlines()[0].split()[0]
        edit(root / UCF_LISTS / "testlist01.txt", lambda lines: [*lines, first])


@pytest.mark.parametrize(("kind", "make"), [("ucf101", ucf101), ("hmdb51", hmdb51)])
def test_a_video_to_train_on_and_to_test_with_is_an_error(kind: Kind, make: Callable[..., Path], tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    in_train_and_test(kind, root)
    with pytest.raises(FameError, match=rf"^{kind}: .*\.txt lists \S+.*\.avi again, with another label or split; get"):
        read_layout(root, kind, 1, tmp_path / "cache")


def test_a_path_with_a_dot_before_it_is_the_same_path(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    lines = [f"./class{index % 2}/{index:02d}.avi,{'test' if index > 9 else 'train'}" for index in range(12)]
    put(root / "splits.csv", "\n".join(["path,split", *lines]))
    found = read_layout(root, "folder", 1, tmp_path)
    assert counts(found) == {"train": 8, "val": 2, "test": 2} and not found.notes  # nothing is said to be left out
    put(root / "splits.csv", "\n".join(["path,split", *lines, "class0/00.avi,test"]))
    with pytest.raises(FameError, match=r"line 14 .* lists class0/00\.avi a second time"):
        read_layout(root, "folder", 1, tmp_path)


@pytest.mark.parametrize(
    ("kind", "make", "file", "text", "told"),
    [
        (
            "kinetics400",
            kinetics,
            "train.csv",
            "label,youtube_id,time_start,time_end\nabseiling,x,1e999,2\n",
            "no number of seconds",
        ),
        ("kinetics400", kinetics, "train.csv", 'label,youtube_id\nabseiling,"' + "x" * 140_000, "line 2 of .*train.csv is not csv"),
        ("folder", folder, "splits.csv", 'path,split\n"' + "x" * 140_000, "line 2 of .*splits.csv is not csv"),
        ("folder", folder, "splits.csv", "", "its first line is path,split"),
        ("folder", folder, "splits.csv", "path,split\nclass9\\00.avi,train", "lies in no class folder"),
        ("ucf101", ucf101, f"{UCF_LISTS}/trainlist01.txt", "Juggling/v_Juggling_g01_c01.avi 1\n", "whose class is not in"),
    ],
)
def test_a_list_that_cannot_be_is_one_line(
    kind: Kind, make: Callable[..., Path], file: str, text: str, told: str, tmp_path: Path
) -> None:
    put(make(tmp_path / "set") / file, text)
    with pytest.raises(FameError, match=told) as caught:
        read_layout(tmp_path / "set", kind, 1, tmp_path / "cache")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_kept_split_that_was_edited_wrongly_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    read_layout(root, "folder", 1, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob("split-*.json")
    kept.write_text('{"class0/00.avi": ["train"]}')
    with pytest.raises(FameError, match=rf"^{kept}: a split file maps groups to train, val or test"):
        read_layout(root, "folder", 1, tmp_path / "cache")


# ---------------------------------------------------------------- names and folders


def test_names_in_other_case_and_other_suffixes(tmp_path: Path) -> None:
    ucf, hmdb = ucf101(tmp_path / "ucf"), hmdb51(tmp_path / "hmdb")
    before = [read_layout(ucf, "ucf101", 1, tmp_path), read_layout(hmdb, "hmdb51", 1, tmp_path)]
    for path in list((ucf / "UCF-101").rglob("*.avi")):
        path.rename(path.with_suffix(".AVI"))
    (hmdb / "HMDB51" / "kick_ball").rename(hmdb / "HMDB51" / "Kick_Ball")
    after = [read_layout(ucf, "ucf101", 1, tmp_path), read_layout(hmdb, "hmdb51", 1, tmp_path)]
    assert [counts(found) for found in after] == [counts(found) for found in before] and not after[0].missing + after[1].missing


def test_what_an_archive_from_a_mac_leaves_is_passed_over(tmp_path: Path) -> None:
    root = hmdb51(tmp_path / "set")
    before = read_layout(root, "hmdb51", 1, tmp_path)
    put(root / HMDB_LISTS / "._kick_test_split1.txt", b"\0\x05\x16\x07\xff")
    put(root / "HMDB51" / "kick" / "._clip.avi", b"\0\x05\x16\x07\xff")
    put(root / "__MACOSX" / "kick" / "._clip.avi", b"\0\x05\x16\x07\xff")
    assert read_layout(root, "hmdb51", 1, tmp_path) == before


@pytest.mark.parametrize(
    ("kind", "make", "inside"), [("ucf101", ucf101, "UCF-101"), ("kinetics400", kinetics, "train"), ("folder", folder, ".")]
)
def test_class_folders_may_be_links(kind: Kind, make: Callable[..., Path], inside: str, tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    before = read_layout(root, kind, 1, tmp_path / "cache")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in [path for path in (root / inside).iterdir() if path.is_dir()]:
        path.rename(elsewhere / path.name)
        path.symlink_to(elsewhere / path.name)
        (elsewhere / path.name / "back").symlink_to(root)  # and leads nobody round in a circle
    assert read_layout(root, kind, 1, tmp_path / "cache") == before


def test_a_folder_that_cannot_be_read_is_no_missing_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "set")
    scandir = os.scandir

    def refusing(path: str | Path) -> object:
        if str(path).endswith("class1"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(listing.os, "scandir", refusing)
    with pytest.raises(FameError, match=r"set/class1: the folder cannot be read \(Permission denied\)"):
        read_layout(root, "folder", 1, tmp_path / "cache")


def test_names_in_any_script_with_blanks_work_and_bytes_that_are_none_are_named(tmp_path: Path, clip: bytes) -> None:
    root, cache = tmp_path / "a set with blanks", tmp_path / "a cache"
    for name in ("日本 語", "été, à la mer"):
        for index in range(6):
            put(root / name / f"v {index} ü'\"%d.avi", clip)
    manifest = scan_videos(root, "folder", 1, cache)
    assert len(manifest.videos) == 12 and manifest.classes == ["été, à la mer", "日本 語"]
    manifest.save(tmp_path / "manifest.json")
    assert Manifest.load(tmp_path / "manifest.json").digest() == manifest.digest()
    data = VideoData(kind="folder", manifest=manifest.digest(), short_side=16)
    assert len(open_videos(data, Seeds(0), cache, root)) == 12
    Path(os.fsdecode(os.fsencode(root / "日本 語") + b"/caf\xe9.avi")).write_bytes(clip)
    with pytest.raises(FameError, match=r"caf\\xe9\.avi': the file's name is no UTF-8"):
        scan_videos(root, "folder", 1, cache)


def test_a_text_that_names_other_videos_is_no_video(tmp_path: Path, clip: bytes) -> None:
    put(tmp_path / "sound.avi", clip)
    put(tmp_path / "list.avi", "ffconcat version 1.0\nfile sound.avi\nfile sound.avi\n")
    with pytest.raises(VideoError, match=r"list\.avi: not-a-video: a list of other files"):
        inspect(tmp_path / "list.avi")
    put(tmp_path / "list.avi", "ffconcat version 1.0\nfile nothing.avi\n")
    with pytest.raises(VideoError, match=r"list\.avi: not-a-video: not a video that FFmpeg opens"):
        inspect(tmp_path / "list.avi")
