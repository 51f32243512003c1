"""The published sets in miniature: labels, splits, whole groups for validation, missing videos."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fame.data.layouts import Entry, Kind, Listing, read_layout
from fame.data.layouts.diving48 import broadcast_of
from fame.data.layouts.hmdb51 import source_of
from fame.data.layouts.kinetics import video_of
from fame.data.layouts.official import OFFICIAL
from fame.data.layouts.splits import group_of, hold_out_sources
from tests.miniatures import (
    DIVES,
    HMDB_CLASSES,
    counts,
    diving48,
    hmdb51,
    kinetics,
    kinetics_id,
    of,
    put,
    ucf101,
)

REAL = Path(__file__).parents[3] / "shared" / "real-video"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/real-video beside the checkout")
MAKE: dict[Kind, Callable[..., Path]] = {
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kinetics400": kinetics,
    "diving48": diving48,
}
PUBLISHED = tuple(MAKE)
CLASSES = {
    "ucf101": ["Diving", "Archery", "HandstandPushups"],
    "hmdb51": list(HMDB_CLASSES),
    "kinetics400": ["abseiling", "massaging person's head"],
    "diving48": [" ".join(words) for words in DIVES],
}
COUNTS = {
    "ucf101": {"train": 54, "val": 6, "test": 12},  # one group of ten a class
    "hmdb51": {"train": 54, "val": 6, "test": 24},
    "kinetics400": {"train": 16, "test": 4},
    "diving48": {"train": 66, "val": 6, "test": 6},  # a tenth of 72 is one broadcast
}
GROUP = {"ucf101": group_of, "hmdb51": source_of, "kinetics400": video_of, "diving48": broadcast_of}


def read(root: Path, kind: Kind, fold: int = 1) -> Listing:
    return read_layout(root, kind, fold, root.parent / "cache")


@pytest.mark.parametrize("kind", PUBLISHED)
def test_classes_splits_and_whole_groups_for_validation(kind: Kind, tmp_path: Path) -> None:
    root = MAKE[kind](tmp_path / "set")
    listing = read(root, kind)
    assert listing.classes == CLASSES[kind] and counts(listing) == COUNTS[kind] and not listing.missing and not listing.notes
    assert all((root / entry.path).is_file() for entry in listing.entries)
    groups = [{GROUP[kind](path) for path in of(listing, split)} for split in ("train", "val")]
    assert not groups[0] & groups[1]
    if kind != "diving48":
        assert all(Path(e.path).parent.name.lower() == listing.classes[e.label].lower() for e in listing.entries)
    else:
        assert all(entry.label == int(entry.path[-9:-4]) % 3 for entry in listing.entries)


@pytest.mark.parametrize("kind", PUBLISHED)
def test_what_a_copy_lacks_is_named_and_moves_no_other_video(kind: Kind, tmp_path: Path) -> None:
    root = MAKE[kind](tmp_path / "set", **({"videos": 40} if kind == "kinetics400" else {}))
    if kind == "kinetics400":
        put(root / "splits.toml", "val = 0.25\n")
    whole = read(root, kind)
    assert of(whole, "val")
    gone = [entry.path for index, entry in enumerate(whole.entries) if index % 3]
    for path in gone:
        (root / path).unlink()
    part = read(root, kind)
    assert part.entries == [entry for entry in whole.entries if entry.path not in gone] and part.classes == whole.classes
    assert sorted(Path(path).stem for path in part.missing) == sorted(Path(path).stem for path in gone)


@pytest.mark.parametrize("kind", PUBLISHED)
def test_lists_from_windows_say_what_they_said(kind: Kind, tmp_path: Path) -> None:
    plain, other = MAKE[kind](tmp_path / "plain"), MAKE[kind](tmp_path / "other")
    for file in (path for path in other.rglob("*") if path.suffix in (".txt", ".csv", ".json")):
        lines = file.read_text(encoding="utf-8").splitlines()
        lines = [line.replace(",", " , ") + " \t" for line in lines] if file.suffix != ".json" else lines
        file.write_bytes("\r\n".join(["\ufeff" + lines[0].strip(), *lines[1:], "", "  ", ""]).encode())
    assert read(plain, kind) == read(other, kind)


@pytest.mark.parametrize(
    ("kind", "here", "there"),
    [
        ("ucf101", {}, {"videos": "data", "lists": "anno"}),
        ("hmdb51", {}, {"videos": "hmdb51_org", "lists": "hmdb51_splits"}),
        ("hmdb51", {}, {"videos": "videos", "lists": "splits"}),
        ("hmdb51", {}, {"videos": ".", "lists": "."}),
        ("kinetics400", {}, {"lists": "annotations", "spaces": False}),
        ("kinetics400", {}, {"lists": None}),
        ("diving48", {}, {"videos": "videos"}),
    ],
)
def test_other_folders_are_the_same_set(kind: Kind, here: dict[str, Any], there: dict[str, Any], tmp_path: Path) -> None:
    one, other = read(MAKE[kind](tmp_path / "a", **here), kind), read(MAKE[kind](tmp_path / "b", **there), kind)
    first, second = ({(Path(e.path).name, *e[1:]) for e in listing.entries} for listing in (one, other))
    assert first == second and len(one.entries) == len(other.entries)
    assert one.classes == other.classes and not other.missing


@pytest.mark.parametrize("kind", PUBLISHED)
def test_suffixes_cases_and_what_a_mac_leaves_do_not_matter(kind: Kind, tmp_path: Path) -> None:
    root = MAKE[kind](tmp_path / "set")
    before = read(root, kind)
    for path in [path for path in root.rglob("*") if path.suffix in (".avi", ".mp4")]:
        put(path.with_name(f"._{path.name}"), b"\0\x05\x16\x07\xff")
        path.rename(path.with_suffix(".MPG"))
    for file in [path for path in root.rglob("*.txt") if path.is_file()]:
        put(file.with_name(f"._{file.name}"), b"\0\x05\x16\x07\xff")
    put(root / "__MACOSX" / "kick" / "clip.avi")
    if kind == "hmdb51":
        (root / "HMDB51" / "kick_ball").rename(root / "HMDB51" / "Kick_Ball")
    after = read(root, kind)
    assert counts(after) == counts(before) and not after.missing and not after.notes


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ucf101", "UCF-101/Diving/mine.avi"),
        ("hmdb51", "HMDB51/kick/mine.avi"),
        ("kinetics400", "train/abseiling/mine.mp4"),
        ("diving48", "rgb/other_00000.mp4"),
    ],
)
def test_videos_that_no_list_names_are_left_out_and_told(kind: Kind, path: str, tmp_path: Path) -> None:
    root = MAKE[kind](tmp_path / "set")
    before = read(root, kind).entries
    put(root / path)
    listing = read(root, kind)
    told = f"1 videos on disk are left out: the lists do not name them (first: {path})"
    assert listing.entries == before and listing.notes == [told]


@pytest.mark.parametrize(("old", "new"), [("^", "./"), ("^", "UCF-101/"), ("/", r"\\"), (" ", ",")])
def test_ucf101_paths_as_tools_write_them(old: str, new: str, tmp_path: Path) -> None:
    root = ucf101(tmp_path / "set")
    before = read(root, "ucf101")
    for file in (root / "ucfTrainTestlist").glob("t*list01.txt"):
        file.write_text("".join(re.sub(old, new, line) + "\n" for line in file.read_text().split("\n") if line))
    (root / "UCF-101" / "HandstandPushups").rename(root / "UCF-101" / "HandStandPushups")
    put(root / "UCF-101" / "Archery" / "v_Diving_g01_c01.avi")  # a copy in another folder
    after = read(root, "ucf101")
    assert [e._replace(path=e.path.lower()) for e in before.entries] == [e._replace(path=e.path.lower()) for e in after.entries]


def test_hmdb51_sources_are_what_clips_were_cut_from() -> None:
    tail = "f_nm_np1_fr_med_3.avi"
    assert source_of(f"shoot_bow/6arrows_shoot_bow_{tail}") == "6arrows"
    assert source_of("kiss/The_Matrix_4_kiss_h_cm_np2_le_goo_0.avi") == "The_Matrix" == source_of(f"hug/The_Matrix_2_hug_{tail}")
    assert source_of(f"climb/(HQ)_Dan_-_Osman_climb_{tail}") == "(HQ)_Dan_-_Osman"
    assert source_of(f"kick_ball/kick_ball_kick_ball_{tail}") == "kick_ball"
    assert source_of(f"golf/300_golf_{tail}") == "300"  # a source that is a number only keeps it
    assert source_of("golf/mine.avi") == "golf/mine.avi"


def test_kinetics_a_class_that_is_missing_whole_keeps_its_number(tmp_path: Path) -> None:
    root = kinetics(tmp_path / "set")
    for split in ("train", "val"):
        shutil.rmtree(root / split / "abseiling")
    listing = read(root, "kinetics400")
    assert listing.classes == CLASSES["kinetics400"] and {entry.label for entry in listing.entries} == {1}


def test_kinetics_names_with_the_id_alone_and_in_no_class_folder(tmp_path: Path) -> None:
    """Flat folders, as the archives unpack, and short names: the list says the class, and no file becomes two entries."""
    root = kinetics(tmp_path / "set")
    for path in sorted((root / "train").rglob("*.mp4")):
        path.rename(root / "train" / f"{video_of(path.name)}.mp4")
    with (root / "train.csv").open("a") as file:
        file.write(f"abseiling,{kinetics_id(1)},50,60,train\n")  # the same video again
        file.write(f"abseiling,{kinetics_id(9)},9,19,train\n")  # a row twice
    listing = read(root, "kinetics400")
    train = {entry.path: entry.label for entry in listing.entries if entry.split == "train"}
    assert len(train) == 16 == len(of(listing, "train"))
    assert train[f"train/{kinetics_id(1)}.mp4"] == 1 and train[f"train/{kinetics_id(9)}.mp4"] == 0
    assert listing.missing == [f"train/abseiling/{kinetics_id(1)}_000050_000060"]


def test_kinetics_validation_only_when_asked_and_without_tests_it_says_so(tmp_path: Path) -> None:
    root = kinetics(tmp_path / "set", videos=40, lists=None)
    put(root / "splits.toml", "val = 0.25\nseed = 1\n")
    asked = read(root, "kinetics400")
    assert 8 <= counts(asked)["val"] <= 32 and counts(asked)["test"] == 4
    put(root / "splits.toml", "val = 0.25\n")
    assert of(read(root, "kinetics400"), "val") != of(asked, "val")
    for split in ("train", "val"):
        put(root / split / split / f"{kinetics_id(99)}.mp4")
    told = [f"kinetics400: 1 of 4 classes have no {split} video" for split in ("train", "test")]
    assert [note.partition(" (")[0] for note in read(root, "kinetics400").notes] == told
    shutil.rmtree(root / "val")
    assert "has no test video: an encoder can be trained on it" in read(root, "kinetics400").notes[0]


def test_diving48_without_a_vocabulary_and_with_lists_elsewhere(tmp_path: Path) -> None:
    root = diving48(tmp_path / "set", vocabulary=False)
    for split in ("train", "test"):
        put(root / "annotations/x").parent.joinpath(f"Diving48_V2_{split}.json").write_bytes(
            (root / f"Diving48_V2_{split}.json").read_bytes()
        )
        (root / f"Diving48_V2_{split}.json").unlink()
    assert read(root, "diving48").classes == ["dive 00", "dive 01", "dive 02"]


@needs_real
@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_real_lists(fold: int) -> None:
    """Counts as published; HMDB51's validation is a tenth, of every class, and shares no film with train."""
    listings: dict[Kind, Listing] = {kind: read_layout(REAL, kind, fold, REAL) for kind in ("ucf101", "hmdb51")}
    for kind, listing in listings.items():
        official = OFFICIAL[kind, fold]
        assert len(listing.classes) == official.classes
        assert len(listing.entries) + len(listing.missing) == official.train + official.test
    listed = []
    for label, name in enumerate(listings["hmdb51"].classes):
        for line in (REAL / "hmdb51_splits" / f"{name}_test_split{fold}.txt").read_text().splitlines():
            clip, number = line.rsplit(maxsplit=1)
            if number != "0":
                listed.append(Entry(f"{name}/{clip}", label, "train" if number == "1" else "test"))
    split = hold_out_sources(listed, fold, source_of, most=0.1)
    val = Counter(entry.label for entry in split if entry.split == "val")
    assert len(val) == 51 and max(val.values()) == 7 and 330 <= val.total() <= 357
    assert not {source_of(e.path) for e in split if e.split == "val"} & {source_of(e.path) for e in split if e.split == "train"}
    where = {entry.path: entry.split for entry in split}
    assert all(where[entry.path.removeprefix("HMDB51/")] == entry.split for entry in listings["hmdb51"].entries)
