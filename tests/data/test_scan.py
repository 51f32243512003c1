"""The scan: what it knows and leaves out, resuming, damaged caches, sets as they come, no room to write."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fame.config import VideoData
from fame.data import open_videos, scan_videos
from fame.data import scan as scan_module
from fame.data.faults import VideoError
from fame.data.inspection import inspect
from fame.data.layouts import Kind, listing, read_layout
from fame.data.layouts.ucf101 import read_ucf101
from fame.data.scan import scan
from fame.data.store import ChangedVideo
from fame.errors import FameError
from fame.seeds import Seeds
from tests.miniatures import folder, kinetics, put, ucf101
from tests.videos import write_video

REAL = Path(__file__).parents[3] / "shared" / "real-video"


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the videos that are inspected from now on."""
    seen: list[str] = []
    monkeypatch.setattr(scan_module, "inspect", lambda path: (seen.append(path.name), inspect(path))[1])
    return seen


def test_a_scan_knows_what_decodes_and_a_second_one_opens_nothing(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "set", clip)
    seen: list[tuple[str, int, int]] = []
    first = scan(root, "folder", 1, tmp_path / "cache", 1, lambda *at: seen.append(at))
    assert seen[0] == ("scan", 0, 12) and seen[-1] == ("scan", 12, 12)
    video = first.videos[0]
    assert (video.frames, video.fps, video.width, video.height, len(video.sha256)) == (6, 12.0, 48, 32, 64)
    looked = looked_at(monkeypatch)
    assert scan(root, "folder", 1, tmp_path / "cache", 1) == first and not looked
    os.utime(write_video(root / "class0" / "00.avi", 9), (1, 1))
    after = scan(root, "folder", 1, tmp_path / "cache", 1)
    assert looked == ["00.avi"] and after.videos[0].frames == 9 and after.digest() != first.digest()


def test_an_interrupted_scan_goes_on_where_it_was(tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "set", clip)
    opened: list[Path] = []

    def stops(path: Path) -> object:
        if len(opened) == 5:
            raise KeyboardInterrupt
        opened.append(path)
        return inspect(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scan_module, "inspect", stops)
        scan(root, "folder", 1, tmp_path / "cache", 1)
    (memory,) = (tmp_path / "cache").glob("scan-*.jsonl")
    memory.write_text(memory.read_text()[:-20])  # the last line is torn, as by kill -9
    again = looked_at(monkeypatch)
    manifest = scan(root, "folder", 1, tmp_path / "cache", 1)
    assert len(again) == 12 - 4
    assert manifest.digest() == scan(root, "folder", 1, tmp_path / "other", 1).digest()


def test_several_processes_scan_as_one_does(tmp_path: Path, clip: bytes) -> None:
    root = folder(tmp_path / "set", clip)
    put(root / "class0" / "00.avi", b"broken")
    one = scan(root, "folder", 1, tmp_path / "one", 1, most_broken=0.1)
    two = scan(root, "folder", 1, tmp_path / "two", 2, most_broken=0.1)
    assert one == two and len(one.videos) == 11


def test_missing_entries_warn_once(tmp_path: Path, clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    root = ucf101(tmp_path / "set", clip, groups=1)
    (root / "UCF-101/Diving/v_Diving_g03_c01.avi").unlink()
    scan(root, "ucf101", 1, tmp_path / "cache", 1)
    assert "1 of 18 listed videos are not on disk (first: Diving/v_Diving_g03_c01.avi" in caplog.text
    caplog.clear()
    scan(root, "ucf101", 1, tmp_path / "cache", 1)
    assert caplog.text == ""


def test_videos_on_disk_open_only_as_the_scan_knew_them(tmp_path: Path, clip: bytes) -> None:
    root, cache = folder(tmp_path / "set", clip), tmp_path / "cache"
    data = VideoData(kind="folder", manifest=scan_videos(root, "folder", 1, cache).digest(), short_side=16)
    videos = open_videos(data, Seeds(), cache, root)
    assert len(videos) == 12 and videos.store.size == (16, 24)
    with pytest.raises(FameError, match="--data-root"):
        open_videos(data, Seeds(), cache)
    path = root / "class0" / "00.avi"
    was = path.stat()
    path.write_bytes(clip[:-1] + bytes([clip[-1] ^ 1]))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))  # rot: size and time are all that a second scan looks at
    shutil.rmtree(cache / "videos")
    with pytest.raises(ChangedVideo, match=r"00\.avi: the file has changed since it was scanned .*`touch` it"):
        open_videos(data, Seeds(), cache, root)
    path.touch()
    with pytest.raises(FameError, match=f"not those of this run .* not {data.manifest}"):
        open_videos(data, Seeds(), cache, root)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real UCF101 clips beside the checkout (../shared/real-video)")
