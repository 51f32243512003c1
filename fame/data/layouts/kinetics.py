"""Kinetics-400: `train/CLASS/*.mp4`, `val/CLASS/*.mp4`, and the csv lists of what should be there.

The official `val` is the split `test` here; all of `train` is trained on unless `splits.toml` asks for a validation split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fame.data.layouts.listing import (
    Entry,
    Listing,
    first_file,
    first_folder,
    left_out,
    none_found,
    read_rows,
    videos_below,
)
from fame.data.layouts.splits import place_by_hash, read_rule
from fame.errors import FameError

LISTS = {"train": ("train.csv",), "val": ("val.csv", "validate.csv")}
_NAME = re.compile(r"(?P<id>.+)_(?P<start>\d{6})_(?P<end>\d{6})$")


def read_kinetics(root: Path, fold: int) -> Listing:
    """Read what the csv lists name and the disk has, or class folders where there is no list; classes are in order of name."""
    rule = read_rule(root, "kinetics400", ("val", "seed"), val=0.0)
    train = first_folder("kinetics400", root, ("train",), "the training videos")
    found: list[tuple[str, str, str]] = []  # path, class, split
    named: dict[str, str] = {}  # every class that a list or a folder has: one whose videos are all missing keeps its number
    missing: list[str] = []
    strangers: list[Path] = []
    for split, names in LISTS.items():
        on_disk = {path.stem: path for path in reversed(videos_below(root / split))}
        listed: dict[Path | str, str] = {}  # class by file, or by the name of one that is missing
        if file := first_file(root, names):
            for id, name, label in _read_list(file):
                taken = on_disk.pop(name, None) or on_disk.pop(id, None)
                listed[taken or f"{split}/{label}/{name}"] = label
            strangers += on_disk.values()
        else:
            listed |= {path: path.relative_to(root).parts[1] for path in videos_below(root / split) if path.parent != root / split}
        for path, label in listed.items():
            named.setdefault(_key(label), label.replace("_", " "))
            if isinstance(path, str):
                missing.append(path)
            else:
                found.append((path.relative_to(root).as_posix(), label, "train" if split == "train" else "test"))
    if not found and missing:
        raise none_found("kinetics400", missing, root / "*.csv", train)
    if not found:
        raise FameError(f"kinetics400: no video in {train}/CLASS and no csv list beside it; get the videos, or the lists too")
    number = {key: index for index, key in enumerate(sorted(named))}
    entries = [Entry(path, number[_key(label)], split) for path, label, split in found]
    # By a threshold on the hash, not by rank: which videos a copy lacks moves none of the others.
    held = {e.path for e in entries if e.split == "train" and place_by_hash(video_of(e.path), fold, rule.seed) < rule.val}
    entries = [entry._replace(split="val") if entry.path in held else entry for entry in entries]
    return Listing([named[key] for key in number], entries, missing, left_out(root, strangers))


def video_of(path: str) -> str:
    """Return the YouTube id of a file: `train/abseiling/0wR5jVB-WPk_000417_000427.mp4` is of `0wR5jVB-WPk`."""
    stem = Path(path).stem
    found = _NAME.match(stem)
    return found["id"] if found else stem


def _read_list(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield id, name of the file without its suffix, and label of the rows that have a label, once each."""
    columns, rows = read_rows("kinetics400", file)
    if absent := [name for name in ("label", "youtube_id") if name not in columns]:
        raise FameError(f"kinetics400: {file} has no column {' and no column '.join(absent)}; get the official list again")
    seen: set[tuple[str, str]] = set()
    for number, row in rows:
        id, label = row["youtube_id"], row["label"]
        try:
            times = [int(float(text)) for text in (row.get("time_start"), row.get("time_end")) if text]
        except (ValueError, OverflowError):
            told = f"no number of seconds in {row['time_start']!r} or {row['time_end']!r}"
            raise FameError(f"kinetics400: line {number} of {file} has {told}; mend it") from None
        if not id:
            raise FameError(f"kinetics400: line {number} of {file} has no youtube_id; mend it, or get the official list again")
        name = f"{id}_{times[0]:06d}_{times[1]:06d}" if len(times) == 2 else id
        if label and (name, label) not in seen:
            seen.add((name, label))
            yield id, name, label


def _key(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
