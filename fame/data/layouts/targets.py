"""Read a folder of targets: sets that one pretraining is tested on, and the clips that it sees, whose labels are not read.

    DIR/source/...       clips to pretrain on, at any depth; optional
    DIR/NAME/CLASS/*     a target, as many as there are, each read as a folder of class folders (folder.py)

Without `source`, the targets' own clips are pretrained on, but for those that a target holds out (`test` and `val`).
"""

from __future__ import annotations

from pathlib import Path

from fame.data.layouts.folder import FOLDS_OF_TARGET, read_class_folders
from fame.data.layouts.listing import Entry, Listing, videos_below
from fame.data.manifest import is_fold
from fame.errors import FameError

SOURCE = "source"
UNLABELLED = "clip"  # the one class of clips without labels


def target_folders(root: Path) -> list[Path]:
    """List the targets' folders below `root`, by name; FameError where there is none."""
    found = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name != SOURCE and videos_below(path)]
    if not found:
        raise FameError(f"--data-root {root}: no target is there; a target is a folder of class folders, DIR/NAME/CLASS/VIDEO")
    if loose := [path for path in found if any(video.parent == path for video in videos_below(path))]:
        raise FameError(
            f"--data-root {root}: {loose[0].name} holds videos itself and no class folders, so it is no target; "
            "name the folder above its classes' folder, or say --dataset folder"
        )
    return found


def read_pool(root: Path, cache: Path) -> Listing:
    """List the clips that are pretrained on: one class, all in split `train`."""
    if (root / SOURCE).is_dir():
        paths = [path.relative_to(root).as_posix() for path in videos_below(root / SOURCE)]
    else:
        listings = {folder: read_class_folders(folder, 1, cache, FOLDS_OF_TARGET) for folder in target_folders(root)}
        seen = ((folder, entry) for folder, one in listings.items() for entry in one.entries)
        paths = [f"{folder.name}/{entry.path}" for folder, entry in seen if entry.split == "train" or is_fold(entry.split)]
    if not paths:
        raise FameError(f"pool: {root} has no clip to pretrain on; put some in {root / SOURCE}")
    return Listing([UNLABELLED], [Entry(path, 0, "train") for path in paths])
