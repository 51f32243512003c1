"""Where real data sets keep their videos, labels and splits: UCF101 and plain class folders.

A reader lists what should be there without opening a video (scan.py opens them). Validation videos are whole groups held out
of the training list: UCF101's clips of one group show the same person in the same place, so splitting a group would leak.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from fame.data.video import SUFFIXES
from fame.errors import FameError
from fame.run import write_json

Kind = Literal["ucf101", "folder"]
SPLITS = ("train", "val", "test")
VAL_SHARE = 0.1  # of a class's training groups, rounded: a class with fewer than five groups gives none
TEST_SHARE = 0.2  # of a class's groups, where a plain folder says nothing of splits


class Entry(NamedTuple):
    """One video a data set lists: path relative to the root, label, split."""

    path: str
    label: int
    split: str


@dataclass(frozen=True)
class Listing:
    """What a layout says is there. `missing` are entries of the split files that are not on disk."""

    classes: list[str]
    entries: list[Entry]
    missing: list[str] = field(default_factory=list)


def read_layout(root: Path, kind: Kind, fold: int, cache: Path) -> Listing:
    """List the videos below `root`; FameError where it does not look like `kind`. A split made here is kept in `cache`."""
    if not root.is_dir():
        raise FameError(f"{kind}: {root} is not a folder; give the data set's folder with --data-root")
    listing = read_ucf101(root, fold) if kind == "ucf101" else read_class_folders(root, fold, cache)
    if not any(entry.split == "train" for entry in listing.entries):
        raise FameError(f"{kind}: {root} has no training video; at least one is needed")
    return listing


# ---------------------------------------------------------------- UCF101


def read_ucf101(root: Path, fold: int) -> Listing:
    """UCF101 as distributed (`UCF-101/CLASS/*.avi`, `ucfTrainTestlist/`), or as the released code keeps it (`data/`, `anno/`).

    The official test list of the fold is the test split; a share of the train list's groups is the validation split.
    """
    videos = _first_folder(root, ("UCF-101", "data"), "the videos")
    lists = _first_folder(root, ("ucfTrainTestlist", "anno"), "the split files")
    names = [line.split()[1] for line in _lines(lists / "classInd.txt")]
    label = {name.lower(): index for index, name in enumerate(names)}
    # Names are compared without case: classInd.txt has HandstandPushups, its files v_HandStandPushups, and copies mix the two.
    on_disk = {path.relative_to(videos).as_posix().lower(): path for path in sorted(videos.rglob("*.avi"))}
    entries, missing = [], []
    for split in ("train", "test"):
        file = lists / f"{split}list{fold:02d}.txt"
        for line in _lines(file):
            listed = line.split()[0]
            name, _, base = listed.rpartition("/")
            found = on_disk.get(listed.lower()) or on_disk.get(base.lower())
            if name.lower() not in label:
                raise FameError(
                    f"ucf101: {file} lists {listed}, whose class is not in {lists / 'classInd.txt'}; mend the split file"
                )
            if found is None:
                missing.append(listed)
            else:
                entries.append(Entry(found.relative_to(root).as_posix(), label[name.lower()], split))
    if not entries:
        raise FameError(f"ucf101: none of the {len(missing)} videos that {lists} lists is in {videos} (first: {missing[0]})")
    return Listing(names, hold_out_groups(entries, fold), missing)


def _first_folder(root: Path, names: tuple[str, ...], what: str) -> Path:
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None:
        raise FameError(
            f"ucf101: {root} has no folder {' or '.join(names)} with {what}; give the folder that holds both with --data-root"
        )
    return found


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise FameError(f"ucf101: {file} cannot be read ({error.strerror}); put the official split files there") from None


# ---------------------------------------------------------------- groups


def group_of(path: str) -> str:
    """The group of a video: CLASS/gNN where the name has it as in UCF101 (`v_Diving_g03_c07`), else the video itself."""
    name = Path(path)
    found = re.search(r"_g(\d+)(?:_|$)", name.stem)
    return f"{name.parent.name}/g{found[1]}" if found else path


def hold_out_groups(entries: Iterable[Entry], fold: int) -> list[Entry]:
    """Move whole groups from train to val: about a tenth of each class's groups, chosen by hash, the same on every machine."""
    entries = list(entries)
    held = set()
    for groups in _groups_by_label(entry for entry in entries if entry.split == "train").values():
        held |= set(_by_hash(groups, fold)[: int(VAL_SHARE * len(groups) + 0.5)])
    return [e._replace(split="val") if e.split == "train" and group_of(e.path) in held else e for e in entries]


def _groups_by_label(entries: Iterable[Entry]) -> dict[int, set[str]]:
    groups: dict[int, set[str]] = defaultdict(set)
    for entry in entries:
        groups[entry.label].add(group_of(entry.path))
    return groups


def _by_hash(groups: Iterable[str], fold: int) -> list[str]:
    return sorted(groups, key=lambda group: hashlib.sha256(f"{fold}/{group}".encode()).digest())


# ---------------------------------------------------------------- plain class folders


def read_class_folders(root: Path, fold: int, cache: Path) -> Listing:
    """`ROOT/{train,val,test}/CLASS/*` or `ROOT/CLASS/*`, videos at any depth below their class.

    With split folders but no `val`, groups are held out of train as for UCF101. Without split folders the split is made by group
    and kept as JSON in `cache`, so that videos added later do not move the others; that file may be edited.
    """
    given = [split for split in SPLITS if (root / split).is_dir()]
    if "train" in given:
        found = [(path, name, split) for split in given for path, name in _videos_by_class(root / split)]
    else:
        found = [(path, name, "train") for path, name in _videos_by_class(root)]
    if not found:
        raise FameError(f"folder: no video in {root}/CLASS or {root}/train/CLASS (looked for {', '.join(SUFFIXES)})")
    classes = sorted({name for _, name, _ in found})
    entries = [Entry(path.relative_to(root).as_posix(), classes.index(name), split) for path, name, split in found]
    if "train" not in given:
        entries = _split_by_group(entries, fold, cache / f"split-{_short_hash(root)}-fold{fold}.json")
    elif "val" not in given:
        entries = hold_out_groups(entries, fold)
    return Listing(classes, entries)


def _videos_by_class(folder: Path) -> list[tuple[Path, str]]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [(path, name.name) for name in classes for path in sorted(name.rglob("*")) if path.suffix.lower() in SUFFIXES]


def _split_by_group(entries: list[Entry], fold: int, file: Path) -> list[Entry]:
    """Per class a fifth of the groups to test and a tenth to val, by hash; groups that `file` knows stay where it says."""
    known = _read_split(file)
    split = dict(known)
    for groups in _groups_by_label(entries).values():
        for name, share in (("test", TEST_SHARE), ("val", VAL_SHARE)):
            wanted = int(share * len(groups) + 0.5) - sum(split.get(group) == name for group in groups)
            for group in _by_hash((group for group in groups if group not in split), fold)[: max(0, wanted)]:
                split[group] = name
    split = {group_of(entry.path): split.get(group_of(entry.path), "train") for entry in entries}
    if split != known:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, known | split)
    return [entry._replace(split=split[group_of(entry.path)]) for entry in entries]


def _read_split(file: Path) -> dict[str, str]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FameError(f"{file}: the split cannot be read ({error}); mend it, or delete it to have it made anew") from None
    if not isinstance(value, dict) or not set(value.values()) <= set(SPLITS):
        raise FameError(f"{file}: a split file maps groups to train, val or test; mend it, or delete it to have it made anew")
    return value


def _short_hash(root: Path) -> str:
    return hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
