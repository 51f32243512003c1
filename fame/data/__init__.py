"""Turn videos on disk, or rendered ones, into clips; every step is cached and may be called from several processes at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fame.errors import FameError

if TYPE_CHECKING:
    from fame.config import StagedData, VideoData
    from fame.data.clips import VideoSet
    from fame.data.layouts import Kind
    from fame.data.manifest import Manifest
    from fame.data.parallel import Progress
    from fame.data.store import Codec
    from fame.seeds import Seeds


def open_videos(
    data: StagedData | VideoData,
    seeds: Seeds,
    cache: Path,
    root: Path | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    most_broken: float = 0.0,
) -> VideoSet:
    """Open the videos that a configuration names; FameError where those in `root` are not the ones whose digest it holds."""
    from fame.data.clips import VideoSet
    from fame.data.store import open_store

    codec: Codec = "raw"
    if data.kind == "staged":
        from fame.data.staged.videos import render

        manifest = render(data, seeds, cache, jobs, progress)
    elif root is None:
        raise FameError(f"{data.kind}: where are the videos? give their folder with --data-root")
    else:
        manifest, codec = scan_videos(root, data.kind, data.fold, cache, jobs, progress, most_broken), data.codec
        if manifest.digest() != data.manifest:
            raise FameError(
                f"{data.kind}: the videos in {root} are not those of this run (manifest {manifest.digest()}, not "
                f"{data.manifest}): files changed since the scan; start the study anew, or bring the files back"
            )
    return VideoSet(manifest, open_store(manifest, cache, data.short_side, codec, jobs, progress))


def scan_videos(
    root: Path,
    kind: Kind,
    fold: int,
    cache: Path,
    jobs: int = 1,
    progress: Progress | None = None,
    most_broken: float = 0.0,
) -> Manifest:
    """Scan a data set on disk and return its manifest; its digest is `VideoData.manifest`. Safe from several processes at once."""
    from fame.data.disk import locked
    from fame.data.scan import scan

    with locked(cache / "scan"):
        return scan(root, kind, fold, cache / "scan", jobs, progress, most_broken)
