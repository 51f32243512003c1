"""HMDB51 on disk: ids, folders, odd names, whole films for validation, what is missing, and what bad lists say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fame.data.layouts import Entry, hold_out_sources, read_hmdb51
from fame.data.layouts.hmdb51 import source_of
from fame.data.scan import scan
from fame.errors import FameError
from tests.miniatures import HMDB_CLASSES, hmdb51, hmdb_names, of, put

REAL = Path(__file__).parents[3] / "shared" / "real-video"
needs_real = pytest.mark.skipif(not (REAL / "hmdb51_splits").is_dir(), reason="no ../shared/real-video beside the checkout")


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
