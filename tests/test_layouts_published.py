"""HMDB51, Kinetics-400 and Diving48 V2 on disk: labels, splits, whole sources, what is missing, and what bad lists say."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.config import VideoData
from fame.data.layouts import (
    Entry,
    Kind,
    Listing,
    compare_with_official,
    hold_out_sources,
    read_diving48,
    read_hmdb51,
    read_kinetics,
    read_layout,
)
from fame.data.layouts.diving48 import broadcast_of
from fame.data.layouts.hmdb51 import source_of
from fame.data.layouts.kinetics import video_of
from fame.data.layouts.official import OFFICIAL
from fame.data.scan import scan
from fame.errors import FameError
from studies.choices import DATASETS, Choices, resolve
from tests.miniatures import DIVES, HMDB_CLASSES, diving48, folder, hmdb51, hmdb_names, kinetics, kinetics_id, put, ucf101
from tests.videos import write_video

REAL = Path(__file__).parents[2] / "shared" / "real-video"
needs_real = pytest.mark.skipif(not (REAL / "hmdb51_splits").is_dir(), reason="no ../shared/real-video beside the checkout")
BUILDERS: dict[Kind, Callable[..., Path]] = {
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kinetics400": kinetics,
    "diving48": diving48,
    "folder": folder,
}


def counts(listing: Listing) -> dict[str, int]:
    return dict(Counter(entry.split for entry in listing.entries))


def of(listing: Listing, split: str) -> list[str]:
    return [entry.path for entry in listing.entries if entry.split == split]


# ---------------------------------------------------------------- HMDB51


def test_hmdb51_ids_say_train_test_or_neither(tmp_path: Path) -> None:
    listing = read_hmdb51(hmdb51(tmp_path), 1)
    assert listing.classes == list(HMDB_CLASSES) and not listing.missing and not listing.notes
    paths = {entry.path for entry in listing.entries}
    for label, name in enumerate(HMDB_CLASSES):
        clips = [f"HMDB51/{name}/{clip}" for clip in hmdb_names(name)]
        assert not paths & set(clips[:2])
        assert [e for e in listing.entries if e.split == "test" and e.label == label] == [
            Entry(c, label, "test") for c in clips[22:]
        ]
        assert set(clips[2:22]) == {e.path for e in listing.entries if e.split != "test" and e.label == label}
    assert all((tmp_path / path).is_file() for path in paths)


@pytest.mark.parametrize(
    ("videos", "lists"),
    [("hmdb51_org", "hmdb51_splits"), ("videos", "splits"), (".", "testTrainMulti_7030_splits"), (".", ".")],
)
def test_hmdb51_in_other_folders(tmp_path: Path, videos: str, lists: str) -> None:
    there = read_hmdb51(hmdb51(tmp_path / "a"), 1)
    here = read_hmdb51(hmdb51(tmp_path / "b", videos=videos, lists=lists), 1)
    assert [e._replace(path=e.path.removeprefix("HMDB51/")) for e in there.entries] == [
        e._replace(path=e.path.removeprefix(f"{videos}/")) for e in here.entries
    ]


def test_hmdb51_sources_are_what_clips_were_cut_from() -> None:
    tail = "f_nm_np1_fr_med_3.avi"
    assert source_of(f"shoot_bow/6arrows_shoot_bow_{tail}") == "6arrows"
    assert source_of("kiss/The_Matrix_4_kiss_h_cm_np2_le_goo_0.avi") == "The_Matrix" == source_of(f"hug/The_Matrix_2_hug_{tail}")
    assert source_of(f"climb/(HQ)_Dan_-_Osman_climb_{tail}") == "(HQ)_Dan_-_Osman"
    assert source_of(f"kick_ball/kick_ball_kick_ball_{tail}") == "kick_ball"
    assert source_of(f"golf/300_golf_{tail}") == "300"  # a source that is a number only keeps it
    assert source_of("golf/mine.avi") == "golf/mine.avi"


def test_hmdb51_validation_does_not_depend_on_what_is_missing(tmp_path: Path) -> None:
    """The split is made on the lists: a copy that lacks clips has the others where the whole set has them."""
    root = hmdb51(tmp_path)
    whole = read_hmdb51(root, 1)
    assert of(whole, "val")
    gone = [entry.path for entry in whole.entries][::3]
    for path in gone:
        (root / path).unlink()
    part = read_hmdb51(root, 1)
    assert part.entries == [entry for entry in whole.entries if entry.path not in gone]
    assert sorted(part.missing) == sorted(path.removeprefix("HMDB51/") for path in gone)


def test_hmdb51_clips_that_no_list_names_are_left_out_and_told(tmp_path: Path) -> None:
    root = hmdb51(tmp_path)
    put(root / "HMDB51/kick/mine.avi")
    put(root / "HMDB51/kick/._hidden.avi")
    listing = read_hmdb51(root, 1)
    assert "HMDB51/kick/mine.avi" not in {entry.path for entry in listing.entries}
    assert listing.notes == ["1 videos on disk are left out: no split file of fold 1 names them (first: HMDB51/kick/mine.avi)"]


@pytest.mark.parametrize("line", ["a_kick_f_nm_np1_fr_med_0.avi 3", "a_kick_f_nm_np1_fr_med_0.avi", "1", "a.avi1"])
def test_hmdb51_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    root = hmdb51(tmp_path)
    put(root / "testTrainMulti_7030_splits/kick_test_split1.txt", line + "\n")
    with pytest.raises(FameError, match=r"kick_test_split1\.txt has the line .* which is not NAME\.avi and 0, 1 or 2"):
        read_hmdb51(root, 1)


def test_hmdb51_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FameError, match=r"has no split files CLASS_test_split2\.txt in testTrainMulti_7030_splits"):
        read_hmdb51(tmp_path, 2)
    root = hmdb51(tmp_path)
    for path in (root / "HMDB51").rglob("*.avi"):
        path.unlink()
    with pytest.raises(FameError, match=r"none of the 84 videos that .*splits lists is in .*HMDB51"):
        read_hmdb51(root, 1)


@needs_real
@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_real_hmdb51_lists(fold: int) -> None:
    """All 153 files: 70 and 30 clips a class; validation is a tenth, of every class, and shares no film with train."""
    listing = read_hmdb51(REAL, fold)
    assert len(listing.classes) == 51 and len(listing.entries) + len(listing.missing) == 5100
    assert len(listing.entries) == 5  # the clips beside the checkout, odd characters among them
    listed = []
    for label, name in enumerate(listing.classes):
        for line in (REAL / "hmdb51_splits" / f"{name}_test_split{fold}.txt").read_text().splitlines():
            clip, number = line.rsplit(maxsplit=1)
            if number != "0":
                listed.append(Entry(f"{name}/{clip}", label, "train" if number == "1" else "test"))
    split = hold_out_sources(listed, fold, source_of, most=0.1)
    val = Counter(entry.label for entry in split if entry.split == "val")
    assert len(val) == 51 and max(val.values()) == 7 and 330 <= val.total() <= 357
    assert not {source_of(e.path) for e in split if e.split == "val"} & {source_of(e.path) for e in split if e.split == "train"}
    where = {entry.path: entry.split for entry in split}
    assert all(where[entry.path.removeprefix("HMDB51/")] == entry.split for entry in listing.entries)


@needs_real
def test_real_hmdb51_clips_are_decoded(tmp_path: Path) -> None:
    manifest = scan(REAL, "hmdb51", 3, tmp_path, 1)
    assert manifest.name == "hmdb51-fold3" and len(manifest.videos) == 5 and len(manifest.classes) == 51
    assert Counter(video.split for video in manifest.videos) == {"train": 2, "val": 2, "test": 1}
    assert {video.height for video in manifest.videos} == {240} and all(video.frames > 20 for video in manifest.videos)


# ---------------------------------------------------------------- Kinetics-400


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


# ---------------------------------------------------------------- Diving48 V2


def test_diving48_labels_names_and_whole_broadcasts(tmp_path: Path) -> None:
    listing = read_diving48(diving48(tmp_path), 1)
    assert listing.classes == [" ".join(words) for words in DIVES] and not listing.missing
    assert counts(listing) == {"train": 66, "val": 6, "test": 6}  # a tenth of 72 is one broadcast
    assert len({broadcast_of(path) for path in of(listing, "val")}) == 1
    assert all(entry.label == int(entry.path[-9:-4]) % 3 for entry in listing.entries)


def test_diving48_elsewhere_without_a_vocabulary_and_with_clips_missing(tmp_path: Path) -> None:
    whole = read_diving48(diving48(tmp_path / "a"), 1)
    root = diving48(tmp_path / "b", videos="videos", vocabulary=False)
    for split in ("train", "test"):
        file = root / f"Diving48_V2_{split}.json"
        put(root / "annotations" / file.name, file.read_bytes())
        file.unlink()
    (root / whole.entries[0].path.replace("rgb/", "videos/")).unlink()
    put(root / "videos/other_00000.mp4")
    part = read_diving48(root, 1)
    assert part.classes == ["dive 00", "dive 01", "dive 02"] and part.missing == [Path(whole.entries[0].path).stem]
    assert [e._replace(path=e.path.replace("videos/", "rgb/")) for e in part.entries] == whole.entries[1:]
    assert part.notes == ["1 videos on disk are left out: version 2's lists do not name them (first: videos/other_00000.mp4)"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("Diving48_V2_train.json", "{", "Diving48_V2_train.json is not JSON"),
        ("Diving48_V2_train.json", "{}", "is not a list of clips"),
        ("Diving48_V2_train.json", '[{"vid_name": "a_00000"}]', 'clip 0 of .* has no "vid_name" and "label"'),
        ("Diving48_V2_train.json", '[{"vid_name": "a_00000", "label": "1"}]', "a class number from 0"),
        ("Diving48_V2_train.json", '["a_00000"]', "clip 0 of"),
        ("Diving48_V2_test.json", '[{"vid_name": "_8Vy3dl00-w_00000", "label": 0}]', "lists _8Vy3dl00-w_00000 again, with another"),
        ("Diving48_vocab.json", '[["Back"]]', "names 1 classes, but the lists use label 2"),
    ],
)
def test_diving48_a_bad_list_is_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    root = diving48(tmp_path)
    put(root / name, text)
    with pytest.raises(FameError, match=told):
        read_diving48(root, 1)


def test_diving48_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="has no folder rgb or videos"):
        read_diving48(tmp_path, 1)
    root = diving48(tmp_path)
    (root / "Diving48_V2_test.json").unlink()
    with pytest.raises(FameError, match=r"has no Diving48_V2_test\.json, nor has its folder annotations"):
        read_diving48(root, 1)


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
    assert {kind for kind, _ in OFFICIAL} | {"folder", "staged"} == set(DATASETS)
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
    asked = resolve(Choices(scale="paper", dataset=kind, data_root=root), tmp_path / "cache", 1)
    assert asked.setting.videos is not None and asked.setting.videos.kind == kind
    assert asked.counts == counts(read_layout(root, kind, 1, tmp_path / "cache" / "scan"))
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
