"""Diving48 V2: clips in one folder, `Diving48_V2_train.json` and `Diving48_V2_test.json`, class names in `Diving48_vocab.json`.

Clips are named VIDEO_NNNNN after the broadcast they are cut from, and one broadcast has dives of many classes before one
background: validation holds out whole broadcasts. There is one split, so fold 1 is the only fold.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fame.data.layouts.listing import (
    Entry,
    Listing,
    find_listed,
    first_file,
    first_folder,
    left_out,
    list_once,
    read_json,
    videos_below,
)
from fame.data.layouts.splits import hold_out_sources
from fame.errors import FameError

VIDEOS = ("rgb", "videos", "Diving48_rgb")
VOCABULARY = "Diving48_vocab.json"


def read_diving48(root: Path, fold: int) -> Listing:
    """The official test list is the test split. Validation is chosen on the lists, so a clip that is missing moves no other."""
    videos = first_folder("diving48", root, VIDEOS, "the videos")
    listed: dict[str, Entry] = {}
    for split in ("train", "test"):
        file = first_file(root, (f"Diving48_V2_{split}.json",))
        if file is None:
            raise FameError(
                f"diving48: {root} has no Diving48_V2_{split}.json, nor has its folder annotations; put version 2's list there"
            )
        for index, item in enumerate(_items(file)):
            name, label = _parse(file, index, item)
            list_once("diving48", listed, name, Entry(name, label, split), file)
    if not listed:
        raise FameError(f"diving48: the lists in {root} are empty; get the official files again")
    classes = _classes(first_file(root, (VOCABULARY,)), max(entry.label for entry in listed.values()))
    on_disk = {path.stem: path for path in reversed(videos_below(videos))}
    used = hold_out_sources(listed.values(), fold, broadcast_of)
    lists = root / "Diving48_V2_*.json"
    entries, missing = find_listed("diving48", root, used, lambda entry: entry.path, on_disk, lists, videos)
    return Listing(classes, entries, missing, left_out(root, on_disk.values(), "version 2's lists do not name them"))


def broadcast_of(path: str) -> str:
    """The video a clip is cut from: `_8Vy3dlHg2w_00017` is of `_8Vy3dlHg2w`."""
    return re.sub(r"_\d+$", "", Path(path).stem)


def _items(file: Path) -> list[Any]:
    value = read_json("diving48", file)
    if not isinstance(value, list):
        raise FameError(f"diving48: {file} is not a list of clips; get the official file again")
    return value


def _parse(file: Path, index: int, item: Any) -> tuple[str, int]:
    name, label = (item.get("vid_name"), item.get("label")) if isinstance(item, dict) else (None, None)
    if not isinstance(name, str) or type(label) is not int or label < 0:
        raise FameError(
            f'diving48: clip {index} of {file} has no "vid_name" and "label" (a class number from 0); get the file again'
        )
    return name, label


def _classes(file: Path | None, highest: int) -> list[str]:
    """Names of the classes; a vocabulary's entry is four words, as ["Back", "15som", "05Twis", "FREE"]."""
    if file is None:
        return [f"dive {index:02d}" for index in range(highest + 1)]
    names = [" ".join(map(str, item)) if isinstance(item, list) else str(item) for item in _items(file)]
    if highest >= len(names):
        raise FameError(
            f"diving48: {file} names {len(names)} classes, but the lists use label {highest}; get the official files again"
        )
    return names
