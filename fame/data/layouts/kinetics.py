"""Kinetics-400: `train/CLASS/*.mp4`, `val/CLASS/*.mp4`, and the csv lists of what should be there.

A copy of Kinetics is never whole: what the lists name and the disk has not is counted. Numbers are reported on the
official `val`, which is the split `test` here; the official `test` has no labels and is not read. All of `train` is
trained on unless `splits.toml` asks for a validation split. Fold 1 is the only fold.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from fame.data.layouts.listing import Entry, Listing, first_file, first_folder, left_out, none_found, read_rows, videos_below
from fame.data.layouts.splits import place_by_hash, read_rule
from fame.errors import FameError

FOLDERS = {"train": ("train", "videos_train"), "test": ("val", "validate", "validation", "videos_val")}
_WORDS = {"train": ("train",), "test": ("val", "validate", "validation")}
LISTS = {
    split: tuple(f"{before}{word}.csv" for before in ("", "kinetics_", "kinetics400_") for word in _WORDS[split])
    for split in _WORDS
}
COLUMNS = ("label", "youtube_id")  # time_start and time_end too, where one file name needs them
_NAME = re.compile(r"(?P<id>.+)_(?P<start>\d{6})_(?P<end>\d{6})$")


class Clip(NamedTuple):
    """One row of a list: ten seconds of one video on YouTube."""

    id: str
    start: int | None
    end: int | None
    label: str

    @property
    def name(self) -> str:
        return self.id if self.start is None or self.end is None else f"{self.id}_{self.start:06d}_{self.end:06d}"


def read_kinetics(root: Path, fold: int) -> Listing:
    """A split with a csv list is what the list names and the disk has; one without is what its class folders have.

    Class names are compared without spaces, underscores and apostrophes, so `playing guitar` is `playing_guitar`. The order of
    the classes is that of their names, with or without lists.
    """
    rule = read_rule(root, "kinetics400", ("val", "seed"), val=0.0)
    train = first_folder("kinetics400", root, FOLDERS["train"], "the training videos")
    places: dict[str, Path | None] = {
        "train": train,
        "test": next((root / name for name in FOLDERS["test"] if (root / name).is_dir()), None),
    }
    lists = {split: first_file(root, names) for split, names in LISTS.items()}
    found: list[tuple[Path, str, str]] = []  # file, class, split
    named: list[str] = []  # every class that a list or a folder has: one whose videos are all missing keeps its number
    missing: list[str] = []
    strangers: list[Path] = []
    for split, place in places.items():
        file = lists[split]
        on_disk: dict[str, list[Path]] = defaultdict(list)
        for path in videos_below(place) if place else ():
            on_disk[path.stem].append(path)
        for clip in _read_list(file) if file else ():
            named.append(clip.label)
            taken = _take(on_disk, clip)
            if taken is None:
                missing.append(f"{_WORDS[split][0]}/{clip.label}/{clip.name}")
            else:
                found.append((taken, clip.label, split))
        left = [path for files in on_disk.values() for path in files]
        if file is not None:
            strangers += left
        elif place is not None:
            of_class = [(path, path.relative_to(place).parts[0], split) for path in left if path.parent != place]
            named += [name for _, name, _ in of_class]
            found += of_class
    if not found and missing:
        raise none_found("kinetics400", missing, lists["train"] or root, train)
    if not found:
        raise FameError(f"kinetics400: no video in {train}/CLASS and no csv list beside it; get the videos, or the lists too")
    names = _names(named)
    label = {key: index for index, key in enumerate(names)}
    entries = [Entry(path.relative_to(root).as_posix(), label[_key(name)], split) for path, name, split in found]
    # By a threshold on the hash, not by rank: which videos a copy lacks moves none of the others.
    held = {e.path for e in entries if e.split == "train" and place_by_hash(video_of(e.path), fold, rule.seed) < rule.val}
    entries = [entry._replace(split="val") if entry.path in held else entry for entry in entries]
    return Listing(list(names.values()), entries, missing, left_out(root, strangers, "the csv lists do not name them"))


def video_of(path: str) -> str:
    """The YouTube id of a file: `train/abseiling/0wR5jVB-WPk_000417_000427.mp4` is of `0wR5jVB-WPk`."""
    stem = Path(path).stem
    found = _NAME.match(stem)
    return found["id"] if found else stem


def _take(on_disk: dict[str, list[Path]], clip: Clip) -> Path | None:
    """Take out the file ID_SSSSSS_EEEEEE, else ID; of several the one in the class's own folder."""
    for name in (clip.name, clip.id):
        if files := on_disk.get(name):
            best = next((path for path in files if _key(path.parent.name) == _key(clip.label)), files[0])
            files.remove(best)
            return best
    return None


def _read_list(file: Path) -> list[Clip]:
    """The rows that have a label, in order and once each."""
    columns, rows = read_rows("kinetics400", file)
    absent = [name for name in COLUMNS if name not in columns]
    if absent:
        raise FameError(f"kinetics400: {file} has no column {' and no column '.join(absent)}; get the official list again")
    clips: dict[Clip, None] = {}
    for number, row in rows:
        if not row["youtube_id"]:
            raise FameError(f"kinetics400: line {number} of {file} has no youtube_id; mend it, or get the official list again")
        if row["label"]:
            start, end = (_second(file, number, row, column) for column in ("time_start", "time_end"))
            clips[Clip(row["youtube_id"], start, end, row["label"])] = None
    return list(clips)


def _second(file: Path, number: int, row: dict[str, str], column: str) -> int | None:
    text = row.get(column)
    if not text:
        return None
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise FameError(
            f"kinetics400: line {number} of {file} has {column} {text!r}, which is no number of seconds; mend it"
        ) from None


def _names(seen: list[str]) -> dict[str, str]:
    """Class names by key, in the order of the keys; spelled as first seen, with spaces."""
    names: dict[str, str] = {}
    for name in seen:
        names.setdefault(_key(name), name.replace("_", " "))
    return {key: names[key] for key in sorted(names)}


def _key(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
