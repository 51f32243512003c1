"""Lists that cannot be, sets that are not there, and copies that are not whole: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.data.layouts import Entry, Kind, Listing, compare_with_official
from fame.data.layouts.official import OFFICIAL
from fame.errors import FameError
from tests.data.test_layouts import MAKE, read
from tests.miniatures import put

UCF_TRAIN, UCF_TEST = "ucfTrainTestlist/trainlist01.txt", "ucfTrainTestlist/testlist01.txt"
KICK = "testTrainMulti_7030_splits/kick_test_split1.txt"
HEAD = "label,youtube_id,time_start,time_end\n"
TRAIN, TEST = "Diving48_V2_train.json", "Diving48_V2_test.json"


@pytest.mark.parametrize(
    ("kind", "file", "text", "told"),
    [
        ("ucf101", UCF_TEST, "Flying/v_Flying_g01_c01.avi\n", r"Flying/v_Flying_g01_c01\.avi, whose class is not in"),
        ("ucf101", UCF_TEST, "Diving/v_Diving_g05_c01.avi\n", r"testlist01\.txt lists \S+ again, with"),
        ("ucf101", "ucfTrainTestlist/classInd.txt", "1\n", "the line '1', which is not NUMBER CLASS"),
        ("ucf101", UCF_TRAIN, None, r"trainlist01\.txt cannot be read"),
        ("ucf101", UCF_TRAIN, b"Diving/\xff", "is not UTF-8 text"),
        ("ucf101", UCF_TRAIN, "", "has no training video"),
        ("hmdb51", KICK, "a_kick_f_nm_np1_fr_med_0.avi 3\n", "the line .* which is not NAME.avi"),
        ("hmdb51", KICK, "1\n", "which is not NAME.avi"),
        ("hmdb51", KICK, "a.avi 1\na.avi 2\n", "again, with another label"),
        ("kinetics400", "train.csv", "youtube_id,time_start\nx,1\n", "train.csv has no column label"),
        ("kinetics400", "train.csv", "", "no column youtube_id"),
        ("kinetics400", "train.csv", "label,youtube_id\nabseiling,\n", "line 2 of .* has no youtube_id"),
        ("kinetics400", "train.csv", HEAD + "abseiling,x,soon,2\n", "line 2 of .* has no number of seconds in 'soon'"),
        ("kinetics400", "train.csv", HEAD + "abseiling,x,1e999,2\n", "no number of seconds in"),
        ("kinetics400", "train.csv", 'label,youtube_id\nabseiling,"' + "x" * 140_000, "line 2 of .*train.csv is not csv"),
        ("kinetics400", "train.csv", "label,youtube_id\nabseiling,x\n", "no training video .1 listed videos are not"),
        ("kinetics400", "splits.toml", "test = 0.25\n", "what may be set here is val, seed"),
        ("diving48", TRAIN, "{", "Diving48_V2_train.json: Invalid JSON"),
        ("diving48", TRAIN, "{}", "it must be a list"),
        ("diving48", TRAIN, '[{"vid_name": "a_00000"}]', r"0\.label it is missing"),
        ("diving48", TRAIN, '["a_00000"]', "train.json: 0 it must hold named fields"),
        ("diving48", TRAIN, None, "nor has its folder annotations"),
        ("diving48", TEST, '[{"vid_name": "_8Vy3dl00-w_00000", "label": 0}]', "again, with another"),
        ("diving48", "Diving48_vocab.json", '[["Back"]]', "but the lists use label 2"),
    ],
)
def test_a_bad_list_is_one_line(kind: Kind, file: str, text: str | bytes | None, told: str, tmp_path: Path) -> None:
    root = MAKE[kind](tmp_path / "set")
    if text is None:
        (root / file).unlink()
    else:
        put(root / file, text)
    with pytest.raises(FameError, match=told) as caught:
        read(root, kind)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("kind", "empty", "told"),
    [
        ("ucf101", "UCF-101 or data", "none of the 72 videos"),
        (
            "hmdb51",
            "no split files CLASS_test_split1",
            "none of the 84 videos",
        ),
        ("kinetics400", "no folder train with", "none of the 20 videos"),
        ("diving48", "no folder rgb or videos", "none of the 78 videos"),
    ],
)
def test_a_set_that_is_not_there_says_so(kind: Kind, empty: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(FameError, match="is not a folder"):
        read(tmp_path / "no", kind)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FameError, match=empty):
        read(tmp_path / "empty", kind)
    root = MAKE[kind](tmp_path / "set")
    for path in [path for path in root.rglob("*") if path.suffix in (".avi", ".mp4")]:
        path.unlink()
    with pytest.raises(FameError, match=told):
        read(root, kind)


@pytest.mark.parametrize(
    ("kind", "fold", "told"), [("diving48", 2, "the only one"), ("kinetics400", 3, "the only one"), ("hmdb51", 4, "3 are")]
)
def test_a_fold_that_nobody_published(kind: Kind, fold: int, told: str, tmp_path: Path) -> None:
    with pytest.raises(FameError, match=rf"{kind}: there is no fold {fold}; fold 1 .*{told}"):
        read(MAKE[kind](tmp_path / "set"), kind, fold)


def listing_of(train: int, val: int, test: int, classes: int) -> Listing:
    splits = ["train"] * train + ["val"] * val + ["test"] * test
    return Listing([], [Entry(str(index), index % classes, split) for index, split in enumerate(splits)])


def test_counts_are_compared_with_the_official_ones() -> None:
    assert compare_with_official("ucf101", 1, listing_of(55, 5, 48, 64)) == [
        "ucf101 fold 1: train 60 of 9537",
        "ucf101 fold 1: test 48 of 3783",
        "ucf101 fold 1: classes 64 of 101",
    ]
    assert compare_with_official("hmdb51", 3, listing_of(3230, 340, 1530, 51)) == []
    assert compare_with_official("folder", 1, listing_of(1, 0, 0, 1)) == []
    assert {OFFICIAL["ucf101", fold].train + OFFICIAL["ucf101", fold].test for fold in (1, 2, 3)} == {13320}
