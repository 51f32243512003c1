"""Diving48 V2 on disk: labels, class names, whole broadcasts for validation, what is missing, and what bad lists say."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.data.layouts import read_diving48
from fame.data.layouts.diving48 import broadcast_of
from fame.errors import FameError
from tests.miniatures import DIVES, counts, diving48, of, put


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
