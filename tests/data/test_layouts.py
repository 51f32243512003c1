"""Layouts and the scan: labels, splits by group, files that are missing or broken, resuming."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fame.config import VideoData
from fame.data import open_videos, scan_videos
from fame.data import scan as scan_module
from fame.data.layouts import Entry, group_of, hold_out_groups, read_class_folders, read_ucf101
from fame.data.scan import scan
from fame.errors import FameError
from fame.seeds import Seeds
from tests.miniatures import folder, put, ucf101
from tests.videos import truncate, write_video

REAL = Path(__file__).parents[3] / "shared" / "real-video"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", 6).read_bytes()


# ---------------------------------------------------------------- listing


def test_ucf101_labels_splits_and_whole_validation_groups(tmp_path: Path) -> None:
    listing = read_ucf101(ucf101(tmp_path), 1)
    assert listing.classes == ["Diving", "Archery", "HandstandPushups"] and not listing.missing
    assert {e.label for e in listing.entries if "/Archery/" in e.path} == {1}
    by_split = {split: {group_of(e.path) for e in listing.entries if e.split == split} for split in ("train", "val", "test")}
    assert by_split["test"] == {f"{name}/g0{g}" for name in listing.classes for g in (1, 2)}
    assert not by_split["train"] & by_split["val"]
    assert sorted(group.split("/")[0] for group in by_split["val"]) == ["Archery", "Diving", "HandstandPushups"]  # 1 of 10 each
    assert len(listing.entries) == 3 * 12 * 2


@pytest.mark.parametrize(("groups", "held"), [(1, 0), (4, 0), (5, 1), (14, 1), (18, 2)])
def test_validation_groups_only_where_there_are_enough(groups: int, held: int) -> None:
    entries = [Entry(f"UCF-101/Diving/v_Diving_g{g:02d}_c{c:02d}.avi", 0, "train") for g in range(groups) for c in (1, 2, 3)]
    out = hold_out_groups(entries, 1)
    assert sum(e.split == "val" for e in out) == 3 * held
    assert [e.path for e in out] == [e.path for e in entries]


def test_the_choice_of_groups_is_fixed_and_differs_by_fold() -> None:
    entries = [Entry(f"UCF-101/Diving/v_Diving_g{g:02d}_c01.avi", 0, "train") for g in range(18)]
    chosen = {fold: [group_of(e.path) for e in hold_out_groups(entries, fold) if e.split == "val"] for fold in (1, 2, 3)}
    assert chosen[1] == ["Diving/g01", "Diving/g06"]
    assert len({tuple(groups) for groups in chosen.values()}) == 3


def test_names_are_compared_without_case(tmp_path: Path) -> None:
    ucf101(tmp_path)
    (tmp_path / "UCF-101" / "HandstandPushups").rename(tmp_path / "UCF-101" / "HandStandPushups")
    listing = read_ucf101(tmp_path, 1)
    assert not listing.missing
    assert all((tmp_path / e.path).exists() for e in listing.entries)
    assert {e.label for e in listing.entries if "/HandStandPushups/" in e.path} == {2}


def test_the_released_codes_folders(tmp_path: Path) -> None:
    there = read_ucf101(ucf101(tmp_path / "a"), 1)
    here = read_ucf101(ucf101(tmp_path / "b", videos="data", lists="anno"), 1)
    assert [e._replace(path=e.path.replace("UCF-101", "data")) for e in there.entries] == here.entries


def test_missing_files_are_counted_and_named(tmp_path: Path) -> None:
    root = ucf101(tmp_path)
    (root / "UCF-101/Diving/v_Diving_g05_c01.avi").unlink()
    (root / "UCF-101/Diving/v_Diving_g01_c02.avi").unlink()
    listing = read_ucf101(root, 1)
    assert listing.missing == ["Diving/v_Diving_g05_c01.avi", "Diving/v_Diving_g01_c02.avi"]
    assert len(listing.entries) == 70


def test_validation_does_not_depend_on_what_is_missing(tmp_path: Path) -> None:
    """Chosen on the train list: what a copy lacks moves no video, not even where a class has too few groups left to divide."""
    root = ucf101(tmp_path)
    whole = read_ucf101(root, 1).entries
    gone = [entry.path for index, entry in enumerate(whole) if index % 3]
    for path in gone:
        (root / path).unlink()
    part = read_ucf101(root, 1)
    assert part.entries == [entry for entry in whole if entry.path not in gone]
    assert {entry.split for entry in part.entries} == {"train", "val", "test"}


def test_ucf101_that_is_not_there_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="is not a folder"):
        scan(tmp_path / "no", "ucf101", 1, tmp_path / "cache", 1)
    with pytest.raises(FameError, match="UCF-101 or data"):
        read_ucf101(tmp_path, 1)
    root = ucf101(tmp_path / "a")
    with pytest.raises(FameError, match=r"trainlist02\.txt cannot be read"):
        read_ucf101(root, 2)
    for path in (root / "UCF-101").rglob("*.avi"):
        path.unlink()
    with pytest.raises(FameError, match="none of the 72 videos"):
        read_ucf101(root, 1)


def test_an_unknown_class_in_a_split_file_is_named(tmp_path: Path) -> None:
    root = ucf101(tmp_path)
    with (root / "ucfTrainTestlist/testlist01.txt").open("a") as file:
        file.write("Flying/v_Flying_g01_c01.avi\n")
    with pytest.raises(FameError, match=r"Flying/v_Flying_g01_c01\.avi, whose class is not in"):
        read_ucf101(root, 1)


def test_plain_folders_are_split_by_group_and_the_split_is_kept(tmp_path: Path) -> None:
    for name in ("run", "walk"):
        for g in range(10):
            for c in (1, 2):
                put(tmp_path / "set" / name / f"v_{name}_g{g:02d}_c{c:02d}.mp4")
    put(tmp_path / "set" / "run" / "notes.txt")
    first = read_class_folders(tmp_path / "set", 1, tmp_path / "cache")
    assert first.classes == ["run", "walk"] and len(first.entries) == 40
    count = {split: sum(e.split == split for e in first.entries) for split in ("train", "val", "test")}
    assert count == {"train": 28, "val": 4, "test": 8}
    assert len({(group_of(e.path), e.split) for e in first.entries}) == 20  # no group in two splits
    (file,) = (tmp_path / "cache").glob("split-*-fold1.json")
    assert json.loads(file.read_text()) == {group_of(e.path): e.split for e in first.entries}
    # more videos move no old one
    for g in range(10, 15):
        put(tmp_path / "set" / "run" / f"v_run_g{g:02d}_c01.mp4")
    second = {e.path: e.split for e in read_class_folders(tmp_path / "set", 1, tmp_path / "cache").entries}
    assert all(second[e.path] == e.split for e in first.entries)
    assert sum(split == "test" for split in second.values()) == 9


def test_an_edited_split_file_is_obeyed_and_a_bad_one_named(tmp_path: Path) -> None:
    for index in range(10):
        put(tmp_path / "set" / "run" / f"{index}.mp4")
    read_class_folders(tmp_path / "set", 1, tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("split-*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"run/3.mp4": "val"}))
    assert Entry("run/3.mp4", 0, "val") in read_class_folders(tmp_path / "set", 1, tmp_path / "cache").entries
    file.write_text('{"run/3.mp4": "training"}')
    with pytest.raises(FameError, match="train, val or test"):
        read_class_folders(tmp_path / "set", 1, tmp_path / "cache")


def test_split_folders_are_taken_as_given(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        put(tmp_path / split / "run" / "deep" / f"{split}.MKV")
    put(tmp_path / "test" / "jump" / "only.webm")
    listing = read_class_folders(tmp_path, 1, tmp_path / "cache")
    assert listing.classes == ["jump", "run"]
    assert ("test/jump/only.webm", 0, "test") in listing.entries and ("train/run/deep/train.MKV", 1, "train") in listing.entries
    assert {e.split for e in listing.entries} == {"train", "val", "test"} and not (tmp_path / "cache").exists()


def test_a_folder_without_videos_says_where_they_were_sought(tmp_path: Path) -> None:
    with pytest.raises(FameError, match=r"no video in .*CLASS"):
        read_class_folders(tmp_path, 1, tmp_path / "cache")


# ---------------------------------------------------------------- scanning


def test_a_scan_knows_what_decodes_and_a_second_one_opens_nothing(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "set", clip)
    seen: list[tuple[str, int, int]] = []
    first = scan(root, "folder", 1, tmp_path / "cache", 1, lambda *at: seen.append(at))
    assert seen[0] == ("scan", 0, 12) and seen[-1] == ("scan", 12, 12)
    video = first.videos[0]
    assert (video.frames, video.fps, video.width, video.height, len(video.sha256)) == (6, 12.0, 48, 32, 64)
    monkeypatch.setattr(scan_module, "inspect", lambda path: pytest.fail(f"{path} was opened again"))
    assert scan(root, "folder", 1, tmp_path / "cache", 1) == first


def test_an_interrupted_scan_goes_on_where_it_was(tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "set", clip)
    inspect, opened = scan_module.inspect, []

    def stops(path: Path):
        if len(opened) == 5:
            raise KeyboardInterrupt
        opened.append(path)
        return inspect(path)

    monkeypatch.setattr(scan_module, "inspect", stops)
    with pytest.raises(KeyboardInterrupt):
        scan(root, "folder", 1, tmp_path / "cache", 1)
    (memory,) = (tmp_path / "cache").glob("scan-*.jsonl")
    memory.write_text(memory.read_text()[:-20])  # the last line is torn, as by kill -9
    again: list[Path] = []
    monkeypatch.setattr(scan_module, "inspect", lambda path: (again.append(path), inspect(path))[1])
    manifest = scan(root, "folder", 1, tmp_path / "cache", 1)
    assert len(again) == 12 - 4
    assert manifest.digest() == scan(root, "folder", 1, tmp_path / "other", 1).digest()


def test_several_processes_scan_as_one_does(tmp_path: Path, clip: bytes) -> None:
    root = folder(tmp_path / "set", clip)
    put(root / "class0" / "00.avi", b"broken")
    one = scan(root, "folder", 1, tmp_path / "one", 1, most_broken=0.1)
    two = scan(root, "folder", 1, tmp_path / "two", 2, most_broken=0.1)
    assert one == two and len(one.videos) == 11


def test_a_changed_file_is_looked_at_again(tmp_path: Path, clip: bytes) -> None:
    root = folder(tmp_path / "set", clip)
    before = scan(root, "folder", 1, tmp_path / "cache", 1)
    os.utime(write_video(root / "class0" / "00.avi", 9), (1, 1))
    after = scan(root, "folder", 1, tmp_path / "cache", 1)
    assert after.videos[0].frames == 9 and after.digest() != before.digest()


def test_broken_videos_are_named_and_left_out_on_request(tmp_path: Path, clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "set", clip, 20)
    put(root / "class0" / "00.avi", b"text")
    put(root / "class1" / "01.avi")
    with pytest.raises(FameError) as caught:
        scan(root, "folder", 1, tmp_path / "cache", 1)
    message = str(caught.value)
    assert message.startswith("folder: 2 of 20 videos are broken: ") and "class0/00.avi: not-a-video: " in message
    (listed,) = (tmp_path / "cache").glob("*.report.csv")
    assert str(listed) in message and listed.read_text().splitlines()[2].endswith("fault,not-a-video,the file is empty")
    manifest = scan(root, "folder", 1, tmp_path / "cache", 1, most_broken=0.1)
    assert len(manifest.videos) == 18 and "they are left out" in caplog.text
    put(root / "class0" / "00.avi", clip)  # a mended file is seen
    put(root / "class1" / "01.avi", clip)
    assert len(scan(root, "folder", 1, tmp_path / "cache", 1).videos) == 20


def test_too_many_broken_videos_are_no_bad_luck(tmp_path: Path, clip: bytes) -> None:
    root = folder(tmp_path / "set", clip, 12)
    for index in range(0, 6, 2):
        truncate(root / "class0" / f"{index:02d}.avi", 0.3)
    with pytest.raises(FameError, match=r"more than the share of 0\.1 that may be left out"):
        scan(root, "folder", 1, tmp_path / "cache", 1, most_broken=0.1)


def test_missing_entries_warn_once(tmp_path: Path, clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    root = ucf101(tmp_path / "set", clip, groups=1)
    (root / "UCF-101/Diving/v_Diving_g03_c01.avi").unlink()
    scan(root, "ucf101", 1, tmp_path / "cache", 1)
    assert "1 of 18 listed videos are not on disk (first: Diving/v_Diving_g03_c01.avi" in caplog.text
    caplog.clear()
    scan(root, "ucf101", 1, tmp_path / "cache", 1)
    assert caplog.text == ""


# ---------------------------------------------------------------- from files to clips


def test_videos_on_disk_open_only_as_the_scan_knew_them(tmp_path: Path, clip: bytes) -> None:
    root = folder(tmp_path / "set", clip)
    cache = tmp_path / "cache"
    data = VideoData(kind="folder", manifest=scan_videos(root, "folder", 1, cache).digest(), short_side=16)
    videos = open_videos(data, Seeds(), cache, root)
    assert len(videos) == 12 and videos.store.size == (16, 24)
    with pytest.raises(FameError, match="--data-root"):
        open_videos(data, Seeds(), cache)
    write_video(root / "class0" / "00.avi", 9)
    with pytest.raises(FameError, match=f"not those of this run .* not {data.manifest}"):
        open_videos(data, Seeds(), cache, root)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real UCF101 clips beside the checkout (../shared/real-video)")
def test_real_ucf101_clips(tmp_path: Path) -> None:
    listing = read_ucf101(REAL, 1)
    assert len(listing.classes) == 101 and len(listing.entries) + len(listing.missing) == 9537 + 3783
    root = tmp_path / "sample"
    (root / "UCF-101").mkdir(parents=True)
    (root / "ucfTrainTestlist").symlink_to(REAL / "ucfTrainTestlist")
    for entry in [next(e for e in listing.entries if e.split == split) for split in ("train", "test")]:
        put(root / entry.path, (REAL / entry.path).read_bytes())
    manifest = scan_videos(root, "ucf101", 1, tmp_path / "cache")
    assert [(v.split, v.width, v.height) for v in manifest.videos] == [("train", 320, 240), ("test", 320, 240)]
    data = VideoData(kind="ucf101", manifest=manifest.digest(), short_side=64)
    videos = open_videos(data, Seeds(), tmp_path / "cache", root)
    assert videos.store.size == (64, 85) and videos.length.tolist() == [video.frames for video in manifest.videos]
    assert 20 < videos.store.video(0).mean() < 235
