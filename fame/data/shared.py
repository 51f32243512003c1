"""One store of frames for all folds of a set: folds differ in split and order, not in pixels.

A store is known by its files (path, hash, frames, size), sorted by path; a manifest then looks into it in its own order. UCF101 has
the same files in every fold and is stored once; HMDB51's folds list different clips, so each has a store of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fame.data.manifest import Manifest
from fame.data.packed import PackedStore
from fame.data.parallel import Progress
from fame.data.room import writing
from fame.data.store import FrameStore
from fame.files import write_atomically

if TYPE_CHECKING:
    from fame.config import VideoData

STORES: dict[str, type[FrameStore] | type[PackedStore]] = {"raw": FrameStore, "jpeg": PackedStore}
_COLUMNS = ("offsets", "frames", "heights", "widths", "sizes", "tables", "paths")  # those that a kind of store has
_AT = ".at"  # a file that says which folder has a manifest's frames


def files_of(manifest: Manifest) -> Manifest:
    """The manifest without what a fold says: videos sorted by path, no labels, splits and tags."""
    bare = [replace(video, label=0, split="", tags={}) for video in sorted(manifest.videos, key=lambda video: video.path)]
    return Manifest(manifest.name.partition("-fold")[0], manifest.root, ["any"], bare)


def open_shared(
    manifest: Manifest, cache: Path, short_side: int | None, codec: str, jobs: int, progress: Progress | None
) -> FrameStore | PackedStore:
    """The store of the manifest's files below `cache`, made first where there is none, its rows in the manifest's order."""
    kind = STORES[codec]
    own = cache / "store" / _name(manifest.digest(), short_side, codec)
    if (own / "index.json").exists():  # made by a version that stored each fold by itself
        return kind.prepare(manifest, own, short_side, jobs, progress)
    files = files_of(manifest)
    folder = own.with_name(_name(files.digest(), short_side, codec))
    store = kind.prepare(files, folder, short_side, jobs, progress)
    at_file = own.with_name(own.name + _AT)
    with writing(at_file, "where the prepared videos lie"):
        write_atomically(at_file, lambda beside: _write(beside, folder.name))
    at = {video.path: row for row, video in enumerate(files.videos)}
    return in_order(store, manifest.digest(), np.array([at[video.path] for video in manifest.videos], dtype=np.int64))


def in_order(store: FrameStore | PackedStore, digest: str, order: NDArray[np.int64]) -> FrameStore | PackedStore:
    """The store seen by a manifest of this digest, whose row i is the store's row `order[i]`."""
    columns: dict[str, Any] = {}
    for name in _COLUMNS:
        if hasattr(store, name):
            held = getattr(store, name)
            columns[name] = [held[row] for row in order.tolist()] if isinstance(held, list) else held[order]
    open_again = (_reopened, (type(store).open, store.folder, digest, order))
    return replace(store, manifest=digest, again=open_again, **columns)


def is_prepared(data: VideoData, cache: Path) -> bool:
    """Whether the frames of a real set are stored, or need not be; from file names alone."""
    if data.codec == "straight":
        return True
    own = cache / "store" / _name(data.manifest, data.short_side, data.codec)
    try:
        folder = own.with_name(own.with_name(own.name + _AT).read_text(encoding="utf-8").strip())
    except OSError:
        folder = own
    return (folder / "index.json").exists()


def _name(digest: str, short_side: int | None, codec: str) -> str:
    return f"{digest}-{short_side or 'native'}" + ("" if codec == "raw" else f"-{codec}")


def _reopened(
    opened: Callable[[Path], FrameStore | PackedStore], folder: Path, digest: str, order: NDArray[np.int64]
) -> FrameStore | PackedStore:
    return in_order(opened(folder), digest, order)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
