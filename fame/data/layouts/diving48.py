"""Diving48 V2: clips in one folder, `Diving48_V2_train.json` and `Diving48_V2_test.json`, class names in `Diving48_vocab.json`.

Clips are named VIDEO_NNNNN after their broadcast; validation holds out whole broadcasts, whose dives share a background.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from fame.data.layouts.listing import Entry, Listing, find_listed, first_file, first_folder, list_once, read_text
from fame.data.layouts.splits import hold_out_sources
from fame.errors import FameError, own_words

VIDEOS = ("rgb", "videos", "Diving48_rgb")


class Clip(BaseModel):
    """One item of a list."""

    vid_name: str
    label: int = Field(ge=0, strict=True)


def read_diving48(root: Path, fold: int) -> Listing:
    """Read the lists: the test list is the test split, and whole broadcasts of the train list validate."""
    videos = first_folder("diving48", root, VIDEOS, "the videos")
    listed: dict[str, Entry] = {}
    for split in ("train", "test"):
        name = f"Diving48_V2_{split}.json"
        file = first_file(root, (name,))
        if file is None:
            raise FameError(f"diving48: {root} has no {name}, nor has its folder annotations; put version 2's list there")
        for clip in _read(file, list[Clip]):
            list_once("diving48", listed, Entry(clip.vid_name, clip.label, split), file)
    if not listed:
        raise FameError(f"diving48: the lists in {root} are empty; get the official files again")
    highest = max(entry.label for entry in listed.values())
    names = [f"dive {index:02d}" for index in range(highest + 1)]
    if vocabulary := first_file(root, ("Diving48_vocab.json",)):
        names = [" ".join(words) for words in _read(vocabulary, list[list[str]])]  # as ["Back", "15som", "05Twis", "FREE"]
        if highest >= len(names):
            told = f"names {len(names)} classes, but the lists use label {highest}"
            raise FameError(f"diving48: {vocabulary} {told}; get the official files again")
    used = hold_out_sources(listed.values(), fold, broadcast_of)
    return find_listed("diving48", root, names, used, root / "Diving48_V2_*.json", videos)


def broadcast_of(path: str) -> str:
    """Return the video a clip is cut from: `_8Vy3dlHg2w_00017` is of `_8Vy3dlHg2w`."""
    return re.sub(r"_\d+$", "", Path(path).stem)


def _read(file: Path, form: Any) -> Any:
    try:
        return TypeAdapter(form).validate_json(read_text("diving48", file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FameError(f"diving48: {file}: {where} {own_words(first)}; get the official file again") from None
