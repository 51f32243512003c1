"""List the videos of a data set, with label, split and size; a run's identity holds the digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fame.config import Clip
from fame.errors import FameError
from fame.files import write_json

VERSION = 1
FOLD = "fold"  # `fold/0`, `fold/1`, ...: splits of a set that is tested by cross-validation


@dataclass(frozen=True)
class Video:
    """Describe a video: `path` below the root, with `/`; `label`, an index of classes; `frames` that decode; sizes in pixels."""

    path: str
    label: int
    split: str
    frames: int
    fps: float
    width: int
    height: int
    tags: dict[str, str] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """A named list of videos below `root`. The order of `videos` is the order of rows everywhere downstream."""

    name: str
    root: Path
    classes: list[str]
    videos: list[Video]

    def select(self, split: str) -> list[Video]:
        """Return the videos of one split, in order; empty where the manifest has no such split."""
        return [video for video in self.videos if video.split == split]

    def digest(self) -> str:
        """Return 12 hex of the SHA-256 of classes and videos in their order, without root and name."""
        content = {
            "version": VERSION,
            "classes": self.classes,
            "videos": [asdict(video) for video in self.videos],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write as JSON into `root`, atomically; the folder may be moved."""
        write_json(path, {"version": VERSION, "digest": self.digest()} | asdict(self) | {"root": "."})

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read what `save` wrote. FameError where the file is missing, damaged, edited or of another version."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            videos = [Video(**video) for video in value["videos"]]
            manifest = cls(value["name"], path.parent, value["classes"], videos)
            if value["version"] != VERSION or manifest.digest() != value["digest"]:
                raise ValueError("its digest does not agree")
        except (OSError, ValueError, KeyError, TypeError) as error:
            mend = "delete it and run the command again, which makes a new one"
            raise FameError(f"{path}: the manifest is damaged, or of another version ({error}); {mend}") from None
        return manifest


def is_fold(split: str) -> bool:
    """Return whether a split is a fold of cross-validation."""
    return split.partition("/")[0] == FOLD


def tested_with(split: str) -> str:
    """Return what the videos of a split are tested as: `test`, a fold, or "" for those that are not tested."""
    return split if split == "test" or is_fold(split) else ""


def split_counts(counts: Mapping[str, int]) -> str:
    """Say how many videos each split has: "60 train, 48 test"; "300 in 10 folds"."""
    folds = [count for split, count in counts.items() if is_fold(split)]
    said = [f"{count} {split}" for split, count in counts.items() if not is_fold(split)]
    return ", ".join([*said, f"{sum(folds)} in {len(folds)} folds"] if folds else said)


def count_splits(videos: Iterable[Video]) -> dict[str, int]:
    """Videos per split, for messages: {"train": 60, "val": 7, "test": 48}."""
    return dict(Counter(video.split for video in videos))


def none_fits(videos: int, split: str, clip: Clip) -> str:
    """Say that every video of a split is too short."""
    return (
        f"all {videos} videos of split {split} are shorter than the {clip.window} frames of a clip ({clip.frames}, {clip.stride} "
        "apart), and this protocol drops such videos: ask for fewer --frames, or for the one that loops them (--protocol corrected)"
    )


def check_manifest(manifest: Manifest, clip: Clip) -> None:
    """Raise FameError where a file is smaller than a crop that is not resized, or no video of train or test is long enough."""
    small = [video for video in manifest.videos if min(video.width, video.height) < clip.size and not clip.resize]
    if small:
        first, others = small[0], f" (and {len(small) - 1} others)" if len(small) > 1 else ""
        raise FameError(
            f"{manifest.name}: {first.path} is of {first.width} x {first.height} pixels{others}, smaller than the test crop of "
            f"{clip.size}, and this protocol does not resize: ask for a smaller --size, leave the video out, or resize "
            "(--protocol corrected)"
        )
    for split in ("train", "test"):
        lengths = [video.frames for video in manifest.videos if video.split == split]
        if clip.short == "dropped" and lengths and max(lengths) < clip.window:
            raise FameError(f"{manifest.name}: {none_fits(len(lengths), split, clip)}")
