"""What the published data sets hold, to compare a copy with: counts of videos and classes."""

from __future__ import annotations

from typing import NamedTuple

from fame.data.layouts.listing import Listing


class Official(NamedTuple):
    """Count the videos of the published train and test lists, and the classes."""

    train: int
    test: int
    classes: int


OFFICIAL = {
    # the three official lists (ucfTrainTestlist); 13320 videos are the set, each in train or test of every fold
    ("ucf101", 1): Official(9537, 3783, 101),
    ("ucf101", 2): Official(9586, 3734, 101),
    ("ucf101", 3): Official(9624, 3696, 101),
    # the official 153 split files: 70 train and 30 test clips a class; 6766 clips listed (the paper of 2011 counts 6849)
    **{("hmdb51", fold): Official(3570, 1530, 51) for fold in (1, 2, 3)},
    # the copy that the Common Visual Data Foundation hosts, as FiftyOne's documentation counts it; no two copies agree
    ("kinetics400", 1): Official(246534, 19906, 400),
    # version 2's lists, as their users count them; not counted by us. The archive of videos has more: 18404 clips
    ("diving48", 1): Official(15027, 1970, 48),
}
FOLDS = {kind: max(fold for other, fold in OFFICIAL if other == kind) for kind, _ in OFFICIAL}  # of each published set


def compare_with_official(kind: str, fold: int, listing: Listing) -> list[str]:
    """Return lines such as `ucf101 fold 1: train 60 of 9537`, where counts differ; train counts `val` too."""
    official = OFFICIAL.get((kind, fold))
    if official is None:
        return []
    name = f"{kind} fold {fold}" if FOLDS[kind] > 1 else kind
    test = sum(entry.split == "test" for entry in listing.entries)
    found = Official(len(listing.entries) - test, test, len({entry.label for entry in listing.entries}))
    counts = zip(("train", "test", "classes"), found, official, strict=True)
    return [f"{name}: {what} {number} of {published}" for what, number, published in counts if number != published]