def test_real_clips(tmp_path: Path) -> None:
    found = read_ucf101(REAL, 1)
    root = tmp_path / "sample"
    (root / "UCF-101").mkdir(parents=True)
    (root / "ucfTrainTestlist").symlink_to(REAL / "ucfTrainTestlist")
    for entry in [next(e for e in found.entries if e.split == split) for split in ("train", "test")]:
        put(root / entry.path, (REAL / entry.path).read_bytes())
    manifest = scan_videos(root, "ucf101", 1, tmp_path / "cache")
    assert [(v.split, v.width, v.height) for v in manifest.videos] == [("train", 320, 240), ("test", 320, 240)]
    data = VideoData(kind="ucf101", manifest=manifest.digest(), short_side=64)
    videos = open_videos(data, Seeds(), tmp_path / "cache", root)
    assert videos.store.size == (64, 85) and videos.length.tolist() == [video.frames for video in manifest.videos]
    assert 20 < videos.store.video(0).mean() < 235
    hmdb = scan(REAL, "hmdb51", 3, tmp_path, 1)
    assert hmdb.name == "hmdb51-fold3" and len(hmdb.videos) == 5 and all(video.frames > 20 for video in hmdb.videos)


def test_a_cache_of_nonsense_is_made_anew(tmp_path: Path, clip: bytes) -> None:
    root, cache = ucf101(tmp_path / "set", clip, groups=2), tmp_path / "cache"
    (root / "UCF-101/Diving/v_Diving_g03_c01.avi").unlink()
    before = scan_videos(root, "ucf101", 1, cache)
    files = {path: path.read_bytes() for path in (cache / "scan").iterdir()}
    assert len(files) == 3
    for path in files:
        path.write_bytes(b'\xff\xfe\0bad{"')
    assert scan_videos(root, "ucf101", 1, cache) == before
    assert all(path.read_bytes() == was for path, was in files.items() if path.suffix != ".jsonl")


def test_a_full_disk_is_one_line_and_what_was_scanned_is_kept(tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = ucf101(tmp_path / "set", clip, groups=2), tmp_path / "cache"
    left, dumps = iter(range(5)), json.dumps

    def full(*given: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return dumps(*given, **options)

    with monkeypatch.context() as patch, pytest.raises(FameError, match=r"\.jsonl: what .*make room"):
        patch.setattr(scan_module.json, "dumps", full)
        scan_videos(root, "ucf101", 1, cache)
    seen: list[tuple[str, int, int]] = []
    assert len(scan_videos(root, "ucf101", 1, cache, progress=lambda *at: seen.append(at)).videos) == 24
    assert seen[0] == ("scan", 0, 24 - 5)
    with monkeypatch.context() as patch, pytest.raises(FameError, match=r"csv: what .*\(No space"):
        patch.setattr(scan_module, "write_atomically", full)
        scan_videos(folder(tmp_path / "other", clip), "folder", 1, cache)
    with pytest.raises(FameError, match=r"file: its lock file cannot be written"):
        scan_videos(root, "ucf101", 1, put(tmp_path / "file"))


@pytest.mark.parametrize(("kind", "make"), [("ucf101", ucf101), ("folder", folder), ("kinetics400", kinetics)])
def test_nothing_is_written_into_the_videos_folder(kind: Kind, make: Callable[..., Path], tmp_path: Path, clip: bytes) -> None:
    """It is read-only for all but root; and for root, times of change tell of a file that is written or made."""
    root, cache = make(tmp_path / "set", clip), tmp_path / "cache"
    for path in (root, *root.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))}
    data = VideoData(kind=kind, manifest=scan_videos(root, kind, 1, cache).digest(), short_side=16)
    open_videos(data, Seeds(0), cache, root)
    assert {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))} == before
    for path in (root, *root.rglob("*")):
        path.chmod(0o700)


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
    (root / inside / "loop").symlink_to(root)
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
    data = VideoData(kind="folder", manifest=manifest.digest(), short_side=16)
    assert len(open_videos(data, Seeds(0), cache, root)) == 12
    for name, told in ((b"caf\xe9.avi", r"caf\\xe9\.avi"), (b"a\rb.avi", r"a\\rb\.avi")):
        path = Path(os.fsdecode(os.fsencode(root / "日本 語") + b"/" + name))
        path.write_bytes(clip)
        with pytest.raises(FameError, match=rf"{told}': the file's name is no UTF-8, or has a carriage return"):
            scan_videos(root, "folder", 1, cache)
        path.unlink()


@pytest.mark.parametrize(("file", "told"), [("sound.avi", "a list of other files"), ("gone.avi", "not a video that FFmpeg opens")])
def test_a_text_that_names_other_videos_is_no_video(file: str, told: str, tmp_path: Path, clip: bytes) -> None:
    put(tmp_path / "sound.avi", clip)
    put(tmp_path / "list.avi", f"ffconcat version 1.0\nfile {file}\nfile {file}\n")
    with pytest.raises(VideoError, match=rf"list\.avi: not-a-video: {told}"):
        inspect(tmp_path / "list.avi")
