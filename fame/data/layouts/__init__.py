"""List the videos, labels and splits of real data sets, one reader a layout, without opening a video."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from fame.data.layouts.diving48 import read_diving48
from fame.data.layouts.folder import FOLDS_OF_TARGET, read_class_folders
from fame.data.layouts.hmdb51 import read_hmdb51
from fame.data.layouts.kinetics import read_kinetics
from fame.data.layouts.listing import SPLITS, Entry, Listing
from fame.data.layouts.official import FOLDS, compare_with_official
from fame.data.layouts.targets import read_pool
from fame.data.layouts.ucf101 import read_ucf101
from fame.data.manifest import is_fold
from fame.errors import FameError

Kind = Literal["ucf101", "hmdb51", "kinetics400", "diving48", "folder", "target", "pool"]
_READERS = {"ucf101": read_ucf101, "hmdb51": read_hmdb51, "kinetics400": read_kinetics, "diving48": read_diving48}

__all__ = ["SPLITS", "Entry", "Kind", "Listing", "compare_with_official", "read_layout"]


def read_layout(root: Path, kind: Kind, fold: int, cache: Path) -> Listing:
    """List the videos below `root`; FameError where it does not look like `kind`. A split made here is kept in `cache`."""
    if not root.is_dir():
        raise FameError(f"{kind}: {root} is not a folder; give the data set's folder with --data-root")
    if fold > FOLDS.get(kind, fold):
        only = "is the only one" if FOLDS[kind] == 1 else f"to fold {FOLDS[kind]} are published"
        raise FameError(f"{kind}: there is no fold {fold}; fold 1 {only}")
    if kind in ("folder", "target"):
        listing = read_class_folders(root, fold, cache, FOLDS_OF_TARGET if kind == "target" else 0)
    elif kind == "pool":
        return read_pool(root, cache)
    else:
        listing = _READERS[kind](root, fold)
    splits = {entry.split for entry in listing.entries}
    if any(map(is_fold, splits)):
        in_folds = Counter(label for label, _ in {(entry.label, entry.split) for entry in listing.entries})
        if alone := [listing.classes[label] for label, folds in sorted(in_folds.items()) if folds == 1]:
            told = "lie in one fold, so what is tested on them was trained without them"
            listing.notes.append(f"{kind}: {len(alone)} of {len(in_folds)} classes {told} (first: {alone[0]})")
        return listing
    if "train" not in splits:
        first = f" ({len(listing.missing)} listed videos are not on disk, first: {listing.missing[0]})" if listing.missing else ""
        raise FameError(f"{kind}: {root} has no training video{first}; at least one is needed")
    if "test" not in splits:
        listing.notes.append(f"{kind}: {root} has no test video: an encoder can be trained on it, and nothing can be evaluated")
        return listing
    train, test = ({entry.label for entry in listing.entries if entry.split == split} for split in ("train", "test"))
    for split, absent in (("train", test - train), ("test", train - test)):
        if absent:
            first = listing.classes[min(absent)]
            listing.notes.append(f"{kind}: {len(absent)} of {len(train | test)} classes have no {split} video (first: {first})")
    return listing
